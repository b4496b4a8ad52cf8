"""A gated recurrent unit with its backward pass written by hand: one step, and back through all steps of a sequence.

NumPy alone, as in manual_mlp.py: every line of the forward pass has a number, the lines of the backward pass answer in
reverse order, and `dx` is the derivative of the loss with respect to x.

    python -m models.manual_gru

compares every adjoint with the engine's, with the closed form of npgrad/functions/recurrent.py and with PyTorch's.

    x ── W, b ──┬─ reset ──┬─ update ──┬─ candidate
    h ── U, c ──┼─ + ─ σ ─ r ─────────────── × ── + ── tanh ── n
                           └─ + ─ σ ─ z                        │
    h ──────────────────────────────────────── y = n + z·(h - n)

Source: Cho et al. 2014, arXiv:1406.1078, with the reset gate after the product, as in cuDNN and PyTorch.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.manual_mlp import comparison
from npgrad import Tensor, recurrent

__all__ = ["ADJOINTS", "CLOSED", "PARAMETERS", "backward", "backward_closed", "forward", "initial", "through_time"]

Array = NDArray[Any]
Arrays = dict[str, Array]

PARAMETERS = ("W", "U", "b", "c")
ADJOINTS = (
    "weighted", "z", "difference", "n", "n_in", "an", "rg", "r", "gn", "z_in", "az", "gz", "r_in", "ar", "gr",
    "g", "a", "h", "U", "c", "x", "W", "b",
)  # fmt: skip
"""Every intermediate of the forward pass, every input and parameter, in the order their adjoints become known."""
CLOSED = ("a", "g", "h", "U", "c", "x", "W", "b")
"""Those that `backward_closed` computes."""


def initial(rng: np.random.Generator, inputs: int = 5, hidden: int = 4) -> Arrays:
    """Random parameters in double precision, none of them 0: the columns of reset, update, candidate side by side."""
    shapes = {"W": (inputs, 3 * hidden), "U": (hidden, 3 * hidden), "b": (3 * hidden,), "c": (3 * hidden,)}
    return {name: rng.normal(size=shape) / hidden**0.5 for name, shape in shapes.items()}


def forward(p: Mapping[str, Any], x: Any, h: Any) -> SimpleNamespace:
    """One step for N inputs x (N, C) and states h (N, H): every intermediate, and the state y after it.

    It is written for arrays, and since NumPy's functions accept npgrad's tensors it runs on those too.
    """
    W, U, b, c = (p[name] for name in PARAMETERS)
    H = h.shape[1]
    # What the gates get of the input and of the state
    a = x @ W + b  # (1)
    g = h @ U + c  # (2)
    ar, az, an = a[:, :H], a[:, H : 2 * H], a[:, 2 * H :]  # (3)
    gr, gz, gn = g[:, :H], g[:, H : 2 * H], g[:, 2 * H :]  # (4)
    # Reset gate
    r_in = ar + gr  # (5)
    r = 1 / (1 + np.exp(-r_in))  # (6)
    # Update gate
    z_in = az + gz  # (7)
    z = 1 / (1 + np.exp(-z_in))  # (8)
    # Candidate
    rg = r * gn  # (9)
    n_in = an + rg  # (10)
    n = np.tanh(n_in)  # (11)
    # Old state where z is 1, candidate where it is 0
    difference = h - n  # (12)
    weighted = z * difference  # (13)
    y = n + weighted  # (14)
    return SimpleNamespace(**locals())


def backward(f: SimpleNamespace, dy: Array) -> Arrays:
    """Every adjoint of one step, one line of `forward` at a time, from the last to the first."""
    # (14) A sum passes the adjoint on to both.
    dn = dy  # (14)
    dweighted = dy  # (14)
    # (13) A product.
    dz = dweighted * f.difference  # (13)
    ddifference = dweighted * f.z  # (13)
    # (12) The first use of h, and the second of n: this is the path through time on which a gate is the only factor.
    dh = ddifference  # (12)
    dn = dn - ddifference  # (12)
    # (11) Where n is near ±1 nothing passes.
    dn_in = (1 - f.n**2) * dn  # (11)
    # (10) A sum.
    dan = dn_in  # (10)
    drg = dn_in  # (10)
    # (9) A product.
    dr = drg * f.gn  # (9)
    dgn = drg * f.r  # (9)
    # (8) A sigmoid has the slope z·(1 - z): where the gate is wide open or shut nothing passes.
    dz_in = f.z * (1 - f.z) * dz  # (8)
    # (7) A sum.
    daz = dz_in  # (7)
    dgz = dz_in  # (7)
    # (6) The other sigmoid.
    dr_in = f.r * (1 - f.r) * dr  # (6)
    # (5) A sum.
    dar = dr_in  # (5)
    dgr = dr_in  # (5)
    # (4) Columns that were taken apart lie side by side again.
    dg = np.concatenate((dgr, dgz, dgn), axis=1)  # (4)
    da = np.concatenate((dar, daz, dan), axis=1)  # (3)
    # (2) A matrix product, and the second use of h; the bias was copied down the rows.
    dh = dh + dg @ f.U.T  # (2)
    dU = f.h.T @ dg  # (2)
    dc = dg.sum(0)  # (2)
    # (1) The same for the input.
    dx = da @ f.W.T  # (1)
    dW = f.x.T @ da  # (1)
    db = da.sum(0)  # (1)

    found = locals()
    return {name: found["d" + name] for name in ADJOINTS}


def backward_closed(f: SimpleNamespace, dy: Array) -> Arrays:
    """The adjoints that are needed for training and no others: (3) to (14) are one formula for each gate."""
    dn_in = dy * (1 - f.z) * (1 - f.n**2)  # (14) (13) (12) (11)
    dz_in = dy * (f.h - f.n) * f.z * (1 - f.z)  # (14) (13) (12) (8)
    dr_in = dn_in * f.gn * f.r * (1 - f.r)  # (10) (9) (6)
    dg = np.concatenate((dr_in, dz_in, dn_in * f.r), axis=1)  # (9) (7) (5) (4)
    da = np.concatenate((dr_in, dz_in, dn_in), axis=1)  # (10) (7) (5) (3)
    dh = dy * f.z + dg @ f.U.T  # (12) (2)
    dU, dc = f.h.T @ dg, dg.sum(0)  # (2)
    dx, dW, db = da @ f.W.T, f.x.T @ da, da.sum(0)  # (1)
    found = locals()
    return {name: found["d" + name] for name in CLOSED}


def through_time(p: Mapping[str, Array], x: Array, h: Array, dy: Array) -> tuple[Array, Arrays]:
    """The states y (N, T, H) after each step over x (N, T, C), and the adjoints of x, h and the parameters for dy.

    The state after a step is shown, and read by the next one: its adjoint is the sum of two. All steps use the same
    parameters: theirs are the sum over the steps.
    """
    steps: list[SimpleNamespace] = []
    for t in range(x.shape[1]):
        steps.append(forward(p, x[:, t], steps[-1].y if steps else h))
    d = {name: np.zeros_like(value) for name, value in p.items()}
    dx, dh = np.zeros_like(x), np.zeros_like(h)
    for t in reversed(range(len(steps))):
        found = backward_closed(steps[t], dy[:, t] + dh)
        dx[:, t], dh = found["x"], found["h"]
        for name in PARAMETERS:
            d[name] += found[name]
    return np.stack([f.y for f in steps], axis=1), {**d, "x": dx, "h": dh}


# -- comparison --------------------------------------------------------------------------------------------------------


def engine_adjoints(p: Mapping[str, Array], x: Array, h: Array, dy: Array) -> Arrays:
    """The adjoints of one step by npgrad: the same forward pass, run on tensors."""
    leaves = {name: Tensor(value, requires_grad=True) for name, value in {**p, "x": x, "h": h}.items()}
    f = forward(leaves, leaves["x"], leaves["h"])
    for name in ADJOINTS:
        getattr(f, name).retain_grad()
    f.y.backward(dy)
    return {name: getattr(f, name).grad for name in ADJOINTS}


def fused_adjoints(p: Mapping[str, Array], x: Array, h: Array, dy: Array) -> Arrays:
    """The adjoints through time by `npgrad.recurrent`, the fused Function."""
    leaves = {name: Tensor(value, requires_grad=True) for name, value in {**p, "x": x, "h": h}.items()}
    y = recurrent(leaves["x"] @ leaves["W"] + leaves["b"], leaves["h"], leaves["U"], leaves["c"], cell="gru")
    y.backward(dy)
    return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}


def torch_adjoints(p: Mapping[str, Array], x: Array, h: Array, dy: Array) -> Arrays | None:
    """The adjoints through time by torch.nn.GRU, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    net: Any = torch.nn.GRU(x.shape[2], h.shape[1], batch_first=True, dtype=torch.float64)
    for theirs, name in zip(net.parameters(), PARAMETERS, strict=True):
        theirs.data = torch.tensor(p[name].T.copy())
    xs, hs = torch.tensor(x, requires_grad=True), torch.tensor(h[None], requires_grad=True)
    net(xs, hs)[0].backward(torch.tensor(dy))
    grads = {name: q.grad.numpy().T for name, q in zip(PARAMETERS, net.parameters(), strict=True)}
    assert xs.grad is not None and hs.grad is not None
    return {**grads, "x": xs.grad.numpy(), "h": hs.grad.numpy()[0]}


def tables(rng: np.random.Generator, steps: int = 8) -> tuple[list[str], list[str], float]:
    """Lines that compare every adjoint of one step, those through time, and the largest relative difference."""
    p = initial(rng)
    x, h, dy = rng.normal(size=(3, steps, 5)), rng.normal(size=(3, 4)), rng.normal(size=(3, steps, 4))
    f = forward(p, x[:, 0], h)
    others = {"engine": engine_adjoints(p, x[:, 0], h, dy[:, 0]), "closed form": backward_closed(f, dy[:, 0])}
    one, worst = comparison(backward(f, dy[:, 0]), others)
    _, found = through_time(p, x, h, dy)
    fused = {"fused": fused_adjoints(p, x, h, dy), "torch": torch_adjoints(p, x, h, dy)}
    through, worse = comparison(found, fused)
    return one, through, max(worst, worse)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m models.manual_gru",
        description="Compare the hand-written backward pass of a GRU with the engine and PyTorch.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--steps", type=int, default=8, help="of the sequence to go back through")
    parser.add_argument("--seed", type=int, default=0, help="fixes inputs and parameters")
    options = parser.parse_args(argv)
    if options.steps < 1 or options.seed < 0:
        parser.error("--steps must be 1 or more, and --seed 0 or more")
    one, through, worst = tables(np.random.default_rng(options.seed), options.steps)
    print("One step: largest difference of each hand-written adjoint to the same one computed otherwise (float64)\n")
    print("\n".join(one))
    print(f"\nBack through {options.steps} steps, beside npgrad.recurrent and torch.nn.GRU\n")
    print("\n".join(through))
    if not worst < 1e-12:
        print(f"\nThe backward pass is wrong: an adjoint differs by {worst:.1e} of its size.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
