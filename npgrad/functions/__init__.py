"""Every differentiable function, one family a file, the derivation above the code it derives."""

from npgrad.engine.function import Function
from npgrad.functions.activation import *
from npgrad.functions.arithmetic import *
from npgrad.functions.attention import *
from npgrad.functions.batch_norm import *
from npgrad.functions.conv import *
from npgrad.functions.dropout import *
from npgrad.functions.einsum import *
from npgrad.functions.elementwise import *
from npgrad.functions.extreme import *
from npgrad.functions.group_norm import *
from npgrad.functions.indexing import *
from npgrad.functions.layer_norm import *
from npgrad.functions.loss import *
from npgrad.functions.matmul import *
from npgrad.functions.pool import *
from npgrad.functions.recurrent import *
from npgrad.functions.reduction import *
from npgrad.functions.selection import *
from npgrad.functions.shape import *
from npgrad.functions.softmax import *

registry: dict[str, type[Function]] = {
    name: item
    for name, item in globals().copy().items()
    if isinstance(item, type) and issubclass(item, Function) and item is not Function
}
"""Every Function of the library by name, family by family: what tests, derivations and benchmarks enumerate."""
