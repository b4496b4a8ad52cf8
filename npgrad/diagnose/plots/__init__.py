"""Pictures of what the instruments recorded.

Every function takes a Matplotlib axis and recorded data, never a model: pictures can be drawn from files, again, and in
another theme.

    figure, axes = style.figure(height=3.4)
    plots.activations(axes, Record.load("run.npz"))
    style.save(figure, Path("activations"))

The lecture's four pictures are `activations`, `gradients`, `weight_gradients` and `update_ratio`;
`dashboard(monitor.record)` draws them in one figure of any size. A weight layer and
what stands behind it have one colour in all pictures, from dark at the input to light at the output.
"""

from npgrad.diagnose.plots.comparisons import calibration, propagation
from npgrad.diagnose.plots.dashboard import dashboard
from npgrad.diagnose.plots.distributions import activations, gradients, weight_gradients
from npgrad.diagnose.plots.over_time import loss_curve, running_drift, update_ratio
from npgrad.diagnose.plots.units import dead_units, saturation_map
from npgrad.diagnose.plots.wording import layer_colour

__all__ = [
    "activations", "calibration", "dashboard", "dead_units", "gradients", "layer_colour", "loss_curve", "propagation",
    "running_drift", "saturation_map", "update_ratio", "weight_gradients",
]  # fmt: skip
