"""The claims that `experiments/lessons/optimisers.py` settles."""

from experiments.claim import Claim

HALF = "Half of what the lecture gains by its first repair."

CLAIMS = [
    Claim("adam-small",
          "Adam makes training more robust: what weights that are too small cost it, beside gradient descent.",
          source=1, quantity="penalty/adam/small", than="penalty/sgd/small", high=-0.02, format=".3f",
          says="more robust", budget="default", why=HALF),
    Claim("adam-large", "… and what weights that are too large cost it.",
          source=1, quantity="penalty/adam/large", than="penalty/sgd/large", high=-0.02, format=".3f",
          says="more robust", budget="default", part_of="adam-small", why=HALF),
    Claim("adam-lessens",
          "With an advanced optimiser the first weights need no longer be precise: Adam from weights that are too "
          "small and from good ones.",
          source=1, quantity="best/adam/small", than="best/adam/kaiming", high=0.02, format=".3f",
          says="the need for perfect initialization has been somewhat lessened", budget="default", why=HALF,
          note="Less crucial, not unimportant."),
    Claim("best-practice",
          "Kaiming's initialisation is still the best practice: Adam from it, and from the better of the others.",
          source=1, quantity="best/adam/kaiming", than="other/adam", high=-0.02, format=".3f",
          says="still considered best practice", budget="default", why=HALF),
    *(
        Claim(f"uneven-{start}",
              "Without proper initialisation the updates of different hidden layers vary greatly: largest over "
              "smallest "
              f"gradient with weights that are too {start}.",
              source=3, quantity=f"hidden_none/{start}", ratio=True, low=3.0, nothing=1.0, format=".2f", unit=" times",
              says="vary greatly", why="“Greatly”: three times.", part_of=part, note=note)
        for start, part, note in (
            ("small", "", "All are tiny, and all alike: the gradient of a weight is the activation that comes in from "
             "below times the gradient that arrives from above."),
            ("large", "uneven-small", ""),
        )
    ),
    Claim("last-layer", "Without proper initialisation the last layer may get ten times the gradient of earlier ones.",
          source=3, quantity="last_none/small", ratio=True, low=5.0, high=20.0, nothing=1.0, format=".1f",
          unit=" times", says="10 times", why="10 within a factor of two."),
    Claim("calibrated",
          "Carefully calibrated weights make gradients homogeneous across all layers: the last one's over the others'.",
          source=(1, 3), quantity="last_none/kaiming", ratio=True, low=1 / 3, high=3.0, format=".1f", unit=" times",
          says="homogeneous across all layers", why="Within a factor of three.",
          note="The hidden layers are alike, but the last one is far ahead: its weights are a tenth of Kaiming's, so "
               "that the loss begins at ln 27, and only that tenth goes down."),
    Claim("normalised",
          "Batch normalisation brings homogeneity about by itself: largest over smallest gradient of the hidden "
          "layers, too large weights, with it and without.",
          source=3, quantity="hidden_batch/large", than="hidden_none/large", ratio=True, high=0.5, format=".2f",
          unit=" times", says="introduced to manage this homogeneity automatically", why="Half as uneven, or less."),
]  # fmt: skip
