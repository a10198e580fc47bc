"""What the emulated chip is compared with, by area: figures, plots, errors and tolerances.

`python -m benchmarks.validation` runs all of it and writes docs/validation.md.
"""
