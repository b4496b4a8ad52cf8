"""The claims of each lesson, in a file of the lesson's name; `experiments/claim.py` says what a claim is."""
