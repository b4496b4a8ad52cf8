"""Makes every lesson a script: `python experiments/lessons/stages.py --quick`, as with `python -m experiments run`.

A script's own folder is the first one in which Python looks for modules, so a lesson that is run as a script finds this
package where it asks for `experiments`.
"""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "experiments":
    sys.path[0] = str(Path(__file__).parents[3])
    del sys.modules["experiments"]
    sys.exit(import_module("experiments.__main__").main(["run", Path(sys.argv[0]).stem, *sys.argv[1:]]))
