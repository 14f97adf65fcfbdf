"""Random faults into short trainings on an S3 store: what finishes, what is lost, what is damaged."""

from benchmarks.faults.main import main

__all__ = ["main"]
