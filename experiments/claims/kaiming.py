"""The claims that `experiments/lessons/kaiming.py` settles."""

from experiments.claim import Claim

CLAIMS = [
    Claim("root-fan-in",
          "For standard normal x and W the standard deviation of x @ W is √fan_in: what it is, over √fan_in.",
          source=1, quantity="root_of_fan_in/linear", low=0.98, high=1.02, kind="identity", format=".3f"),
    Claim("sum-of-100", "A hundred inputs of variance 1 add up to a deafening roar: the standard deviation of the sum.",
          source=4, quantity="sum_of_100/linear", low=9.7, high=10.3, kind="identity", format=".2f", says="√100"),
    Claim("linear-conserved", "With weights of standard deviation 1/√fan_in linear layers preserve it: factor a layer.",
          source=(1, 3, 4), quantity="forward/linear", low=0.98, high=1.02, kind="identity", format=".3f"),
    Claim("default-linear",
          "PyTorch's nn.Linear draws weights that keep a Gaussian input Gaussian: its standard deviation "
          "behind one such layer.",
          source=2, quantity="default_linear/linear", low=0.9, high=1.1, format=".3f",
          says="roughly Gaussian input, roughly Gaussian output", why="Within a tenth of 1.",
          note="It draws from ±1/√fan_in evenly, which has a deviation of 1/√3 of that: each layer shrinks "
               "the signal to 0.58."),
    *(
        Claim(f"variance-{word}-{k}", f"Weights too {word}: variance of the activations in layer {k}.",
              source=4, quantity=f"variance_{k}/linear {name}", low=0.9 * base**k, high=1.1 * base**k, kind="identity",
              format=".3g", note="These are weights that multiply the variance by 10, or divide it by 10, in each "
                                 "layer.")
        for word, name, base in (("large", "×10", 10.0), ("small", "×0.1", 0.1))
        for k in (1, 2, 3)
    ),
    Claim("explodes",
          "Too large weights in the end give inf: the first of 100 layers that does, at ten times the "
          "variance a layer.",
          source=4, quantity="first_infinite/linear ×10", low=1, high=100, kind="identity", format=".0f"),
    Claim("vanishes", "Too small weights in the end give activations that are all zero: the first of 100 layers.",
          source=4, quantity="first_zero/linear ×0.1", low=1, high=100, kind="identity", format=".0f"),
    Claim("gain-relu", "The gain of ReLU is √2: the gain that keeps variance 1, measured.",
          source=(1, 2, 4), quantity="gain_needed/relu", low=1.404, high=1.424, kind="identity", format=".3f",
          says="√2"),
    Claim("gain-linear", "The gain of a linear layer is 1.",
          source=3, quantity="gain_needed/linear", low=0.99, high=1.01, kind="identity", format=".3f"),
    Claim("gain-tanh", "The gain of tanh is 5/3: the gain that keeps variance 1, measured.",
          source=(1, 3, 4), quantity="gain_needed/tanh", low=1.66, high=1.67, nothing=1.0, format=".3f", says="5/3",
          why="5/3 to two decimals.",
          note="Pre-activations keep a variance of 1 with 1.593. With 5/3, a round number near it, "
               "they settle at 1.18."),
    Claim("relu-half", "ReLU discards half of the distribution: its outputs that are 0.",
          source=(1, 2), quantity="off/relu", low=0.49, high=0.51, kind="identity", format=".3f", says="half"),
    Claim("relu-conserved",
          "With gain √2 ReLU layers keep the variance: size after 50 layers over that after the first.",
          source=(1, 2, 3, 4), quantity="forward_ratio/relu", ratio=True, low=0.5, high=2.0, format=".2f",
          says="preserve", why="Within a factor of two over fifty layers."),
    Claim("relu-backward",
          "What is right forward is about right backward: gradient at layer 1 over that at layer 50, ReLU.",
          source=2, quantity="gradient_ratio/relu", ratio=True, low=0.5, high=2.0, format=".2f",
          says="approximately good", why="Within a factor of two over fifty layers."),
    Claim("narrowing",
          "Up to some factor: gradients through layers that narrow from 512 to 128 units, first over "
          "last (theory: 0.5).",
          source=2, quantity="gradient_ratio/relu fan_in", low=0.4, high=0.65, kind="identity", format=".2f"),
    Claim("tanh-unit", "The gain 5/3 brings tanh activations back to unit standard deviation: after 50 layers.",
          source=(1, 3), quantity="last_std/tanh", low=0.9, high=1.1, format=".3f", says="unit standard deviation",
          why="Within a tenth of 1.",
          note="Outputs between −1 and 1 could reach a deviation of 1 only if all were at the ends. They hold at "
               "0.65: document 3 says both."),
    Claim("tanh-gradients", "Gradients are homogeneous: first over last layer, 50 layers of tanh with gain 5/3.",
          source=3, quantity="gradient_ratio/tanh", ratio=True, low=0.5, high=2.0, format=".0f", says="homogeneous",
          why="Within a factor of two over fifty layers.",
          note="They grow by a tenth in each layer on their way back: the mean square of gain times slope is 1.21 "
               "where the activations stand still, not 1. Five layers hardly show it; fifty do."),
    Claim("tanh-1-shrinks",
          "Without a gain tanh reduces the variance layer by layer: deviation after 50 layers and one.",
          source=(1, 2, 4), quantity="last_std/tanh 1", than="first_std/tanh 1", ratio=True, high=0.5, format=".3f",
          says="they shrink", why="Half of it gone."),
    Claim("grows-saturates",
          "If the standard deviation grows, units saturate: part beyond 0.97 after 50 layers, gain 3 beside 5/3.",
          source=(1, 2), quantity="last_saturated/tanh 3", than="last_saturated/tanh", low=20.0, format=".0f",
          unit=" %", says="they will saturate", why="A fifth of the units."),
    Claim("first-layer",
          "For the first layer of the lecture's network fan_in is 30, and its weights get a deviation of (5/3)/√30.",
          source=3, quantity="first_weights/tanh", low=0.29, high=0.32, kind="identity", format=".3f"),
    Claim("brittle-layers",
          "The factor 0.2 found by hand no longer fits with three more layers: saturated units of the last.",
          source=4, quantity="brittle 0.2 200 4", low=20.0, format=".0f", unit=" %", says="brittle",
          why="Four times the 5 % that documents 3 and 4 call healthy."),
    Claim("brittle-width", "Nor with a hidden layer of 500 units instead of 200: its saturated units.",
          source=4, quantity="brittle 0.2 500 1", low=20.0, format=".1f", unit=" %", says="brittle",
          why="Four times the 5 % that documents 3 and 4 call healthy.",
          note="A single hidden layer sees its 30 inputs whatever its own width is: nothing changes for it. The "
               "width matters for the layer behind."),
    Claim("robust", "Kaiming's rule fits any width and depth: saturated units of the last of four layers of 500.",
          source=(1, 4), quantity="brittle Kaiming 500 4", high=10.0, format=".1f", unit=" %",
          says="scales to much larger models", why="Twice the 5 % that documents 3 and 4 call healthy."),
]  # fmt: skip
