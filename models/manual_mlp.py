"""The batch-normalised MLP with its backward pass written by hand, twice: step by step, and in closed form.

NumPy alone; tensors appear only where results are compared. Every line of the forward pass has a number, and the
lines of the backward pass answer in reverse order. `dx` is the derivative of the loss with respect to x, in its shape.

    python -m models.manual_mlp

compares every adjoint with the engine's and with PyTorch's, then trains on these gradients.

Three rules make up the whole backward pass:
    a product       y = a*b:   da = dy*b, db = dy*a
    broadcasting    what is copied going forward is summed going back, and what is summed is copied
    a second use    adds to the adjoint of the first: `+=`
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.training import generators
from npgrad import Tensor
from npgrad.data import Batches, DataError, Indices, load

__all__ = ["ADJOINTS", "CLOSED", "PARAMETERS", "backward", "backward_closed", "forward", "initial", "train"]

Array = NDArray[Any]
Arrays = dict[str, Array]

EPS = 1e-5
PARAMETERS = ("C", "W1", "W2", "b2", "bngain", "bnbias")
ADJOINTS = (
    "logprobs", "probs", "counts_sum_inv", "counts_sum", "counts", "norm_logits", "logit_maxes", "logits",
    "h", "W2", "b2", "hpreact", "bngain", "bnbias", "bnraw", "bnvar_inv", "bnvar", "bndiff2", "bndiff", "bnmeani",
    "hprebn", "W1", "b1", "embcat", "emb", "C",
)  # fmt: skip
"""Every intermediate of the forward pass and every parameter, in the order their adjoints become known."""
CLOSED = ("logits", "W2", "b2", "hpreact", "bngain", "bnbias", "hprebn", "W1", "emb", "C")
"""Those that `backward_closed` computes."""


def initial(
    rng: np.random.Generator, vocab_size: int = 27, context: int = 3, embedding: int = 10, hidden: int = 200,
    dtype: Any = np.float32, spread: float = 0.0,
) -> Arrays:  # fmt: skip
    """First values: the lecture's batch-norm stage. `b1` is not trained: normalisation takes it out again.

    `spread` moves all those that begin at 0 or 1 away from there: at such values a wrong adjoint can look right.
    """
    fan_in = context * embedding
    p = {
        "C": rng.normal(size=(vocab_size, embedding)),
        "W1": rng.normal(size=(fan_in, hidden)) * (5 / 3) / fan_in**0.5,
        "b1": rng.normal(size=hidden) * spread,
        "W2": rng.normal(size=(hidden, vocab_size)) * max(0.01, spread),
        "b2": rng.normal(size=vocab_size) * spread,
        "bngain": np.ones(hidden) + rng.normal(size=hidden) * spread,
        "bnbias": rng.normal(size=hidden) * spread,
    }
    return {name: value.astype(dtype) for name, value in p.items()}


def forward(p: Mapping[str, Array], x: Indices, y: Indices) -> SimpleNamespace:
    """The forward pass of N contexts x (N, context) with next characters y (N,): every intermediate, and the loss.

    It is written for arrays, and since NumPy's functions accept npgrad's tensors it runs on those too.
    """
    n = len(x)
    C, W1, b1, W2, b2, bngain, bnbias = (p[k] for k in ("C", "W1", "b1", "W2", "b2", "bngain", "bnbias"))
    # Embedding and first layer
    emb = C[x]  # (1)
    embcat = emb.reshape(n, -1)  # (2)
    hprebn = embcat @ W1 + b1  # (3)
    # Batch normalisation
    bnmeani = hprebn.sum(0, keepdims=True) / n  # (4)
    bndiff = hprebn - bnmeani  # (5)
    bndiff2 = bndiff**2  # (6)
    bnvar = bndiff2.sum(0, keepdims=True) / (n - 1)  # (7)
    bnvar_inv = (bnvar + EPS) ** -0.5  # (8)
    bnraw = bndiff * bnvar_inv  # (9)
    hpreact = bngain * bnraw + bnbias  # (10)
    # Nonlinearity and second layer
    h = np.tanh(hpreact)  # (11)
    logits = h @ W2 + b2  # (12)
    # Cross-entropy
    logit_maxes = logits.max(1, keepdims=True)  # (13)
    norm_logits = logits - logit_maxes  # (14)
    counts = np.exp(norm_logits)  # (15)
    counts_sum = counts.sum(1, keepdims=True)  # (16)
    counts_sum_inv = counts_sum**-1  # (17)
    probs = counts * counts_sum_inv  # (18)
    logprobs = np.log(probs)  # (19)
    loss = -logprobs[np.arange(n), y].mean()  # (20)
    return SimpleNamespace(**locals())


def backward(f: SimpleNamespace) -> Arrays:
    """Every adjoint, one line of `forward` at a time, from the last to the first."""
    n, x, y = f.n, f.x, f.y

    # (20) loss = -logprobs[rows, y].mean(): only the right characters count, each with weight 1/n.
    dlogprobs = np.zeros_like(f.logprobs)
    dlogprobs[np.arange(n), y] = -1 / n  # (20)
    # (19) The logarithm: what was thought unlikely gets a large adjoint.
    dprobs = dlogprobs / f.probs  # (19)
    # (18) A product, one factor of which was copied along the row: its adjoint is summed along the row.
    dcounts_sum_inv = (dprobs * f.counts).sum(1, keepdims=True)  # (18)
    dcounts = dprobs * f.counts_sum_inv  # (18)
    # (17) A power.
    dcounts_sum = -(f.counts_sum**-2) * dcounts_sum_inv  # (17)
    # (16) A sum: its adjoint is copied to every term. Counts are used a second time, hence `+`.
    dcounts = dcounts + np.ones_like(f.counts) * dcounts_sum  # (16)
    # (15) The exponential is its own derivative.
    dnorm_logits = dcounts * f.counts  # (15)
    # (14) A difference, the maxima copied along the row.
    dlogits = dnorm_logits.copy()  # (14)
    dlogit_maxes = -dnorm_logits.sum(1, keepdims=True)  # (14)
    # (13) A maximum hands its adjoint to where it was found, in equal parts if at several places. This is 0 up to
    # rounding: shifting all logits of a row does not change its probabilities.
    at_maximum = f.logits == f.logit_maxes
    share = at_maximum / at_maximum.sum(1, keepdims=True, dtype=dlogits.dtype)
    dlogits = dlogits + dlogit_maxes * share  # (13)

    # (12) A matrix product. The shapes leave one way to write each adjoint; the bias was copied down the rows.
    dh = dlogits @ f.W2.T  # (12)
    dW2 = f.h.T @ dlogits  # (12)
    db2 = dlogits.sum(0)  # (12)
    # (11) The gate of tanh: where h is near ±1 nothing passes.
    dhpreact = (1 - f.h**2) * dh  # (11)

    # (10) A product and a sum, gain and bias copied down the rows.
    dbngain = (f.bnraw * dhpreact).sum(0)  # (10)
    dbnraw = f.bngain * dhpreact  # (10)
    dbnbias = dhpreact.sum(0)  # (10)
    # (9) A product, one factor copied down the rows.
    dbndiff = f.bnvar_inv * dbnraw  # (9)
    dbnvar_inv = (f.bndiff * dbnraw).sum(0, keepdims=True)  # (9)
    # (8) A power.
    dbnvar = -0.5 * (f.bnvar + EPS) ** -1.5 * dbnvar_inv  # (8)
    # (7) A sum over n - 1: copied to every term.
    dbndiff2 = np.ones_like(f.bndiff2) / (n - 1) * dbnvar  # (7)
    # (6) A square. This is the second use of bndiff.
    dbndiff = dbndiff + 2 * f.bndiff * dbndiff2  # (6)
    # (5) A difference, the mean copied down the rows.
    dhprebn = dbndiff.copy()  # (5)
    dbnmeani = -dbndiff.sum(0, keepdims=True)  # (5)
    # (4) A mean: copied to every term, divided by n. The second use of hprebn.
    dhprebn = dhprebn + np.ones_like(f.hprebn) / n * dbnmeani  # (4)

    # (3) A matrix product. db1 is 0 up to rounding: batch normalisation subtracts any b1 again.
    dembcat = dhprebn @ f.W1.T  # (3)
    dW1 = f.embcat.T @ dhprebn  # (3)
    db1 = dhprebn.sum(0)  # (3)
    # (2) The same numbers in another shape.
    demb = dembcat.reshape(f.emb.shape)  # (2)
    # (1) A row of C was copied to wherever its character stands: those adjoints are summed.
    dC = np.zeros_like(f.C)
    np.add.at(dC, x, demb)  # (1)

    found = locals()
    return {name: found["d" + name] for name in ADJOINTS}


def backward_closed(f: SimpleNamespace) -> Arrays:
    """The adjoints that are needed for training and no others: (13) to (20) and (4) to (10) are one formula each."""
    n, x, y = f.n, f.x, f.y

    # Softmax and cross-entropy: the loss of a row is log Σ_j exp(logits_j) - logits_y, and the derivative of that with
    # respect to logits_k is exp(logits_k)/Σ_j exp(logits_j) - [k = y]: the probabilities, minus 1 at the right one.
    dlogits = f.probs / n
    dlogits[np.arange(n), y] -= 1 / n  # (13) (14) (15) (16) (17) (18) (19) (20)

    dW2 = f.h.T @ dlogits  # (12)
    db2 = dlogits.sum(0)  # (12)
    dhpreact = (1 - f.h**2) * (dlogits @ f.W2.T)  # (11) (12)
    dbngain = (f.bnraw * dhpreact).sum(0)  # (10)
    dbnbias = dhpreact.sum(0)  # (10)

    # Batch normalisation. With s = bnvar_inv, z = bnraw, g = dhpreact·bngain, the steps above are
    #     dbnvar  = -s²/2·Σ g·z                     (9) (8), since bndiff·s = z and (bnvar + EPS)^(-3/2) = s³
    #     dbndiff = s·g + 2·bndiff·dbnvar/(n - 1)   (9) (7) (6)
    #             = s·(g - z·Σ g·z/(n - 1))         since bndiff·s² = z·s
    #     dhprebn = dbndiff - Σ dbndiff/n           (5) (4)
    #             = s·(g - Σ g/n - z·Σ g·z/(n - 1)) since Σ z = 0
    # and Σ g = bngain·dbnbias, Σ g·z = bngain·dbngain:
    dhprebn = f.bngain * f.bnvar_inv * (dhpreact - dbnbias / n - f.bnraw * dbngain / (n - 1))  # (4) … (10)

    dW1 = f.embcat.T @ dhprebn  # (3)
    demb = (dhprebn @ f.W1.T).reshape(f.emb.shape)  # (2) (3)
    dC = np.zeros_like(f.C)
    np.add.at(dC, x, demb)  # (1)
    found = locals()
    return {name: found["d" + name] for name in CLOSED}


# -- training ----------------------------------------------------------------------------------------------------------


def train(
    p: Arrays,
    batches: Batches,
    steps: int,
    on_step: Callable[[int, float], object] = lambda step, loss: None,
    gradient: Callable[[SimpleNamespace], Arrays] = backward_closed,
) -> Arrays:
    """Train `p` in place as the lecture does: rate 0.1, then 0.01 for the second half.

    Returns the running mean and variance of hprebn, which stand in for the batch's when there is no batch.
    """
    hidden = p["W1"].shape[1]
    running = {"mean": np.zeros((1, hidden), p["W1"].dtype), "var": np.ones((1, hidden), p["W1"].dtype)}
    for step in range(steps):
        f = forward(p, *next(batches))
        d = gradient(f)
        lr = 0.1 if step < steps / 2 else 0.01
        for name in PARAMETERS:
            p[name] -= lr * d[name]
        running["mean"] += 0.001 * (f.bnmeani - running["mean"])
        running["var"] += 0.001 * (f.bnvar - running["var"])
        on_step(step, float(f.loss))
    return running


def evaluate(p: Mapping[str, Array], running: Mapping[str, Array], x: Indices, y: Indices) -> float:
    """Mean loss over all examples, normalised by the running statistics, some thousands of examples at a time."""
    total = 0.0
    for k in range(0, len(y), 8192):
        xs, ys = x[k : k + 8192], y[k : k + 8192]
        hprebn = p["C"][xs].reshape(len(xs), -1) @ p["W1"] + p["b1"]
        hpreact = p["bngain"] * (hprebn - running["mean"]) * (running["var"] + EPS) ** -0.5 + p["bnbias"]
        logits = np.tanh(hpreact) @ p["W2"] + p["b2"]
        logits -= logits.max(1, keepdims=True)
        total += float((np.log(np.exp(logits).sum(1)) - logits[np.arange(len(ys)), ys]).sum(dtype=np.float64))
    return total / len(y)


# -- comparison --------------------------------------------------------------------------------------------------------


def engine_adjoints(p: Mapping[str, Array], x: Indices, y: Indices) -> Arrays:
    """The adjoints by npgrad: the same forward pass, run on tensors."""
    f = forward({name: Tensor(value, requires_grad=True) for name, value in p.items()}, x, y)  # type: ignore[misc]
    for name in ADJOINTS:
        getattr(f, name).retain_grad()
    f.loss.backward()
    return {name: getattr(f, name).grad for name in ADJOINTS}


def engine_step(p: Mapping[str, Array]) -> Callable[[Indices, Indices], Tensor]:
    """A function of a minibatch that leaves the gradients of `p` in tensors and returns the loss, to be compiled.

    Its program answers each line of `forward`, as `backward` does (`python -m models program manual_mlp`).
    """
    tensors = {name: Tensor(value, requires_grad=True) for name, value in p.items()}

    def step(x: Indices, y: Indices) -> Tensor:
        f = forward(tensors, x, y)  # type: ignore[arg-type]
        for parameter in tensors.values():
            parameter.grad = None
        f.loss.backward()
        loss: Tensor = f.loss
        return loss

    return step


def torch_adjoints(p: Mapping[str, Array], x: Indices, y: Indices) -> Arrays | None:
    """The adjoints by PyTorch, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    n = len(x)
    f: dict[str, Any] = {name: torch.tensor(value, requires_grad=True) for name, value in p.items()}
    f["emb"] = f["C"][torch.from_numpy(np.array(x))]
    f["embcat"] = f["emb"].reshape(n, -1)
    f["hprebn"] = f["embcat"] @ f["W1"] + f["b1"]
    f["bnmeani"] = f["hprebn"].sum(0, keepdim=True) / n
    f["bndiff"] = f["hprebn"] - f["bnmeani"]
    f["bndiff2"] = f["bndiff"] ** 2
    f["bnvar"] = f["bndiff2"].sum(0, keepdim=True) / (n - 1)
    f["bnvar_inv"] = (f["bnvar"] + EPS) ** -0.5
    f["bnraw"] = f["bndiff"] * f["bnvar_inv"]
    f["hpreact"] = f["bngain"] * f["bnraw"] + f["bnbias"]
    f["h"] = torch.tanh(f["hpreact"])
    f["logits"] = f["h"] @ f["W2"] + f["b2"]
    f["logit_maxes"] = f["logits"].amax(1, keepdim=True)
    f["norm_logits"] = f["logits"] - f["logit_maxes"]
    f["counts"] = f["norm_logits"].exp()
    f["counts_sum"] = f["counts"].sum(1, keepdim=True)
    f["counts_sum_inv"] = f["counts_sum"] ** -1
    f["probs"] = f["counts"] * f["counts_sum_inv"]
    f["logprobs"] = f["probs"].log()
    for name in ADJOINTS:
        f[name].retain_grad()
    (-f["logprobs"][torch.arange(n), torch.from_numpy(np.array(y))].mean()).backward()
    return {name: f[name].grad.numpy() for name in ADJOINTS}


def table(p: Mapping[str, Array], x: Indices, y: Indices) -> tuple[list[str], float]:
    """Lines that compare every adjoint with the engine, PyTorch and the closed form; the largest relative difference.

    Relative to the largest value of that adjoint, or to 0.001 for those that are zero but for rounding.
    """
    f = forward(p, x, y)
    stepwise, closed = backward(f), backward_closed(f)
    others = {"engine": engine_adjoints(p, x, y), "torch": torch_adjoints(p, x, y), "closed form": closed}
    return comparison({name: stepwise[name] for name in ADJOINTS}, others)


def comparison(stepwise: Mapping[str, Array], others: Mapping[str, Arrays | None]) -> tuple[list[str], float]:
    """The lines of `table`, for these adjoints, and its largest relative difference."""
    lines = [f"{'adjoint':<17}{'shape':<14}{'largest':>9}" + "".join(f"{name:>13}" for name in others)]
    worst = 0.0
    for name, d in stepwise.items():
        line = f"{'d' + name:<17}{'×'.join(map(str, d.shape)):<14}{np.abs(d).max():9.1e}"
        for adjoints in others.values():
            if adjoints is None or name not in adjoints:
                line += f"{'–':>13}"
            else:
                difference = float(np.abs(d - adjoints[name]).max())
                worst = max(worst, difference / max(float(np.abs(d).max()), 1e-3))
                line += f"{difference:13.1e}"
        lines.append(line)
    return lines, worst


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m models.manual_mlp",
        description="Compare the hand-written backward pass with the engine and PyTorch, then train with it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--steps", type=int, default=10_000, help="of training; the lecture takes 200000")
    parser.add_argument("--seed", type=int, default=0, help="fixes the first weights and the minibatches")
    parser.add_argument("--data", default="data/names.txt", metavar="FILE", help="UTF-8 text, one word a line")
    options = parser.parse_args(argv)
    if options.steps < 0 or options.seed < 0:
        parser.error("--steps and --seed must be 0 or more")
    try:
        corpus = load(options.data)
    except OSError as error:
        parser.error(f"cannot read the data {options.data}: {error.strerror}")
    except DataError as error:
        parser.error(str(error))
    rngs = generators(options.seed)
    batches = Batches(*corpus.train, 32, rngs.batches)
    size = len(corpus.vocabulary)

    print(
        "Largest difference of each hand-written adjoint to the same one computed otherwise (float64, one minibatch):\n"
    )
    example = next(Batches(*corpus.train, 32, rngs.sampling))
    lines, worst = table(initial(rngs.sampling, size, dtype=np.float64, spread=0.1), *example)
    print("\n".join(lines))
    if find_spec("torch") is None:
        print("\nPyTorch is not installed, so its column is empty.")

    p = initial(rngs.init, size)
    print(f"\nTraining {sum(p[name].size for name in PARAMETERS)} parameters by hand for {options.steps} steps:\n")
    losses: list[float] = []

    def on_step(step: int, loss: float) -> None:
        losses.append(loss)
        if step == 0 or (step + 1) % max(1, options.steps // 10) == 0:
            recent = losses[-1000:] if step else losses
            print(f"step {step + 1:>7}   loss {sum(recent) / len(recent):.4f}")

    running = train(p, batches, options.steps, on_step)
    for name, part in (("train", corpus.train), ("val", corpus.val)):
        if len(part.y):
            print(f"{name:<5} {evaluate(p, running, *part):.4f}")
    if not worst < 1e-12:
        print(f"\nThe backward pass is wrong: an adjoint differs by {worst:.1e} of its size.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
