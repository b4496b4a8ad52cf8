"""The claims that `experiments/lessons/edge_of_stability.py` settles."""

from experiments.claim import Claim

CLAIMS = [
    Claim("smoother-first", "Batch normalisation smooths the landscape: before training it is less sharp.",
          source=4, quantity="first/batchnorm", than="first/kaiming", ratio=True, high=0.5, format=".3f",
          says="smoothing out the optimization landscape", why="Half as sharp, or less."),
    Claim("smoother-late", "… and late in training, at the same loss.",
          source=4, quantity="at_late/batchnorm/0.3", than="at_late/kaiming/0.3", ratio=True, high=0.5, format=".2f",
          says="smoothing out the optimization landscape", budget="default", part_of="smoother-first",
          why="Half as sharp, or less.", note="It becomes sharper."),
    Claim("higher-rates",
          "Batch normalisation allows much higher learning rates: 2/λ at the start, with it and without.",
          source=4, quantity="stable/batchnorm", than="stable/kaiming", ratio=True, low=2.0, format=".2f",
          says="much higher learning rates", why="“Much”: twice, as in the lesson `batch_norm`.",
          note="The same sentence is tried in `batch_norm`, by training, and for badly scaled weights in `deep_bn`."),
    Claim("fragile-start",
          "Weights of the wrong scale force a smaller learning rate: the original network begins in a sharper valley.",
          source=4, quantity="first/original", than="first/kaiming", ratio=True, low=2.0, format=".2f",
          says="forces the use of smaller learning rates", why="Twice as sharp."),
    Claim("ratio-unstable",
          "Updates far above 1/1000 of the weights mean unstable training: the share of steps in which the loss "
          "rises, at rate 4.",
          source=(1, 3), quantity="rising/kaiming/4", low=0.2, format=".2f", says="training may be unstable",
          budget="default", why="One step in five."),
    Claim("ratio-unstable-ratio", "… at that rate the ratio is 10⁻² or more.",
          source=(1, 3), quantity="ratio/kaiming/4", low=-2.0, format=".2f", says="−2 or −1", budget="default",
          part_of="ratio-unstable", why="As printed."),
    Claim("ratio-stable", "Around 1/1000 training is healthy: the share of steps in which the loss rises, at rate 0.3.",
          source=(1, 3, 4), quantity="rising/kaiming/0.3", high=0.05, format=".2f", says="healthy", budget="default",
          why="One step in twenty."),
    Claim("ratio-stable-ratio", "… at that rate the ratio is about 10⁻³.",
          source=(1, 3, 4), quantity="ratio/kaiming/0.3", low=-3.3, high=-2.7, format=".2f", says="−3",
          budget="default", part_of="ratio-stable", why="10⁻³ within a factor of two."),
    Claim("ratio-too-high",
          "A ratio above 10⁻³ says that the learning rate is too high: the loss at rate 2, beside that at 0.3.",
          source=(1, 3, 4), quantity="loss/kaiming/2", than="loss/kaiming/0.3", low=0.02, format=".3f",
          says="your learning rate is too high", budget="default",
          why="Half of what the lecture gains by its first repair.",
          note="Higher rates train at the edge of stability, where the loss rises in every other step, and are well "
               "ahead of the one at 10⁻³. That is with all examples in every step, without the noise of minibatches."),
]  # fmt: skip
