"""What a class or a function declares, as far as it can be known.

From Python 3.14 on annotations wait until they are asked for, so they may name what comes later, or what only a type
checker sees; asking for their values is an error then.
"""

from __future__ import annotations

import sys
from inspect import get_annotations, signature

__all__ = ["get_annotations", "signature"]

if sys.version_info >= (3, 14):
    from functools import partial

    from annotationlib import Format

    get_annotations = partial(get_annotations, format=Format.FORWARDREF)
    signature = partial(signature, annotation_format=Format.FORWARDREF)
