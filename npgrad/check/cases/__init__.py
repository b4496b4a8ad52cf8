"""One file of cases per family of functions; importing this package registers them all."""

from npgrad.check.cases import arithmetic, batch_norm, extreme, indexing, loss, matmul, reduction, shape, softmax

__all__ = ["arithmetic", "batch_norm", "extreme", "indexing", "loss", "matmul", "reduction", "shape", "softmax"]
