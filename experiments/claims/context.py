"""The claims that `experiments/lessons/context.py` settles."""

from experiments.claim import Claim

CLAIMS = [
    Claim("limits", "Three characters are what limits the network: with eight it ends lower.",
          source=(2, 4), quantity="val/8", than="val/3", high=-0.02, format=".4f", says="bottleneck", budget="default",
          why="Half of what the lecture gains by its first repair.",
          note="Documents 2 and 4 conclude that recurrent networks or transformers are needed to get lower; this is "
               "the same network with a longer window."),
    Claim("bottleneck", "The context is the bottleneck: five more characters beside four times as many hidden units.",
          source=(2, 4), quantity="val/8", than="wide", high=-0.02, format=".4f", says="bottleneck", budget="default",
          part_of="limits", why="Half of what the lecture gains by its first repair."),
    Claim("far-back",
          "Names depend on more than the last three characters: what a network that sees twelve loses when those "
          "further back are another name's.",
          source=4, quantity="beyond/12", low=0.04, format=".3f", says="inherently limiting", budget="default",
          why="What the lecture gains by its first repair."),
    Claim("counting",
          "Three characters are too few for any method: the loss of counting with four, less that with three.",
          source=4, quantity="counted/4", than="counted/3", high=-0.02, kind="fact", format=".4f",
          says="inherently limiting", budget="default", corpus=True,
          why="Half of what the lecture gains by its first repair."),
    Claim("names", "The corpus has about 32,000 names.",
          source=4, quantity="names", low=31_500, high=32_500, kind="fact", format=",.0f", says="32,000", corpus=True,
          why="32 thousand, as printed."),
    Claim("characters", "There are 27 characters, the mark that begins and ends a name among them.",
          source=(1, 3, 4), quantity="characters", low=27, high=27, kind="fact", format=".0f", says="27", corpus=True,
          why="As printed."),
]  # fmt: skip
