"""A thousandth: what the size of the updates says about the learning rate.

The lecture's rule of thumb: an update should be about a thousandth as large as what it updates. This lesson trains the
six-layer network with learning rates from far too small to far too large, records what the optimiser really did to the
weights, and asks whether the rule would have found the best rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from experiments import style
from experiments.claims.update_ratio import CLAIMS as CLAIMS
from experiments.corpus import load
from experiments.experiment import Result, Table
from experiments.pictures import pictures
from experiments.records import Record, Records, complete
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, table
from experiments.training import training
from experiments.verdict import chosen_elsewhere
from models.deep_mlp import NORMS, DeepMLP
from models.training import TrainConfig, evaluate, fit, generators, make_optimizer
from npgrad import diagnose, nn
from npgrad.data import Batches
from npgrad.diagnose import Monitor

ORDER = 6

QUESTION = (
    "How large are updates compared with the weights, layer by layer, at good and at bad learning rates? Would the "
    "rule of thumb, log10 of the ratio at −3, have chosen the best one? And is learning rate times gradient the update?"
)
EXPECTATION = (
    "The ratio is proportional to the learning rate: −3 somewhere near 0.1 for this network, above it unstable, below "
    "it slow. The last layer, which begins small, stands apart. With momentum and Adam the update is something else "
    "than learning rate times gradient, and the lecture's formula misjudges it."
)

# -- configuration -----------------------------------------------------------------------------------------------------

STEP: dict[str, dict[str, Any]] = {
    "sgd": {}, "momentum": {"optimizer": "sgd", "momentum": 0.9}, "adam": {"optimizer": "adam"},
}  # fmt: skip
OPTIMIZERS = {"sgd": "SGD", "momentum": "momentum 0.9", "adam": "Adam"}


@dataclass(frozen=True)
class Config:
    """The lecture's deep network: six linear layers, five tanh layers of 100 units, gain 5/3."""

    norm: str = "none"
    optimizer: str = "sgd"
    lr: float = 0.1
    steps: int = 1_100
    batch_size: int = 32
    depth: int = 6
    hidden: int = 100
    context: int = 3
    embedding: int = 10
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        numbers = {1: ("steps", "hidden", "context", "embedding"), 2: ("depth",)}
        check(self, one_of={"norm": NORMS, "optimizer": OPTIMIZERS}, at_least=numbers)

    @property
    def training(self) -> TrainConfig:
        return training(self, lr_decay=1.0, **STEP[self.optimizer])


SWEEP = [
    {"norm": ("none",), "lr": (0.001, 0.01, 0.03, 0.1, 0.3, 1.0)},
    {"norm": ("batch",), "lr": (0.001, 0.01, 0.1, 0.3, 1.0, 3.0)},
    {"optimizer": ("momentum",), "lr": (0.001, 0.01, 0.03, 0.1)},
    {"optimizer": ("adam",), "lr": (1e-4, 1e-3, 3e-3, 1e-2)},
]
QUICK = {"steps": 300}
FULL = {"steps": 10_000}


# -- one run -----------------------------------------------------------------------------------------------------------


def run(config: Config, progress: Progress) -> Result:
    corpus = load(config.data, config.context)
    rngs = generators(config.seed)
    model = DeepMLP(
        vocab_size=len(corpus.vocabulary),
        context=config.context,
        rng=rngs.init,
        depth=config.depth,
        hidden=config.hidden,
        embedding=config.embedding,
        norm=config.norm,
        gain=5 / 3,
    )
    batches = Batches(*corpus.train, config.batch_size, rngs.batches)
    optimizer = make_optimizer(model, config.training)
    linear = {id(module) for module in model.modules() if isinstance(module, nn.Linear)}
    monitor = Monitor(
        model, optimizer, every=max(config.steps // 60, 1), layers=lambda name, module: id(module) in linear
    )
    note = monitor.callback()

    def record(step: int, loss: float) -> bool:
        note(step, loss)
        if step % 50 == 0:
            progress(step, config.steps)
        return not math.isfinite(loss)

    with np.errstate(all="ignore"), monitor:  # a learning rate may be so large that numbers overflow
        losses = fit(model, *corpus.train, config.training, optimizer=optimizer, batches=batches, on_step=record)
        val_loss = evaluate(model, *corpus.val)
    seen = monitor.record
    weights = seen.matrices()
    with np.errstate(all="ignore"):
        true, formula = np.log10(seen.update_to_data[:, weights]), np.log10(seen.lecture_ratio[:, weights])
    late = slice(len(true) // 2, None)
    middle, last = np.median(true[late], axis=0), max(len(losses) // 4, 1)
    return Result(
        summary={
            "val_loss": val_loss,
            "train_loss": float(losses[-last:].mean()),
            "diverged": int(not math.isfinite(val_loss) or len(losses) < config.steps),
            "ratio": float(np.median(middle)),
            "ratio_hidden": float(np.median(middle[1:-1])),
            "ratio_output": float(middle[-1]),
            # The very first update, and one tenth into the run.
            "lead_first": float(true[0, -1] - np.median(true[0, 1:-1])),
            "lead_late": float(middle[-1] - np.median(middle[1:-1])),
            "layers_apart": float(middle[1:].max() - middle[1:].min()),
            "true_to_formula": float(np.median(10 ** (true[late] - formula[late]))),
        },
        arrays=seen.to_arrays("record_"),
    )


# -- what it shows -----------------------------------------------------------------------------------------------------


def kind_of(config: SimpleNamespace) -> str:
    """The curve a run belongs to: everything but the learning rate."""
    if config.optimizer != "sgd":
        return config.optimizer if config.norm == "none" else f"{config.optimizer}, {config.norm} norm"
    return "sgd" if config.norm == "none" else f"{config.norm} norm"


def sound(r: Record) -> bool:
    return not r.summary["diverged"] and math.isfinite(r.summary["ratio"])


def table_of(own: Records, name: str) -> dict[float, np.ndarray]:
    """A number of the summary by learning rate, one per seed, as in `by_setting`; infinite where the run diverged."""
    rates = own.by("lr").items()
    return complete({lr: np.array([r.summary[name] if sound(r) else math.inf for r in some]) for lr, some in rates})


def search(own: Records) -> dict[str, np.ndarray]:
    """What the runs of a kind say about its learning rate, one number a seed.

    The best rate is chosen on the other seeds. The rate that a ratio of 10⁻³ recommends, and the loss there, are
    interpolated between the rates tried; nan where none of them are around −3.
    """
    ratios, losses = table_of(own, "ratio"), table_of(own, "val_loss")
    best_loss, best_lr = chosen_elsewhere(losses)
    seeds = len(best_loss)
    advised = np.full((2, seeds), math.nan)
    for k in range(seeds):
        rates = [lr for lr in sorted(losses) if math.isfinite(losses[lr][k])]
        rising = np.maximum.accumulate([ratios[lr][k] for lr in rates]) if rates else np.empty(0)
        if len(rates) > 1 and rising[0] <= -3 <= rising[-1]:
            at = np.interp(-3.0, rising, np.log10(rates))
            advised[:, k] = 10**at, np.interp(at, np.log10(rates), [losses[lr][k] for lr in rates])
    inside = [min(losses) < lr < max(losses) for lr in best_lr]
    return {
        "best_lr": best_lr,
        "best_loss": best_loss,
        "best_ratio": np.array([ratios[lr][k] for k, lr in enumerate(best_lr)]),
        "inside": np.array(inside, dtype=float),
        "advised_lr": advised[0],
        "advised_loss": advised[1],
    }


def measure(records: Records) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    names = ("val_loss", "ratio", "ratio_hidden", "ratio_output", "lead_first", "lead_late", "layers_apart",
             "true_to_formula")  # fmt: skip
    for kind, own in records.named(kind_of).items():
        for name in names:
            found |= {f"{name}/{kind} {lr:g}": values for lr, values in table_of(own, name).items()}
        found |= {f"{name}/{kind}": values for name, values in search(own).items()}
    return found


SHOWN = {"sgd": "SGD", "batch norm": "SGD, batch norm", "momentum": "momentum 0.9", "adam": "Adam"}


def tables(records: Records) -> Iterator[Table]:
    kinds = records.named(kind_of)
    columns = [Column("rate at −3", advice("advised_lr"), ".2g"), Column("loss there", advice("advised_loss"))]
    columns += [Column("best rate", advice("best_lr"), ".2g"), Column("loss there", advice("best_loss"))]
    columns += [Column("ratio there", advice("best_ratio"), 2)]
    note = (
        "Validation loss after {steps:,} steps at a constant rate; the rate at −3 and its loss are interpolated "
        "between the rates tried."
    )
    yield table("The rate that −3 recommends, and the best one", "Training", kinds, columns, note, SHOWN)

    columns = [Column("hidden layers", if_trained("ratio_hidden"), 2)]
    columns += [Column("last layer", if_trained("ratio_output"), 2)]
    columns += [Column("true over formula", lambda own: "–" if failed(own) else own.fill("{true_to_formula:.3g}"))]
    columns += [Column("validation", lambda own: "diverged" if failed(own) else own.values("val_loss"))]
    note = (
        "Median over the second half of the run. True over formula: the update that was made over learning rate times "
        "gradient."
    )
    runs = {(kind, lr): some for kind, own in kinds.items() for lr, some in own.by("lr").items()}
    yield table("Update to data, log10", ("Training", "rate"), runs, columns, note, SHOWN)


def advice(what: str) -> Callable[[Records], np.ndarray | str]:
    def found(own: Records) -> np.ndarray | str:
        values = search(own)[what]
        return values if np.isfinite(values).any() else "none"

    return found


def if_trained(what: str) -> Callable[[Records], np.ndarray | str]:
    return lambda own: "–" if failed(own) else own.values(what)


def failed(own: Records) -> bool:
    return own.mean("diverged") > 0.5


# -- pictures ----------------------------------------------------------------------------------------------------------

HUES = {"sgd": "sgd", "batch norm": "purple", "momentum": "momentum", "adam": "adam"}


def chosen_rates(own: Records) -> list[Record]:
    """Three rates to show: one below, one near and one above −3, of those that did not diverge."""
    runs = sorted((r for r in own if sound(r) and r.seed == own[0].seed), key=lambda r: r.config.lr)
    if len(runs) < 3:
        return runs
    near = min(runs[1:-1], key=lambda r: abs(r.summary["ratio"] + 3))
    return [runs[0], near, runs[-1]]


def rates_picture(records: Records) -> tuple[style.Figure, str]:
    groups = records.named(kind_of)
    kind = "sgd" if "sgd" in groups else next(iter(groups))
    runs = chosen_rates(groups[kind]) or groups[kind][:1]
    figure, grid = style.figure(1, len(runs), height=3.8, sharey=True, squeeze=False)
    for axes, r in zip(grid[0], runs, strict=True):
        seen = diagnose.Record.from_arrays(r.arrays, "record_")
        weights = seen.matrices()
        with np.errstate(all="ignore"):
            true = np.log10(seen.update_to_data[:, weights])
        for k in range(len(weights)):
            axes.plot(seen.step, true[:, k], color=style.layer(k, len(weights)), linewidth=1.6)
        style.guide(axes, -3.0)
        last = int(seen.step[-1])
        style.frame(axes, f"rate {r.config.lr:g}", ylim=(-7, 0), xlim=(0, max(last, 1)))
        axes.set_xticks([0, last], ["0", f"{last:,}"])
        place: dict[str, Any] = {"xycoords": "axes fraction", "ha": "right", "fontsize": 12}
        style.note(axes, f"loss {r.summary['val_loss']:.2f}", (0.96, 0.03), **place)
    grid[0, 0].set_ylabel("log10 of update : data")
    figure.supxlabel("step", color=style.muted(), fontsize=12.5)
    names = ["embedding", *(f"layer {k}" for k in range(1, len(weights) - 1)), "output"]
    style.legend_above(figure, grid[0, 0].lines[: len(weights)], names, 4)
    return figure, (
        f"What each update does to the weights, {SHOWN.get(kind, '')}. The dashed line is a thousandth. The output "
        "layer begins far above the others, since its weights begin small; validation loss at the end in the corner."
    )


def search_picture(records: Records) -> style.Figure:
    """Each dot is a training run at one learning rate, small rates on the left; rings mark the best. The rule of thumb
    puts them on the dashed line.
    """
    figure, axes = style.figure(height=4.0)
    lines, top = [], []
    for kind, own in records.named(kind_of).items():
        some = [Records([r for r in same if sound(r)]) for same in own.by("lr").values()]
        points = [(good.mean("ratio"), good.mean("val_loss")) for good in some if good]
        if not points:
            continue
        x, y = np.array(points).T
        hue = style.colour(HUES.get(kind, "grey"))
        lines += axes.plot(x, y, "o-", color=hue, markersize=6, linewidth=1.8, label=SHOWN.get(kind, kind))
        best = int(np.argmin(y))
        axes.plot(x[best], y[best], "o", markersize=14, markerfacecolor="none", markeredgecolor=hue, mew=1.8)
        top.append(y)
    if top:
        low, high = min(y.min() for y in top), max(y.max() for y in top)
        style.reach(axes, low - 0.06, min(high, low + 1.1) + 0.06)
    style.guide(axes, -3.0, "a thousandth", vertical=True, at=1.0)
    title = records.fill("Validation loss after {steps:,} steps")
    style.frame(axes, title, "log10 of update : data, median of the layers")
    style.legend_above(figure, lines, [str(line.get_label()) for line in lines], 4)
    return figure


def formula_picture(records: Records) -> style.Figure | None:
    """The lecture's formula is the update of plain gradient descent and of nothing else. With momentum it is several
    times too small, with Adam by the size of the gradients: better to record what the optimiser does.
    """
    groups = records.named(kind_of)
    if not groups.keys() & {"momentum", "adam"}:
        return None
    figure, axes = style.figure(height=3.4)
    ends = []
    for kind, lr in (("sgd", 0.1), ("momentum", 0.01), ("adam", 0.001)):
        for r in [r for r in groups.get(kind, []) if r.config.lr == lr and sound(r)][:1]:
            seen = diagnose.Record.from_arrays(r.arrays, "record_")
            weights = seen.matrices()[1:]
            with np.errstate(all="ignore"):
                over = np.nanmedian(seen.update_to_data[:, weights] / seen.lecture_ratio[:, weights], axis=1)
            name = f"{OPTIMIZERS[kind]}, {lr:g}"
            ends += style.lines(axes, [(seen.step, over, name, style.colour(HUES[kind]))])
    style.frame(axes, "Update made / (rate × gradient)", "step", ylog=())
    style.label_ends(axes, ends)
    return figure


plot = pictures(rates=rates_picture, search=search_picture, formula=formula_picture)

NEXT = [
    "A finer search: `--set lr=0.05,0.2,0.5`.",
    "Longer runs are kinder to smaller updates: `--set steps=10000`.",
    "A deeper network: `--set depth=12`. Does −3 still find a rate that works?",
]
