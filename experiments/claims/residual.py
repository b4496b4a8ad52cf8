"""The claims that `experiments/lessons/residual.py` settles."""

from experiments.claim import Claim

HALF = "Half of what the lecture gains by its first repair."

CLAIMS = [
    Claim("convolution", "A convolution is a linear layer applied to overlapping patches (largest difference).",
          source=2, quantity="convolution", high=1e-10, kind="identity", format=".0e"),
    Claim("bias-off",
          "In convolution → batch norm → ReLU the convolution's bias is spurious and switched off: its largest "
          "gradient, relative to the weights'.",
          source=(1, 3), quantity="bias_gradient", high=1e-5, kind="identity", format=".0e"),
    Claim("residual-small",
          "Residual connections make the scale of the first weights less important: loss added by weights five times "
          "too small, SGD, no normalisation, beside a plain network.",
          source=(1, 2), quantity="small/residual + SGD", than="small/plain + SGD", high=-0.02, format=".3f",
          says="less important", budget="default", why=HALF),
    Claim("residual-large",
          "The same for weights that are too large (no division by √fan-in): share of the networks that survive them.",
          source=(1, 2), quantity="finite/large/residual + SGD", low=0.5, format=".2f", says="less important",
          part_of="residual-small", why="More of them than not.",
          note="Without normalisation too large weights multiply the activations of every block; adding the input "
               "does not change that."),
    Claim("norm-small",
          "Batch norm makes it less important: loss added by too small weights, plain network, SGD, "
          "with it and without.",
          source=(1, 2, 4), quantity="small/plain + batch norm + SGD", than="small/plain + SGD", high=-0.02,
          format=".3f", says="less critical", budget="default", why=HALF),
    Claim("norm-large", "… and by too large weights.",
          source=(1, 2, 4), quantity="large/plain + batch norm + SGD", high=0.2, format=".3f", says="less critical",
          part_of="norm-small", why="Half of what such a network learns beyond frequencies.",
          note="Without batch norm such a network diverges."),
    Claim("adam-small",
          "Adam makes it less important: loss added by too small weights, plain network, no normalisation, beside SGD.",
          source=1, quantity="small/plain + Adam", than="small/plain + SGD", high=-0.02, format=".3f", says="lessened",
          budget="default", why=HALF),
    Claim("adam-large", "… and by too large ones: their loss over that with Kaiming's weights.",
          source=1, quantity="loss/large/plain + Adam", than="loss/kaiming/plain + Adam", ratio=True, high=2.0,
          format=",.0f", says="lessened", budget="default", part_of="adam-small", why="Twice the loss, at most.",
          note="Adam rescales gradients, not activations: the loss begins at ten million, because every layer "
               "multiplies the signal."),
    Claim("kaiming-best",
          "A principled initialisation is still best practice: with residual connections and batch norm, Kaiming's "
          "loss beside the better of the other two, SGD.",
          source=1, quantity="loss/kaiming/residual + batch norm + SGD", than="other/residual + batch norm + SGD",
          high=-0.01, format=".3f", says="still considered best practice", budget="default",
          why="A quarter of what the lecture gains by its first repair."),
    Claim("fifty-layers",
          "Batch norm allows 50 layers: the loss of a plain network, beside knowing only how frequent characters are, "
          "at the better of two rates.",
          source=3, quantity="deep/batch/plain", than="frequencies/batch/plain", high=-0.05, format=".3f",
          says="enabled 50 layers", budget="default", why="More than one learns by chance."),
    Claim("fifty-layers-without", "Without it they are too fragile to train (the same, no normalisation).",
          source=(3, 4), quantity="deep/none/plain", than="frequencies/none/plain", low=-0.05, format=".3f",
          says="previously hindered", budget="default", part_of="fifty-layers",
          why="No more than one learns by chance.",
          note="Given thousands of steps, at the smaller rate, they train as well as plain networks with batch "
               "normalisation do."),
]  # fmt: skip
