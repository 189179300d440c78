"""Exact search of binary codes by Hamming distance, over arrays that can be memory-mapped.

`short` has 64-bit codes, `long` 256-bit ones; docs/adr/0007-hamming-index.md has the reasons and figures.
"""
