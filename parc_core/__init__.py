"""Everything of parc-tracker that would exist without Prefect."""

__version__ = "0.1.0"

import os

# Idle torch threads would spin and take the cores from MuJoCo's threads (a control step takes up to four times
# as long where another process wants a core too). Read when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
