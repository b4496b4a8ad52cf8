"""The claims that `experiments/lessons/gains.py` settles."""

from experiments.claim import Claim

DOCUMENT = {
    # what: (quantity, layer 1, 3 and 5 of the document, two standard deviations between networks, format, unit)
    "activation mean": ("activation_mean", (-0.04, 0.0, 0.0), (0.06, 0.03, 0.02), ".2f", ""),
    "activation std": ("activation_std", (0.76, 0.69, 0.67), (0.04, 0.02, 0.016), ".2f", ""),
    "saturated units": ("saturated", (21.44, 9.62, 8.31), (7.1, 2.4, 1.6), ".2f", " %"),
    "gradient mean": ("gradient_mean", (1.2e-5, -4e-6, 9e-6), (3e-5, 3e-5, 2.4e-5), ".1e", ""),
    "gradient std": ("gradient_std", (4.06e-4, 3.83e-4, 3.69e-4), (4.6e-5, 3.6e-5, 2.8e-5), ".2e", ""),
}
TABLED = (1, 3, 5)
"""The document counts linear and tanh modules from 0: its layers 1, 3 and 5 are the first three tanh layers."""

CLAIMS = [
    *(
        # Means are those of symmetric quantities: close to 0 by construction, their sign being chance.
        Claim(f"table-{quantity}-{layer}", f"{what.capitalize()} of layer {layer} in the six-layer tanh network.",
              source=5, quantity=f"before/{quantity}/{k + 1}/tanh 5/3", low=value - spread, high=value + spread,
              kind="identity" if quantity.endswith("mean") else "chance", part_of="table-activation_std-1",
              format=form, unit=unit, says=f"{value:{form}}{unit}".replace("e-0", "e−").replace("-", "−"),
              why="The document's is one network: two standard deviations between networks, before training.")
        for what, (quantity, values, spreads, form, unit) in DOCUMENT.items()
        for k, (layer, value, spread) in enumerate(zip(TABLED, values, spreads, strict=True))
    ),
    Claim("table-embedding", "Standard deviation of the embedding's gradient.",
          source=5, quantity="before/embedding/tanh 5/3", low=1.16e-3, high=1.92e-3, format=".2e", says="1.54e−03",
          part_of="table-activation_std-1",
          why="The document's is one network: two standard deviations between networks, before training."),
    Claim("table-output", "Standard deviation of the gradient of the last weights.",
          source=5, quantity="before/output/tanh 5/3", low=1.98e-2, high=2.66e-2, format=".2e", says="2.32e−02",
          part_of="table-activation_std-1",
          why="The document's is one network: two standard deviations between networks, before training."),
    Claim("table-embedding-mean", "Mean gradient of the embedding.",
          source=5, quantity="before/embedding_mean/tanh 5/3", low=-1e-4, high=1e-4, kind="identity", format=".1e",
          says="−8e−06"),
    Claim("table-output-mean", "Mean gradient of the last weights.",
          source=5, quantity="before/output_mean/tanh 5/3", low=-1e-3, high=1e-3, kind="identity", format=".1e",
          says="0"),
    Claim("table-hidden", "The gradients of the hidden weights get smaller with depth: the last over the first.",
          source=5, quantity="before/hidden_fall/tanh 5/3", high=0.9, nothing=1.0, format=".2f", says="decreasing",
          why="A tenth less over four layers.",
          note="True of this network before training; it is the opposite of gradients that vanish on the way back."),
    Claim("gain-5/3-holds", "Gain 5/3 gives consistent standard deviations: the last tanh layer's over the first's.",
          source=(2, 3, 4), quantity="before/held/tanh 5/3", low=0.8, high=1.25, format=".2f",
          says="nice consistent stds", why="Within a quarter over five layers."),
    Claim("gain-1-fades", "Gain 1: activations shrink on their way forward, because tanh squashes.",
          source=2, quantity="before/held/tanh 1", high=0.7, nothing=1.0, format=".2f", says="they shrink",
          why="A third gone in five layers."),
    Claim("gain-3-saturates",
          "Gain 3: the activations are back at −1 and 1. Part of the last tanh layer's units beyond 0.97.",
          source=2, quantity="before/saturated/5/tanh 3", low=90.0, nothing=10.0, format=".1f", unit=" %",
          says="back to all −1 and 1", why="“All” leaves a tenth at most, as for the original network.",
          note="Fewer than half of them: that many are beyond 0.97 in layers of unlimited width, too."),
    Claim("gain-homogeneous",
          "Too large or too small a gain makes activations or gradients differ between first and last layer more than "
          "5/3 does: the factor for the least uneven of the gains 0.5, 1 and 3.",
          source=(1, 2, 3), quantity="uneven/least", than="before/uneven/tanh 5/3", ratio=True, low=1.25, format=".2f",
          says="different at different layers", why="A quarter more."),
    Claim("linear-1",
          "Without tanh the correct gain is 1: the last hidden layer's standard deviation over the first's.",
          source=(2, 3), quantity="before/held/linear 1", low=0.9, high=1.1, format=".2f", says="1.0",
          why="Within a tenth over five layers; 5/3 multiplies it by 7.7, and 0.5 by 0.06."),
    Claim("std-0.65", "A well-initialised deep tanh network has a hidden activation standard deviation of about 0.65.",
          source=4, quantity="before/activation_std/5/tanh 5/3", low=0.6, high=0.7, format=".3f", says="around 0.65",
          why="0.65 as printed, and “around”.", note="In the last of five tanh layers; the first has 0.75."),
    Claim("saturation-below-5", "Its saturation is below 5 %.",
          source=4, quantity="before/saturated/5/tanh 5/3", high=5.0, format=".1f", unit=" %", says="below 5 %",
          part_of="std-0.65", why="As printed.",
          note="Tanh layers of unlimited width at gain 5/3 settle at 5.4 % beyond 0.97, and each layer comes nearer. "
               "With batch normalisation it is below 5 % in every layer."),
    Claim("last-layer-apart", "In the lecture's deep network the last layer's gradient stands out from the others'.",
          source=2, quantity="before/output_lead/tanh 5/3", low=3.0, nothing=1.0, format=".1f", unit=" ×",
          says="significantly higher", why="Three times, to be significant among layers that differ by half.",
          note="The lecture's factor of 0.1 on the last weights does it: everything behind them receives a tenth "
               "of the gradient they receive themselves. Relative to the weights it is ten times as much again, by "
               "the same factor."),
]  # fmt: skip
