"""The claims that `experiments/lessons/through_time.py` settles."""

from experiments.claim import OURS, Claim

RNN = "standard form is notoriously difficult to train due to unstable gradient flows"
GATED = "GRU and LSTM were direct responses to these optimization challenges"
QUARTER = "A quarter of what there is to know."

CLAIMS = [
    Claim("vanishes", "Gradients of a plain recurrent network are unstable: what is left after fifty steps, gain 1.",
          source=4, quantity="left/rnn 1", ratio=True, high=0.1, nothing=1.0, format=".2g", says=RNN,
          why="A tenth left, or less."),
    Claim("explodes", "… and with weights three times as large.",
          source=4, quantity="left/rnn 3", ratio=True, low=10.0, nothing=1.0, format=".2g", says=RNN,
          part_of="vanishes", why="Ten times as large, or more."),
    Claim("gru", "Gates answer this: what is left with the gates of a GRU beside what is left without, gain 1.",
          source=4, quantity="left/gru", than="left/rnn 1", ratio=True, low=10.0, format=".2g", says=GATED,
          why="Ten times as much, or more."),
    Claim("lstm", "… and with those of an LSTM.",
          source=4, quantity="left/lstm 1", than="left/rnn 1", ratio=True, low=10.0, format=".2g", says=GATED,
          part_of="gru", why="Ten times as much, or more."),
    Claim("gru-holds", "… so that the gradient keeps its size: what is left of it in a GRU before training.",
          source=4, quantity="left/gru", ratio=True, low=0.1, high=10.0, format=".2g", says=GATED, part_of="gru",
          why="Within a factor of ten."),
    Claim("lstm-holds", "… and in an LSTM, before training.",
          source=4, quantity="left/lstm 1", ratio=True, low=0.1, high=10.0, format=".2g", says=GATED, part_of="gru",
          why="Within a factor of ten."),
    Claim("gru-keeps", "… once it has been trained to remember: what is left of it in a GRU.",
          source=4, quantity="left_after/gru", ratio=True, low=0.1, high=10.0, format=".2g", says=GATED, part_of="gru",
          budget="full", why="Within a factor of ten.",
          note="At first the gates are half open, and halve the gradient at each step, as slopes of tanh do."),
    Claim("lstm-keeps", "… and in a trained LSTM.",
          source=4, quantity="left_after/lstm 1", ratio=True, low=0.1, high=10.0, format=".2g", says=GATED,
          part_of="gru", budget="full", why="Within a factor of ten."),
    Claim("gru-learns",
          "Plain recurrent networks are difficult to train: what a GRU learns to remember of a character twenty back, "
          "less what the plain one does.",
          source=4, quantity="remembered/gru", than="remembered/rnn 1", low=0.25, format=".2f", says=RNN, budget="full",
          why=QUARTER),
    Claim("lstm-learns", "… and what an LSTM learns to remember, less what the plain one does.",
          source=4, quantity="remembered/lstm 1", than="remembered/rnn 1", low=0.25, format=".2f", says=RNN,
          part_of="gru-learns", budget="full", why=QUARTER),
    Claim("forget-bias", "A forget gate that begins open lets more of the gradient through: bias 1 beside bias 0.",
          source=OURS, quantity="left/lstm 1", than="left/lstm 0", ratio=True, low=10.0, format=".2g",
          why="Ten times as much, or more."),
    Claim("rule-mean",
          "Spectral radius times the mean slope of tanh predicts how fast the gradient vanishes: measured over "
          "predicted rate, gain 1.",
          source=OURS, quantity="by_mean/rnn 1", ratio=True, low=0.9, high=1.1, format=".3f",
          why="Within a tenth: the rule leaves out that units with larger slopes carry more."),
    Claim("rule-mean-square", "… and so does spectral radius times the root mean square of the slopes.",
          source=OURS, quantity="by_mean_square/rnn 1", ratio=True, low=0.9, high=1.1, format=".3f",
          why="Within a tenth.", part_of="rule-mean"),
    Claim("clipping",
          "Clipping the gradient to norm 1 holds down the largest updates of a network whose gradients explode: log10 "
          "of update to data, gain 3.",
          source=OURS, quantity="largest_update/clip 1", than="largest_update/no clip", high=-1.0, format=".2f",
          why="A factor of ten."),
]  # fmt: skip
