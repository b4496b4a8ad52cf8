"""Derivations beyond single functions, in the same notation and executed in the same way."""
