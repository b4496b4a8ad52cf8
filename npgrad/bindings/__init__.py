"""Operators, method spellings and NumPy's protocols, put onto `Tensor`: importing this package does it."""

from npgrad.bindings import operators as operators, protocols as protocols, spellings as spellings
