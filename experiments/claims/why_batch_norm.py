"""The claims that `experiments/lessons/why_batch_norm.py` settles."""

from experiments.claim import Claim

CLAIMS = [
    Claim("moving-target",
          "Without normalisation the inputs of a layer keep changing while it learns: change of each unit's mean and "
          "spread from first step to last.",
          source=4, quantity="drift/none/0.1", low=0.1, format=".3f", says="constantly changing",
          why="A twentieth of the interval from −1 to 1 in which a tanh unit lives."),
    Claim("reduces-shift", "Batch norm reduces it: change of layer inputs in one step.",
          source=(4, 5), quantity="shift/batch/0.1", than="shift/none/0.1", ratio=True, high=0.5, format=".4f",
          says="reduces internal covariate shift", why="Half as much, or less."),
    Claim("keeps-during-training",
          "Kaiming's rule sets the start and does nothing afterwards; batch norm holds activations throughout "
          "training: drift from first step to last.",
          source=2, quantity="drift/batch/0.1", than="drift/none/0.1", ratio=True, high=0.5, format=".3f",
          says="does nothing during continuous training", why="Half as much, or less."),
    Claim("reduces-gradient-shift",
          "Layers disturb each other's learning less: change of a layer's gradient by a step of the layers before it.",
          source=(4, 5), quantity="gradient_shift/batch/0.1", than="gradient_shift/none/0.1", ratio=True, high=0.5,
          format=".3f", says="a moving target", part_of="reduces-shift", why="Half as much, or less.",
          note="This is internal covariate shift as Santurkar et al. define it."),
    Claim("because-of-shift",
          "Batch norm trains better because the inputs of layers keep still: the share of its advantage that is lost "
          "when the shift is put back, rate 0.3.",
          source=(4, 5), quantity="advantage lost/0.3", low=0.5, format=".2f",
          says="faster training: reduces internal covariate shift", budget="default",
          why="Most of it is more than half.",
          note="A random shift and stretch of every unit at every step moves the inputs many times more than in the "
               "network without normalisation."),
    Claim("smoother-gradient", "Batch norm smooths the loss: change of the gradient along a step, by its length.",
          source=4, quantity="roughness/batch/0.1", than="roughness/none/0.1", ratio=True, high=0.5, format=".3g",
          says="smoothing out the optimization landscape", why="Half as rough, or less."),
    Claim("smoother-loss", "… and the loss itself varies less along the gradient.",
          source=4, quantity="variation/batch/0.1", than="variation/none/0.1", ratio=True, high=0.5, format=".3g",
          says="smoothing out the optimization landscape", part_of="smoother-gradient", why="Half as rough, or less."),
    Claim("forces-small-rates", "Without it only small learning rates work: the loss at rate 1.",
          source=4, quantity="loss/none/1", than="loss/batch/1", low=0.1, format=".2f",
          says="forces the use of smaller learning rates", why="Two and a half times the lecture's first repair."),
    Claim("scales-do-not-explode",
          "Batch norm prevents activations from exploding: std in layer 50 to layer 1, ReLU, weights twice too large.",
          source=(3, 4), quantity="forward/relu/batch/gain 3", low=0.9, high=1.1, kind="identity", format=".3f"),
    Claim("gradient-flow",
          "Batch norm maintains gradient flow in deep networks: gradient at layer 1 to layer 50, tanh, "
          "before training.",
          source=5, quantity="ratio/tanh/batch", ratio=True, low=0.1, high=10.0, format=",.0f",
          says="maintains gradient flow", why="Within a factor of ten over fifty layers.",
          note="Dividing by the standard deviation after each nonlinearity, which makes it smaller, multiplies the "
               "gradient in every layer, for whatever first weights (Yang et al. 2019)."),
    Claim("gradient-flow-relu", "The same for ReLU, where Kaiming's gain alone conserves gradients.",
          source=5, quantity="ratio/relu/batch", ratio=True, low=0.1, high=10.0, format=",.0f",
          says="maintains gradient flow", part_of="gradient-flow", why="Within a factor of ten over fifty layers.",
          note="The mean square grows by about π/(π − 1) = 1.47 in each layer, as Yang et al. derive "
               "for wide networks."),
]  # fmt: skip
