"""Everything of parc-tracker that would exist without Prefect."""

__version__ = "0.1.0"
