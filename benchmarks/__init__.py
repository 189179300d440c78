"""Benchmarks: each measures ours and its peers in the same process on the same generated rows."""
