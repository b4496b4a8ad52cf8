"""One lesson a file, which is a script too. What a lesson contains stands in `experiments/experiment.py`."""
