"""Every differentiable function, one family per file, the derivation above the code it derives.

To add a Function, in this order; to remove one, undo the same:

1. The file of its family: the class with its derivation, the public function that applies it, both in `__all__`. What
   is as good when put together from other functions is a public function alone, and needs no class. A new family is one
   more line among the imports below.
2. npgrad/check/cases, the file of the same name: inputs to check it with, and what torch calls it.
3. npgrad/explain/order.py: its place in the order of reading.
4. tests/functions, the file of the same name: what is particular about it. Where NumPy calls the function otherwise,
   npgrad/bindings/protocols.py; where it takes more than arrays, `CALLS` in tests/engine/test_protocols.py.
5. If mathematics leaves a choice, npgrad/check/conventions.py; if there is a classical mistake,
   npgrad/check/mutants.py.

An activation is a module besides:

6. npgrad/nn/activation.py: the module, in `__all__` and by its name in `ACTIVATIONS`; npgrad/nn/__init__.py exports it.
7. npgrad/diagnose: `SATURATION` or `WITHOUT_MEASURE` in saturation.py, and a colour in style.py. models/deep_mlp.py:
   its gain, unless `nn.init.calculate_gain` knows it.
8. tests/functions/test_activation.py: its entries in `ACTIVATIONS` and `LIMITS`.

tests/functions/test_registry.py compares all of these lists with the registry, in both directions: it names every list
that a Function is missing from, and every list that still has one that is gone.
"""

import sys
from types import FunctionType as _FunctionType

from npgrad.engine.function import Function
from npgrad.functions import linalg as linalg
from npgrad.functions.activation import *
from npgrad.functions.along_axis import *
from npgrad.functions.arithmetic import *
from npgrad.functions.attention import *
from npgrad.functions.batch_norm import *
from npgrad.functions.conv import *
from npgrad.functions.cross_entropy import *
from npgrad.functions.decompositions import QR as QR
from npgrad.functions.decompositions import SVD as SVD
from npgrad.functions.decompositions import Cholesky as Cholesky
from npgrad.functions.decompositions import Eigh as Eigh
from npgrad.functions.decompositions import PInv as PInv
from npgrad.functions.distance import *
from npgrad.functions.dropout import *
from npgrad.functions.einsum import *
from npgrad.functions.elementwise import *
from npgrad.functions.extreme import *
from npgrad.functions.group_norm import *
from npgrad.functions.hyperbolic import *
from npgrad.functions.indexing import *
from npgrad.functions.layer_norm import *
from npgrad.functions.linalg import Det as Det
from npgrad.functions.linalg import Inv as Inv
from npgrad.functions.linalg import LogAbsDet as LogAbsDet
from npgrad.functions.linalg import Norm as Norm
from npgrad.functions.linalg import Solve as Solve
from npgrad.functions.margin_loss import *
from npgrad.functions.matmul import *
from npgrad.functions.matrix_parts import *
from npgrad.functions.options import with_known_options as _with_known_options
from npgrad.functions.piecewise import *
from npgrad.functions.pool import *
from npgrad.functions.probability_loss import *
from npgrad.functions.products import *
from npgrad.functions.rearranging import *
from npgrad.functions.recurrent import *
from npgrad.functions.reduction import *
from npgrad.functions.regression_loss import *
from npgrad.functions.rms_norm import *
from npgrad.functions.selection import *
from npgrad.functions.shape import *
from npgrad.functions.softmax import *
from npgrad.functions.statistics import *
from npgrad.functions.steps import *
from npgrad.functions.trigonometric import *

registry: dict[str, type[Function]] = {
    name: item
    for name, item in globals().copy().items()
    if isinstance(item, type) and issubclass(item, Function) and item is not Function
}
"""Every Function of the library by name, family by family: what tests, derivations and benchmarks enumerate."""

for _module in [module for name, module in sys.modules.items() if name.startswith(f"{__name__}.")]:
    for _name in _module.__all__:
        if isinstance(_function := getattr(_module, _name), _FunctionType):
            setattr(_module, _name, _with_known_options(_function))
            if globals().get(_name) is _function:
                globals()[_name] = getattr(_module, _name)
