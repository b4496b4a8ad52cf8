"""The claims that `experiments/lessons/initial_loss.py` settles."""

import math

from experiments.claim import Claim

PRINTED = {
    "good": ((0.1, -0.2, 0.0, 0.3), (0.253, 0.188, 0.229, 0.330)),
    "bad": ((0.1, -20.0, 15.0, -5.0), (6.0e-07, 1.3e-16, 1.0, 2.7e-10)),
}
"""Document 4's examples of small and of extreme logits, and the softmax it prints for them."""

CLAIMS = [
    Claim("order-of-magnitude", "The first loss is an order of magnitude larger than that of ignorance.",
          source=4, quantity="initial_loss/original", than="uniform_loss", ratio=True, low=math.sqrt(10), format=".1f",
          says="an order of magnitude", corpus=True, why="√10: nearer to ten times than to once."),
    Claim("extreme-logits", "The first logits are far from zero: their root mean square.",
          source=(1, 2, 3, 4), quantity="logit_size/original", low=5.0, format=".1f", says="extreme",
          why="A logit of 5 outweighs all 26 others at 0: e⁵ = 148."),
    Claim("overconfident", "The network is confident: the mean probability of its favourite character before training.",
          source=(1, 2, 3, 4), quantity="confidence/original", low=0.75, format=".2f", says="very confidently",
          part_of="extreme-logits", why="Three to one for a single one of 27 characters."),
    Claim("bias-contributes",
          "The random bias contributes to the extreme logits: what the first loss is with it, less that without.",
          source=(1, 4), quantity="initial_loss/original", than="initial_loss/1", low=1.0, format=".2f",
          says="contributes to the unwanted extremity", why="A twentieth of the 22 that the first loss is too high.",
          note="The bias is one of 201 terms of a logit and makes up less than a hundredth of its variance; "
               "repairing the bias and not the weights repairs nothing."),
    Claim("zero-output-perfect", "Last weights of exactly zero give the perfect first loss.",
          source=(1, 2), quantity="initial_loss/0", low=3.2957, high=3.2959, kind="identity", format=".4f",
          says="ln 27", corpus=True),
    Claim("zero-output-fine", "In the last layer zero is acceptable: validation loss with 0 beside that with 0.01.",
          source=(1, 2), quantity="val_loss/0", than="val_loss/0.01", low=-0.01, high=0.01, format=".4f",
          says="it would probably be fine", why="A quarter of what repairing the last layer gains in the lecture."),
    Claim("equal-logits", "Any equal value of all 27 logits gives the loss of ignorance: here 5.",
          source=2, quantity="equal_logits", low=3.2958, high=3.2959, kind="identity", format=".4f", says="ln 27"),
    Claim("all-zero-symmetric",
          "If all weights are zero, all hidden units compute the same and stay the same: different "
          "units after training.",
          source=(1, 4), quantity="distinct_units/all zero", low=1, high=1, kind="identity", format=".0f"),
    Claim("all-zero-fails",
          "A network of zeros fails to learn: its validation loss beside that of the letters' frequencies.",
          source=4, quantity="val_loss/all zero", than="unigram_loss", low=-0.02, high=0.02, format=".3f",
          says="fails to learn", why="What the frequencies of training and validation names may differ in."),
    Claim("zero-hidden-symmetric",
          "Zero is to be avoided in hidden layers, whose units could not become different: different units after it.",
          source=1, quantity="distinct_units/zero hidden", high=1.5, format=".0f", says="all compute the same",
          why="“The same” is one.",
          note="A layer of zeros is broken up by the random one behind it: each unit's gradient is multiplied by its "
               "own last weights, and the units part at the first step. The symmetry needs all layers to be equal. "
               "Beginning there costs something all the same: see the table."),
    Claim("hockey-stick",
          "A steep fall, then a long plateau: the part of the whole fall that is over after the first twentieth.",
          source=(1, 2, 4), quantity="early_fall/original", low=0.8, format=".2f", says="hockey stick",
          budget="default", why="Four fifths of the fall in a twentieth of the time."),
    Claim("weights-squashed",
          "Training begins by squashing the extreme last weights: their size once the loss is down to ln 27, relative "
          "to the beginning.",
          source=(1, 4), quantity="output_shrinks/original", high=0.5, nothing=1.0, format=".2f",
          says="squashing these extreme weights down", why="“Squashed” is to half their size or less.",
          note="The logits are squashed, the weights hardly: turning 200 weights a little each, all in the direction "
               "that this data punishes, takes the logits down and leaves the weights nearly as large as they were."),
    Claim("test-better", "Repairing the last layer gives better results on test data.",
          source=2, quantity="test_loss/0.01", than="test_loss/original", high=-0.02, format=".3f",
          says="better results on test data", why="Half of what the lecture's validation loss gains."),
    Claim("example-good",
          "Softmax of the logits 0.1, −0.2, 0, 0.3: the four numbers printed (largest difference of logarithms).",
          source=4, quantity="example/good", high=0.01, kind="fact", format=".2f", says="0.253, 0.188, 0.229, 0.33",
          why="Three digits, as printed.",
          note="They are not the softmax of these logits: that is 0.259, 0.192, 0.234, 0.316."),
    Claim("example-bad",
          "Softmax of the logits 0.1, −20, 15, −5: the four numbers printed (largest difference of logarithms).",
          source=4, quantity="example/bad", high=0.01, kind="fact", format=".2f", says="6e-07, 1.3e-16, 1, 2.7e-10",
          why="Three digits, as printed.",
          note="They are not the softmax of these logits: that is 3.38e-07, 6.31e-16, 1, 2.06e-09."),
    Claim("example-sure", "With the second of these the network is more than 99.99 % sure of the third option.",
          source=4, quantity="example/bad/most", low=99.99, kind="fact", format=".4f", unit=" %", says="> 99.99 %",
          why="As printed."),
    Claim("example-eight", "Logits of 0.1, 0.2, 8 and 0.1 give almost all probability to the third.",
          source=4, quantity="example/eight", low=99.0, kind="fact", format=".2f", unit=" %", says="almost all",
          why="All but a hundredth."),
]  # fmt: skip
