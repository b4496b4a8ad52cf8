"""Operators, method spellings and NumPy's protocols, put onto `Tensor`: importing this package does it."""

from npgrad.bindings import operators as operators
from npgrad.bindings import protocols as protocols
from npgrad.bindings import spellings as spellings
