"""One lesson a file. What a lesson contains stands in `experiments/experiment.py`."""
