"""Speed of the parts that decide how long training takes. `python -m benchmarks --help`."""
