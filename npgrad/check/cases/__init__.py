"""One file of cases per family of functions; importing this package registers them all."""

from npgrad.check.cases import arithmetic

__all__ = ["arithmetic"]
