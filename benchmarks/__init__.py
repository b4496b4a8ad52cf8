"""npgrad beside its peers: the same work, a process per peer, on one core, in turns. See `python -m benchmarks -h`."""
