"""Synthetic reference motions: sample data for demos and tests, and load for large datasets."""

from __future__ import annotations

from parc_core.motion.synthetic.dataset import make_dataset
from parc_core.motion.synthetic.generate import make_motion
from parc_core.motion.synthetic.kinds import KINDS

__all__ = ["KINDS", "make_dataset", "make_motion"]
