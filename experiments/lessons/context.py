"""How far back to look: is the context the bottleneck?

After every repair the lecture's network stays at a loss of about 2.10, and the lecture suspects that three characters
are simply too few to predict the fourth. Its network takes any number: so this lesson gives it one to twelve.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from experiments import style
from experiments.claims.context import CLAIMS as CLAIMS
from experiments.corpus import load
from experiments.curves import thinned
from experiments.experiment import Result, Table, locate
from experiments.pictures import pictures, where
from experiments.records import Records, mean_curve
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, table
from experiments.training import training
from models.mlp import MLP
from models.training import TrainConfig, evaluate, fit, generators
from npgrad import data

if TYPE_CHECKING:
    from models import CharacterModel

ORDER = 12

QUESTION = (
    "Is the context of three characters what keeps the loss at 2.10, as the lecture says, or is it something else?"
)
EXPECTATION = (
    "If it is the bottleneck, a network that sees more of the name should end lower by more than one that has more "
    "units or longer embeddings; and the gain should end where names do not depend on what is further back."
)

# -- configuration -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    """The lecture's network with Kaiming's initialisation."""

    context: int = 3
    """Characters it sees."""
    hidden: int = 200
    embedding: int = 10
    steps: int = 6_000
    batch_size: int = 32
    lr: float = 0.1
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        check(self, at_least={1: ("steps", "context", "embedding", "hidden")})

    @property
    def training(self) -> TrainConfig:
        return training(self)


WIDE, LONG = 800, 20
SWEEP = [
    {"context": (1, 2, 3, 4, 6, 8, 12)},
    {"context": (3,), "hidden": (WIDE,)},
    {"context": (3,), "embedding": (LONG,)},
]
QUICK = {"steps": 2_000, "context": (3, 8), "hidden": (200,), "embedding": (10,)}
FULL = {"steps": 200_000}


def cost(config: Config) -> float:
    return config.steps * (0.85 + 0.0002 * config.context * config.embedding * config.hidden / 10)


# -- one run -----------------------------------------------------------------------------------------------------------


def run(config: Config, progress: Progress) -> Result:
    corpus = load(config.data, config.context)
    model = MLP(
        vocab_size=len(corpus.vocabulary),
        context=config.context,
        rng=generators(config.seed).init,
        stage="kaiming",
        hidden=config.hidden,
        embedding=config.embedding,
    )
    losses = fit(model, *corpus.train, config.training, on_step=lambda step, loss: progress(step, config.steps))
    step, loss = thinned(losses)
    new = unseen(config, corpus)
    alone, beyond = importance(model, new, np.random.default_rng(config.seed))
    classes = len(corpus.vocabulary)
    return Result(
        summary={
            "train_loss": evaluate(model, *corpus.train),
            "val_loss": evaluate(model, *corpus.val),
            "new_loss": evaluate(model, *new),
            "counted_loss": counted(corpus.train, corpus.val, classes),
            "counted_new_loss": counted(corpus.train, new, classes),
            "beyond_three": beyond,
            "parameters": sum(p.size for p in model.parameters()),
            "names": len(data.read_words(locate(config.data))),
            "characters": classes,
            "known": 1 - len(new.y) / len(corpus.val.y),
        },
        series={"step": step, "loss": loss},
        arrays={"importance": alone},
    )


def unseen(config: Config, corpus: data.Corpus) -> data.Windows:
    """The validation names that are not among the training names: a name given to girls and boys stands twice."""
    train, val, _ = data.split(data.read_words(locate(config.data)))
    known = set(train)
    new = [word for word in val if word not in known]
    return data.windows(new, corpus.vocabulary, config.context) if new else corpus.val


def importance(model: CharacterModel, val: data.Windows, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """What each character back is worth to the model: by how much the loss rises when it is another name's.

    Returns the rises for 1, 2, … characters back, each alone, and the rise when all beyond the third are exchanged.
    """
    x, y = val.x[:10_000], val.y[:10_000]
    usual = evaluate(model, x, y)

    def rise(columns: slice) -> float:
        mixed = x.copy()
        mixed[:, columns] = x[rng.permutation(len(x)), columns]
        return evaluate(model, mixed, y) - usual

    context = x.shape[1]
    alone = [rise(slice(context - back, context - back + 1)) for back in range(1, context + 1)]
    return np.array(alone), rise(slice(0, context - 3)) if context > 3 else 0.0


def counted(train: data.Windows, val: data.Windows, characters: int) -> float:
    """Validation loss of counting: what followed the same characters in the training names, without any network.

    A context never seen says nothing, and one seen rarely little, so counts of long contexts are mixed with those of
    shorter ones: p(c | context) = (count(context, c) + 5T·p(c | shorter)) / (count(context) + 5T), where T is how many
    different characters followed: the more there were, the less sure it is of the next. (After Witten & Bell 1991, "The
    zero-frequency problem", method C, where the factor is 1; 5 was found by trial: most long contexts were seen once.)
    """
    p = np.full(len(val.y), 1 / characters)
    # A context is a number: contexts of one character more are numbered anew among those that occur.
    seen, asked = np.zeros(len(train.y), dtype=np.intp), np.zeros(len(val.y), dtype=np.intp)
    for back in range(train.x.shape[1] + 1):
        if back:
            known, seen = np.unique(seen * characters + train.x[:, -back], return_inverse=True)
            asked = looked_up(known, np.where(asked < 0, -1, asked * characters + val.x[:, -back]))
        pairs, often = np.unique(seen * characters + train.y, return_counts=True)
        total, kinds = np.bincount(seen), np.bincount(pairs // characters)
        pair = looked_up(pairs, np.where(asked < 0, -1, asked * characters + val.y))
        count = np.where(pair < 0, 0, often[pair])
        p = np.where(asked < 0, p, (count + 5 * kinds[asked] * p) / (total[asked] + 5 * kinds[asked]))
    return float(-np.log(p).mean())


def looked_up(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The places of numbers in a sorted list, −1 for those that are not in it."""
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[place] == wanted, place, -1)


# -- what it shows -----------------------------------------------------------------------------------------------------


def measure(records: Records) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for context, own in alike(records).by("context").items():
        found[f"val/{context}"] = own.values("val_loss")
        found[f"counted/{context}"] = own.values("counted_loss")[:1]  # of the data alone, as are the last two
        found[f"beyond/{context}"] = own.values("beyond_three")
    found["wide"] = records.values("val_loss", context=3, hidden=WIDE)
    found["names"], found["characters"] = (records.values(name)[:1] for name in ("names", "characters"))
    return found


def alike(records: Records) -> Records:
    """The runs that differ in context alone."""
    return records.where(hidden=lambda hidden: hidden != WIDE, embedding=lambda embedding: embedding != LONG)


def tables(records: Records) -> Iterator[Table]:
    def name(config: SimpleNamespace) -> str:
        extra = f", {WIDE} units" if config.hidden == WIDE else ""
        extra = f", embeddings of {LONG}" if config.embedding == LONG and not extra else extra
        return f"{config.context} character{'s' * (config.context > 1)}{extra}"

    columns = [Column("training", "train_loss", 4), Column("validation", "val_loss", 4), Column("new", "new_loss", 4)]
    # Counting knows neither units nor embeddings.
    columns += [Column("validation, counted", "{counted_loss:.4f}", hidden=200, embedding=10)]
    columns += [Column("new, counted", "{counted_new_loss:.4f}", hidden=200, embedding=10)]
    note = (
        "{steps:,} steps. New: validation names that are not training names too ({known:.0%} of the examples belong to "
        "names that are). Counted: how often each character followed the same ones in the training names, mixed with "
        "the counts of shorter contexts; no network."
    )
    groups = {label: own for same in records.by("context").values() for label, own in same.named(name).items()}
    yield table("Loss by context", "Context", groups, columns, note)


# -- pictures ----------------------------------------------------------------------------------------------------------


def loss_by_context(records: Records) -> style.Figure | None:
    """The network of 200 units at every context, and at three characters also one with more units or longer embeddings.
    Counting, which knows no similarity between characters, needs to have seen the very same context.
    """
    contexts = sorted(alike(records).by("context"))
    if not contexts:
        return None
    figure, axes = style.figure(height=3.8)
    blue, grey, orange = map(style.colour, ("blue", "grey", "orange"))
    values = [alike(records).values("val_loss", context=k) for k in contexts]
    ends = [(contexts[-1], style.means(axes, contexts, values, blue)[-1], "network", blue)]
    counts = [alike(records).mean("counted_loss", context=k) for k in contexts]
    dashes = {"marker": "s", "markersize": 6, "linestyle": (0, (4, 2))}
    ends += style.lines(axes, [(contexts, counts, "counting", grey)], **dashes)
    for other, marker, place, name in (
        (records.where(context=3, hidden=WIDE), "^", 3.12, f"{WIDE} units"),
        (records.where(context=3, embedding=LONG), "v", 2.88, f"embeddings of {LONG}"),
    ):
        if other:
            options = {"markersize": 9, "color": orange, "label": name, "linestyle": "none"}
            axes.plot(place, other.mean("val_loss"), marker, **options)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper right", fontsize=11.5, labelcolor=style.ink(), handletextpad=0.2)
    axes.margins(y=0.08)
    title = records.fill("Validation loss after {steps:,} steps")
    style.frame(axes, title, "characters seen", xticks=contexts)
    style.label_ends(axes, ends)
    return figure


@where(lambda own: alike(own).where(context=max(alike(own).by("context"), default=0)))
def worth(own: Records) -> style.Figure | None:
    """What each character is worth to the network that sees {context}: by how much its loss on new names rises when
    that one is taken from another name.
    """
    rises = mean_curve(own, "importance")
    if len(rises) < 2:
        return None
    figure, axes = style.figure(height=3.2)
    back = np.arange(1, len(rises) + 1)
    axes.bar(back, rises, width=0.7, color=[style.colour("blue" if k <= 3 else "orange") for k in back])
    axes.axvline(3.5, color=style.muted(), linewidth=1.2, linestyle=style.DASHED)
    place = {"xycoords": axes.get_xaxis_transform(), "va": "top"}
    style.note(axes, "not seen with a context of 3", (3.5, 0.97), (8, 0), ha="left", **place)
    style.frame(axes, "Rise in loss when one character is exchanged", "characters back", xticks=back)
    return figure


plot = pictures(context=loss_by_context, importance=worth)

NEXT = [
    "At the lecture's length, where a longer context has more to learn: `--set steps=200000 --set context=3,8`.",
    "Longer words need more of it? Your own list, one per line: `--set data=words.txt`.",
    "A wide network with a long context: `--set context=8 --set hidden=800`.",
]
