"""The same training steps written by hand in NumPy: what a framework's overhead is measured against."""
