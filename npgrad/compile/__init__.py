"""`npgrad.compile`: a training step as the NumPy program one would have written by hand.

    @npgrad.compile
    def step(x, y):
        loss = npgrad.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

The first calls run as they are. Then the function runs once on stand-ins for its arrays (`recorder`, `stand_in`), which
note every NumPy call that the Functions' own code makes. These calls get memory planned beforehand (`plan`, `tiles`)
and are written down as one straight-line Python function (`write`), which runs from then on (`program`, `driver`).
`step.source` is the program, made to be read.
"""

from npgrad.compile.driver import CompiledFunction, compile
from npgrad.compile.trace import CompileError

__all__ = ["CompileError", "CompiledFunction", "compile"]
