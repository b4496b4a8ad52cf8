"""Instruments that watch a training run, predict one, and draw what they saw.

Recording
    Monitor(model, optimizer, every=100)    activations, gradients and updates of a run, by layer and step
    Record                                  what it recorded: plain arrays, save(path) and Record.load(path)
"""

from npgrad.diagnose.monitor import Monitor, Watch
from npgrad.diagnose.record import Record
from npgrad.diagnose.saturation import SATURATION, saturation

__all__ = ["SATURATION", "Monitor", "Record", "Watch", "saturation"]
