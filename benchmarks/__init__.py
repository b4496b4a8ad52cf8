"""npgrad beside its peers: the same work, in one process per peer, on one core, in turns. `python -m benchmarks --help`"""
