"""Instruments that watch a training run, predict one, and draw what they saw.

Recording a run (`monitor`, `record`, `saturation`)
    Monitor(model, optimizer, every=100)        activations, gradients and true updates, by layer and step
    Record                                      what it recorded: plain arrays; save(path), Record.load(path)
    write_tensorboard(record, folder)           the same for TensorBoard

Examining a model as it is (all leave it as it was)
    census(model, x)                            every unit over a whole data set: which ones are dead
    activations(model, x)                       outputs of layers, as arrays
    effective_rank(a)                           how many directions activations use
    calibrate(model, x)                         running statistics against those of the whole training set
    noise_scale(model, loss, x, y, rng=rng)     the batch size at which gradient noise equals signal
    sharpness(model, loss, rng=rng)             the largest eigenvalue of the Hessian, against 2/lr

Saying what is wrong
    doctor.examine(model, loss, batches, optimizer)     findings, with evidence and remedy (`npgrad.diagnose.doctor`)
    nonfinite(model)                                    the first NaN or infinity: where, from what, and why

Predicting before training (`propagation`)
    predict(read_layers(model))                 expected forward and backward standard deviation of every layer
    predict([Layer(30, 100, gain=5/3), …])      the same for layers that exist on paper only
    fixed_point("tanh", 5/3)                    where activations settle

Drawing (Matplotlib; not imported with this package)
    npgrad.diagnose.plots                       functions of an axis and recorded data, never of a model
    npgrad.diagnose.style                       the look they share
"""

from npgrad.diagnose.calibration import Calibration, Statistics, calibrate
from npgrad.diagnose.census import UnitCensus, activations, census
from npgrad.diagnose.monitor import Monitor, Watch
from npgrad.diagnose.noise_scale import NoiseScale, noise_scale
from npgrad.diagnose.nonfinite import NonFinite, NonFiniteError, nonfinite
from npgrad.diagnose.propagation import (
    Layer,
    Moments,
    Propagation,
    fixed_point,
    gradient_of_ignorance,
    moments,
    predict,
    read_layers,
)
from npgrad.diagnose.rank import effective_rank
from npgrad.diagnose.record import Record
from npgrad.diagnose.saturation import SATURATION, saturation
from npgrad.diagnose.sharpness import Eigenvalue, lanczos, sharpness
from npgrad.diagnose.tensorboard import write_tensorboard
from npgrad.diagnose.undisturbed import undisturbed

__all__ = [
    "SATURATION", "Calibration", "Eigenvalue", "Layer", "Moments", "Monitor", "NoiseScale", "NonFinite",
    "NonFiniteError", "Propagation", "Record", "Statistics", "UnitCensus", "Watch", "activations", "calibrate",
    "census", "effective_rank", "fixed_point", "gradient_of_ignorance", "lanczos", "moments", "noise_scale",
    "nonfinite", "predict", "read_layers", "saturation", "sharpness", "undisturbed", "write_tensorboard",
]  # fmt: skip
