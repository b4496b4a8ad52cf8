"""Every differentiable function, one family a file, the derivation above the code it derives."""

from typing import TYPE_CHECKING

from npgrad.functions.activation import *  # noqa: F403
from npgrad.functions.arithmetic import *  # noqa: F403
from npgrad.functions.batch_norm import *  # noqa: F403
from npgrad.functions.conv import *  # noqa: F403
from npgrad.functions.dropout import *  # noqa: F403
from npgrad.functions.einsum import *  # noqa: F403
from npgrad.functions.elementwise import *  # noqa: F403
from npgrad.functions.extreme import *  # noqa: F403
from npgrad.functions.group_norm import *  # noqa: F403
from npgrad.functions.indexing import *  # noqa: F403
from npgrad.functions.layer_norm import *  # noqa: F403
from npgrad.functions.loss import *  # noqa: F403
from npgrad.functions.matmul import *  # noqa: F403
from npgrad.functions.pool import *  # noqa: F403
from npgrad.functions.reduction import *  # noqa: F403
from npgrad.functions.selection import *  # noqa: F403
from npgrad.functions.shape import *  # noqa: F403
from npgrad.functions.softmax import *  # noqa: F403

# Some families are named after their function (matmul, batch_norm): the function is what the name means here. Type
# checkers cannot follow a computed list, and without one they see every public name.
if not TYPE_CHECKING:
    __all__ = [name for name, value in list(globals().items()) if callable(value) and not name.startswith("_")]
