"""The version: in a file that imports nothing, for whoever needs no more."""

__version__ = "0.1.0"
