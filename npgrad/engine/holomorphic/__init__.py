"""Holomorphic: arrays of real numbers that know how they move. All that a complex step asks of NumPy stands here.

A complex step (Squire & Trapp 1998, "Using complex variables to estimate derivatives of real functions") runs code that
was written for real numbers on x + i·h·v and reads the derivative along v from the imaginary part:

    f(x + i·h·v) = f(x) + i·h·(∂f/∂x)·v − h²/2·…

NumPy's complex numbers are not up to it. Comparisons and maximum look at the imaginary part too, abs is the modulus,
cbrt and floor do not exist, log and sqrt have values beyond the edge of their domain, and an infinite factor turns the
imaginary part into nan. `Holomorphic` is an ndarray of complex128 that answers as follows.

* The real part of every result is, to the bit, what NumPy computes for the real parts.
* The imaginary part is h times the derivative. h is so small that h·h is 0, so the products of imaginary parts that a
  complex multiplication would add do not exist, and a kink stays where it is.
* What decides (comparisons, conditions, isnan, argmax, sort order, bool) looks at the real part alone; sign, floor,
  round and the like have derivative 0.
* At a kink the conventions of the library hold: abs'(0) = 0; entries tied in maximum, minimum, max and min share
  equally; clip counts an entry on its bound as inside. But a *number* that the code compares with, as in
  np.maximum(x, 0) or x.clip(0, 1), wins its ties: relu'(0) = 0.
* At the edge of a domain the derivative is the limit (log'(0) = sqrt'(0) = inf), beyond it nan like the value.
* What does not move has no derivative to spoil: an imaginary part of 0 stays 0, whatever it is multiplied by.
* Anything else, such as float(z) or np.median(z), would lose the derivative and is a TypeError.

`z.real` and `np.conj(z)` are z itself, as for real arrays; `z.value` and `z.slope` take the number apart. The one way
to lose the class without an error is np.asarray(z), which NumPy does not let a subclass see: the result is a plain
complex array, right for analytic functions only.
"""

from __future__ import annotations

from npgrad.engine.holomorphic import functions, ufuncs  # which fill the tables of number.py
from npgrad.engine.holomorphic.number import STEP, Holomorphic, State, lift, slopes, values
from npgrad.engine.holomorphic.rules import entering, leaving

__all__ = ["STEP", "Holomorphic", "State", "entering", "functions", "leaving", "lift", "slopes", "ufuncs", "values"]
