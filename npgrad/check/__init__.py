"""Gradient checking: for the rules of npgrad and for your own.

    from npgrad.check import gradcheck, hvpcheck

    gradcheck(f, [x, W])            # any function of tensors
    gradcheck(MyFunction, [x])      # a Function you wrote
    hvpcheck(MyFunction, [x])       # is npgrad.hvp exact through it?

`npgrad check` checks every Function of the library and prints the certificate. NumPy only; PyTorch is asked
as a third opinion where it is installed.
"""

from npgrad.check.errors import GradientError, KinkError, NotHolomorphicError
from npgrad.check.gradcheck import Report, gradcheck
from npgrad.check.second_derivative import hvpcheck

__all__ = ["GradientError", "KinkError", "NotHolomorphicError", "Report", "gradcheck", "hvpcheck"]
