"""What a gradient check can find wrong."""

__all__ = ["GradientError", "KinkError", "NotHolomorphicError"]


class GradientError(AssertionError):
    """A gradient is wrong: the message names the input, the worst entry, both values and a likely cause."""


class KinkError(ValueError):
    """The function is not smooth at the point given, so no difference quotient can judge its gradient there."""


class NotHolomorphicError(TypeError):
    """The function does not continue into the complex plane, so the complex step cannot judge its gradient."""
