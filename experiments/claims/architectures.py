"""The claims that `experiments/lessons/architectures.py` settles."""

from experiments.claim import Claim

ARCHITECTURE = "we must move to more powerful architectures like Recurrent Neural Networks and Transformers"
HALF = "Half of what the lecture gains by its first repair."

CLAIMS = [
    Claim("rnn", "A recurrent network gets below the loss of the MLP with three characters.",
          source=(2, 4), quantity="rnn/small", than="mlp 3/small", high=-0.02, format=".4f", says=ARCHITECTURE,
          budget="full", why=HALF),
    Claim("gru", "… and so does one with gates, a GRU.",
          source=(2, 4), quantity="gru/small", than="mlp 3/small", high=-0.02, format=".4f", says=ARCHITECTURE,
          part_of="rnn", budget="full", why=HALF),
    Claim("transformer", "… and a Transformer.",
          source=(2, 4), quantity="transformer/small", than="mlp 3/small", high=-0.02, format=".4f", says=ARCHITECTURE,
          part_of="rnn", budget="full", why=HALF),
    Claim("gru-window",
          "It takes another architecture, not only a longer window: a GRU beside the MLP with eight characters.",
          source=(2, 4), quantity="gru/small", than="mlp 8/small", high=-0.02, format=".4f", says=ARCHITECTURE,
          budget="full", why=HALF),
    Claim("transformer-window", "… and a Transformer beside it.",
          source=(2, 4), quantity="transformer/small", than="mlp 8/small", high=-0.02, format=".4f", says=ARCHITECTURE,
          part_of="gru-window", budget="full", why=HALF),
    Claim("gated", "Plain recurrent networks are difficult to train, and gates answer it: a GRU beside an RNN.",
          source=4, quantity="gru/small", than="rnn/small", high=-0.02, format=".4f",
          says="notoriously difficult to train", budget="full", why=HALF),
    Claim("cut", "The context is the bottleneck: a GRU that is shown three characters beside one that has read all.",
          source=4, quantity="gru 3/small", than="gru/small", low=0.02, format=".4f",
          says="bottlenecked by its fundamental context length", budget="full", why=HALF),
    Claim("same-context", "… and not the architecture: a GRU that is shown three characters beside the MLP that is.",
          source=4, quantity="gru 3/small", than="mlp 3/small", low=-0.02, high=0.02, format=".4f",
          says="bottlenecked by its fundamental context length", part_of="cut", budget="full",
          why="Less than half of what the lecture gains by its first repair."),
]  # fmt: skip
