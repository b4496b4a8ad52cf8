"""The claims that `experiments/lessons/in_passing.py` settles."""

from experiments.claim import Claim

PRINTED = """
class BatchNorm1d:
    def __init__(self, dim, eps=1e-5, momentum=0.1):
        self.eps = eps
        self.momentum = momentum
        self.gamma = torch.ones(dim)  # Scale parameter
        self.beta = torch.zeros(dim)  # Shift parameter
        self.running_mean = torch.zeros(dim)
        self.running_var = torch.ones(dim)

    def __call__(self, x):
        if self.training:
            xmean = x.mean(0, keepdim=True)
            xvar = x.var(0, keepdim=True)
"""
"""The class of document 5, as printed there, up to the statistics of a batch."""

CLAIMS = [
    Claim("affine", "Normalising without γ and β limits what the network can express: its training loss without them.",
          source=1, quantity="affine/train_loss/without", than="affine/train_loss/with", low=0.01, format=".4f",
          says="could limit its expressive power", budget="default",
          why="A quarter of what the lecture gains by its first repair."),
    Claim("affine-trained", "γ and β are trained like weights: how many of the two get a gradient.",
          source=(1, 3), quantity="gradients", low=2, high=2, kind="identity", format=".0f"),
    Claim("buffers", "Running statistics are buffers and no part of the graph: how many of them are parameters.",
          source=3, quantity="trained_buffers", high=0, kind="identity", format=".0f"),
    Claim("bias-diversity", "A first bias drawn at random × 0.01, rather than zeros, works well: validation loss.",
          source=2, quantity="bias/val_loss/with", than="bias/val_loss/without", high=0.01, format=".4f",
          says="can work well", budget="default",
          why="No worse, to a quarter of what the lecture gains by its first repair."),
    Claim("bias-better", "… because it adds diversity: it ends lower.",
          source=2, quantity="bias/val_loss/with", than="bias/val_loss/without", high=-0.001, format=".4f",
          says="can add a little bit of diversity", budget="default", part_of="bias-diversity",
          why="The last digit in which losses are printed."),
    Claim("linear-one", "Linear layers in a row are one linear layer: largest relative difference of their logits.",
          source=2, quantity="difference", high=1e-4, kind="identity", format=".0e"),
    Claim("linear-differs", "Yet they learn differently: distance of their training losses after as many steps.",
          source=2, quantity="apart", low=0.01, format=".4f", says="backprop ends up working differently",
          budget="default", why="A quarter of what the lecture gains by its first repair."),
    Claim("relu-bias", "A large negative bias leaves ReLUs dead: those behind a bias of five standard deviations.",
          source=1, quantity="dead", low=0.5, format=".0%", says="due to a large negative bias",
          why="More likely than not."),
    Claim("time", "Without a graph a forward pass needs less time: 100 minibatches.",
          source=(3, 4), quantity="seconds/no_graph", than="seconds/graph", ratio=True, high=0.9, format=".4f",
          unit=" s", says="more computationally efficient", why="What is worth saying saves a tenth."),
    Claim("printed-class", "The class BatchNorm1d, as printed, normalises a batch: whether it can be called.",
          source=5, quantity="printed_runs", low=1, kind="fact", format=".0f", says="class BatchNorm1d",
          why="It runs or it does not.",
          note="It raises AttributeError: __call__ asks for `self.training`, which nothing sets."),
]  # fmt: skip
