"""Why a variant is not kept."""

from __future__ import annotations


class ImplausibleError(Exception):
    """A variant that does not make sense; `reason` is counted, the message says more."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
