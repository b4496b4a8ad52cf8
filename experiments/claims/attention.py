"""The claims that `experiments/lessons/attention.py` settles."""

from experiments.claim import OURS, Claim

HALF = "Half of what the lecture gains by its first repair."

CLAIMS = [
    Claim("initial-loss",
          "With small weights in the last layer, a Transformer too begins where equal probabilities put the loss.",
          source=(1, 3, 4), quantity="initial_loss/pre 2", low=3.25, high=3.35, format=".3f", says="3.3", corpus=True,
          why="3.3 as printed."),
    Claim("overconfident", "… and with unscaled ones it begins confidently wrong.",
          source=(1, 2, 3, 4), quantity="initial_loss/pre 2 output 5", than="initial_loss/pre 2", low=1.0, format=".2f",
          says="confidently wrong", part_of="initial-loss", why="E times less probable, on average."),
    Claim("output-better", "Small weights in the last layer end at a better validation loss.",
          source=(1, 4), quantity="val_loss/pre 2", than="val_loss/pre 2 output 5", high=-0.02, format=".4f",
          says="a better final validation loss", budget="full", why=HALF),
    Claim("ratio", "The ideal ratio of update to data is about 10⁻³: log10 of the median matrix's at the best rate.",
          source=(1, 2, 3, 4), quantity="best_ratio", low=-3.3, high=-2.7, format=".2f", says="−3", budget="full",
          why="10⁻³ within a factor of two."),
    Claim("essential",
          "Normalisation is essential for training deep networks effectively: eight blocks without it and with it.",
          source=5, quantity="val_loss/none 8", than="val_loss/pre 8", low=0.02, format=".4f", says="essential",
          budget="full", why=HALF,
          note="Losses above that of the untrained network with small output weights count as that one."),
    Claim("essential-shallow", "… and two blocks without it and with it.",
          source=5, quantity="val_loss/none 2", than="val_loss/pre 2", low=0.02, format=".4f", says="essential",
          part_of="essential", budget="full", why=HALF),
    Claim("homogeneous",
          "Gradients should be alike in all layers: the largest of twelve blocks over the smallest, norm "
          "before each branch.",
          source=3, quantity="spread/pre", ratio=True, high=2.0, format=".3g", says="homogeneous",
          why="Within a factor of two."),
    Claim("homogeneous-post", "… with the norm after each sum.",
          source=3, quantity="spread/post", ratio=True, high=2.0, format=".3g", says="homogeneous",
          part_of="homogeneous", why="Within a factor of two."),
    Claim("warm-up", "With the norm after each sum, eight blocks need a learning rate that begins small.",
          source=OURS, quantity="val_loss/post 8 warm-up", than="val_loss/post 8", high=-0.02, format=".4f",
          budget="full", why=HALF,
          note="At the rate that is best for two blocks both stay at the frequencies of the letters. At 0.003 one "
               "seed does so without a warm-up, and reaches 2.30 with one."),
    Claim("warm-up-pre", "… and with the norm before each branch it makes no difference.",
          source=OURS, quantity="val_loss/pre 8 warm-up", than="val_loss/pre 8", low=-0.02, high=0.02, format=".4f",
          part_of="warm-up", budget="full", why="Less than half of what the lecture gains by its first repair."),
    Claim("pre-deep", "Eight blocks end lower with the norm before each branch than with it after each sum.",
          source=OURS, quantity="val_loss/pre 8", than="val_loss/post 8", high=-0.02, format=".4f", budget="full",
          why=HALF),
    Claim("previous", "One head looks mostly at the character before: its mean weight there.",
          source=OURS, quantity="previous/pre 2", low=0.5, format=".2f", budget="full", why="“Mostly” is half."),
]  # fmt: skip
