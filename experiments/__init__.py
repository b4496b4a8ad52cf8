"""The lecture as a laboratory: every lesson one file, every claim beside a measurement.

    python -m experiments list                     the lessons, in reading order
    python -m experiments run stages --quick       train, draw, compare, and write results/report.html
    python -m experiments run stages --set lr=0.2  change one thing and look again
    python -m experiments show results stages      the tables again

A lesson is a file in `experiments/lessons/` that reads from top to bottom: question, expectation, configuration, run,
measure, claims, plot. Adding one is adding a file; `experiments/experiment.py` says what it contains.
"""
