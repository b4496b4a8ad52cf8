"""The claims that `experiments/lessons/deep_bn.py` settles."""

from experiments.claim import Claim

MUCH = "Two and a half times what the lecture gains by its first repair."

CLAIMS = [
    Claim("essential",
          "Batch normalisation is essential for training deep networks effectively: six layers without it and with it.",
          source=5, quantity="val/none", than="val/batch", low=0.02, format=".4f", says="essential", budget="default",
          why="Half of what the lecture gains by its first repair.",
          note="Six tanh layers whose weights have Kaiming's scale conserve activations and gradients by themselves."),
    Claim("small-gain",
          "A stack of twenty layers with weights too small learns nothing about its input without normalisation: its "
          "loss beside that of the letters' frequencies.",
          source=(1, 4), quantity="20/none/gain 0.5", than="20/none/letters", low=-0.02, format=".3f",
          says="vanish to zero", budget="default", why="What chance may make of the frequencies."),
    Claim("small-gain-repaired", "Batch normalisation makes the same stack train.",
          source=(2, 4), quantity="20/batch/gain 0.5", than="20/none/gain 0.5", high=-0.1, format=".3f",
          says="less brittle", budget="default", why=MUCH),
    Claim("too-large",
          "Weights without the factor 1/√fan_in, harmless in a shallow network, are not so in a deep one: loss with "
          "them and with Kaiming's.",
          source=2, quantity="20/none/gain 10", than="20/none/gain 5/3", low=0.1, format=".3f",
          says="this probably wouldn't work for deeper networks", budget="default", why=MUCH),
    Claim("pencil",
          "Without normalisation a very deep network is hypersensitive to the scale of its weights; with it, it is "
          "not: range of the losses over gains 0.5 to 10 at one rate.",
          source=(2, 4), quantity="20/batch/range", than="20/none/range", ratio=True, high=0.5, format=".3f",
          says="balancing a pencil", budget="default", why="Half as much, or less."),
    Claim("high-rate", "Batch normalisation allows a learning rate at which the plain stack fails: the losses at 0.5.",
          source=4, quantity="20/batch/fast", than="20/none/fast", high=-0.1, format=".3f",
          says="much higher learning rates", budget="default", why=MUCH),
    Claim("rates", "Training is more stable across learning rates: what five times the rate changes in the loss.",
          source=5, quantity="20/batch/rates", than="20/none/rates", high=-0.02, format=".3f",
          says="more stable across different learning rates", budget="default",
          why="Half of what the lecture gains by its first repair."),
    Claim("accelerates",
          "Normalisation drastically accelerates training: the best stack of twenty layers with it and without "
          "after as many steps.",
          source=(4, 5), quantity="20/batch/best", than="20/none/best", high=-0.1, format=".3f",
          says="drastically accelerating training", budget="default", why=MUCH,
          note="The best of gains and rates is chosen on other seeds. Normalisation widens the range of settings "
               "that work; the best plain stack has the right gain."),
    Claim("overfits-less",
          "The jitter of its batches keeps a normalised network from overfitting: validation less training loss.",
          source=(1, 2, 4), quantity="gap/batch", than="gap/none", high=-0.01, format=".4f",
          says="harder for the network to overfit", budget="default",
          why="A quarter of what the lecture gains by its first repair."),
]  # fmt: skip
