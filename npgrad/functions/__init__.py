"""Every differentiable function, one family a file, the derivation above the code it derives."""

from npgrad.functions import (
    arithmetic,
)
from npgrad.functions.arithmetic import *  # noqa: F403

__all__ = [
    *arithmetic.__all__,
]
