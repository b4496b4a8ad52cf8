"""The engine, to be read in this order: arrays, mode, node, backward, tensor, function.

backward.py is the algorithm; the files before it are what it stands on, the ones after it are what users see. No file
imports one that comes later. holomorphic/ serves verification and recording.py `npgrad.compile`: leave them out.
"""
