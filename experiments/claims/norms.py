"""The claims that `experiments/lessons/norms.py` settles."""

from experiments.claim import Claim

CLAIMS = [
    Claim("batch-couples",
          "Batch norm couples the examples of a batch: an example's logits move with its company (std, batches of 4).",
          source=(1, 2), quantity="coupling/batch", low=0.01, kind="identity", format=".3f"),
    Claim("layer-does-not", "Layer normalisation avoids that.",
          source=1, quantity="coupling/layer", high=1e-5, kind="identity", format=".0e"),
    Claim("group-does-not", "So does group normalisation.",
          source=1, quantity="coupling/group", high=1e-5, kind="identity", format=".0e"),
    Claim("two-modes",
          "Behaving differently in training and evaluation makes batch norm a source of bugs: what evaluating in "
          "training mode adds to the loss, batches of 4.",
          source=1, quantity="forgotten/batch", low=0.04, format=".3f", says="a frequent source of bugs",
          why="What the lecture gains by its first repair."),
    Claim("one-mode", "Layer normalisation does the same in both modes.",
          source=1, quantity="forgotten/layer", high=1e-5, kind="identity", format=".0e"),
    Claim("small-batches",
          "Small batches make its statistics noisy: what batch norm loses to layer norm at batches of 4, beside what "
          "it does at 32, each at its best rate.",
          source=3, quantity="batch beside layer/4", than="batch beside layer/32", low=0.02, format=".3f",
          says="small batch yields noisy statistics", budget="default",
          why="Half of what the lecture gains by its first repair.",
          note="At full length some diverge: once in 2,600 steps all four contexts are the one that every name "
               "begins with, the variance is 0, and the gradient of such a batch is that of the twins below."),
    Claim("effective",
          "Batch norm remains in use for its proven effectiveness: its validation loss beside that of layer norm, "
          "each at its best rate, batches of 32.",
          source=(1, 2), quantity="best/batch/32", than="best/layer/32", high=-0.02, format=".3f",
          says="widely used due to its proven effectiveness", budget="default",
          why="Half of what the lecture gains by its first repair."),
    Claim("fifty-layers",
          "Batch norm made networks of 50 layers trainable: loss with it and without, each at its best gain and rate.",
          source=3, quantity="any gain/batch/50", than="any gain/none/50", high=-0.1, format=".3f",
          says="enabled the reliable training of very deep networks (e.g., 50 layers)", budget="default",
          why="Two and a half times what the lecture gains by its first repair."),
    Claim("fragile",
          "Very deep networks without it are extremely sensitive to initialisation: range of losses over gains 0.5 to "
          "3, each at its best rate, 20 layers.",
          source=4, quantity="gain_range/batch/20", than="gain_range/none/20", ratio=True, high=0.5, format=".3f",
          says="extremely fragile and hyper-sensitive", budget="default", why="Half as much, or less."),
    Claim("fragile-layer", "A similar technique such as layer norm protects as well.",
          source=4, quantity="gain_range/layer/20", than="gain_range/none/20", ratio=True, high=0.5, format=".3f",
          says="or a similar technique like LayerNorm", budget="default", part_of="fragile",
          why="Half as much, or less.", note="Behind a normalisation small weights have large gradients."),
]  # fmt: skip
