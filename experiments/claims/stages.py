"""The claims that `experiments/lessons/stages.py` settles."""

import math

from experiments.claim import OURS, Claim

LECTURE = {
    "original": (2.1245, 2.1682),
    "output": (2.07, 2.13),
    "hidden": (2.0356, 2.1027),
    "kaiming": (2.0377, 2.1070),
    "batchnorm": (2.0668, 2.1048),
}
"""Final training and validation loss, as the lecture records them."""

NAMES = ("original", "output × 0.01", "hidden × 0.2", "Kaiming", "batch norm")
EDITION = "The list of names is a later edition than the lecture's, and so is the tenth of it held back."

CLAIMS = [
    Claim("initial-original", "The untouched network begins at a loss of about 27: confidently wrong.",
          source=(1, 2, 3, 4), quantity="initial_loss/original", low=26.0, high=28.0, nothing=math.log(27),
          format=".2f", says="27", corpus=True, why="27 as printed, within one."),
    Claim("uniform", "Equal probabilities for all 27 characters cost ln 27.",
          source=(1, 3, 4), quantity="uniform_loss", low=3.29, high=3.30, kind="identity", format=".4f", says="3.29",
          corpus=True),
    Claim("initial-output",
          "With small weights and no bias in the last layer, the loss begins where equal probabilities put it.",
          source=(1, 3, 4), quantity="initial_loss/output", low=3.25, high=3.35, format=".3f", says="3.3", corpus=True,
          why="3.3 as printed."),
    Claim("wasted-steps",
          "The untouched network wastes thousands of steps before it begins to learn anything about names.",
          source=(1, 4), quantity="wasted_steps/original", low=2000, nothing=0.0, format=",.0f", unit=" steps",
          says="thousands of iterations", why="“Thousands” are two or more.",
          note="Counted until the loss, averaged over 100 steps, is first below that of equal probabilities."),
    Claim("no-hockey-stick", "Repairing the last layer removes the steep fall at the beginning.",
          source=(1, 4), quantity="wasted_steps/output", than="wasted_steps/original", high=-1000, format=",.0f",
          unit=" steps", says="we eliminate the hockey stick", why="A thousand steps are what may be called a waste."),
    Claim("output-better", "The repaired last layer ends at a better validation loss, 2.13 instead of 2.17.",
          source=(1, 2, 4), quantity="val_loss/output", than="val_loss/original", high=-0.02, format=".4f",
          says="a better final validation loss", budget="default",
          why="Half of the 0.04 by which the documents' numbers differ.",
          note="Document 1 says “better”; the two numbers are the lecture's own."),
    Claim("hidden-better", "Unsaturated hidden units lower the validation loss again.",
          source=(1, 4), quantity="val_loss/hidden", than="val_loss/output", high=-0.0135, format=".4f",
          says="a measurable improvement", budget="default",
          why="Half of the 0.027 by which the lecture's two losses differ."),
    Claim("bottleneck",
          "After these repairs initialisation is no longer what limits the network: by hand, by Kaiming's rule or "
          "with batch norm it ends at the same validation loss (largest less smallest of the three).",
          source=4, quantity="repaired_range", high=0.01, format=".4f", says="stabilized around 2.10", budget="default",
          why="A quarter of what the first repair gains."),
    Claim("batchnorm-worse", "The shallow network ends a little worse with batch norm than with Kaiming's rule alone.",
          source=OURS, quantity="val_loss/batchnorm", than="val_loss/kaiming", low=0.001, format=".4f",
          budget="default", why="The last digit but one in which the lecture compares losses."),
    *(
        # What two of its repairs differ in is no more than the bar's width.
        Claim(f"{part}-{stage}", f"{what} loss in the end, {name}.", source=0, quantity=f"{part}_loss/{stage}",
              low=round(value - 0.01, 4), high=round(value + 0.01, 4), format=".4f",
              says=f"{value:.{2 if stage == 'output' else 4}f}", budget="full", corpus=True,
              why="The lecture's number comes from one run; ±0.01 is a quarter of what its first repair gains.",
              note=note)
        for (stage, values), name in zip(LECTURE.items(), NAMES, strict=True)
        for value, (part, what, note) in zip(
            values, (("train", "Training", ""), ("val", "Validation", EDITION)), strict=True)
    ),
]  # fmt: skip
