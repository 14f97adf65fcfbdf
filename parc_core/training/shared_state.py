"""The state of a training of several processes: gathered into one checkpoint, and dealt to them again.

A checkpoint is that of process 0. What the others do not share with it lies under `others`, in their order, so that the
checkpoint of one process looks as it always did.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import torch

from parc_core.learning.plain_values import with_floats, with_marked_floats
from parc_core.system.world import World

State = Dict[str, Any]
OWN = ("generator", "obs", "env", "rng")
"""What every process has of its own: random numbers, environments and their observations."""
OTHERS = "others"

Load = Callable[[], Optional[Tuple[Path, State]]]


class Dealt(NamedTuple):
    """A checkpoint as one process resumes from it."""

    path: Path
    """Its file, where process 0 runs."""
    state: State
    """What all share, with this process's own part, or with that of process 0 where `exact` is false."""
    exact: bool
    """Whether it is of as many processes as there are now."""
    processes: int
    """Of how many it is."""


def gathered(state: State, world: World) -> Optional[State]:
    """The content of a checkpoint, from the states of all processes; None in all but process 0. Collective."""
    if world.size == 1:
        return state
    parts = world.gather(b"" if world.is_writer else _packed({name: state[name] for name in OWN}))
    return {**state, OTHERS: [_unpacked(part) for part in parts[1:]]} if world.is_writer else None


def dealt(load: Load, world: World) -> Optional[Dealt]:
    """Every process's part of the checkpoint that process 0 loads; None where it finds none. Collective.

    Raises:
        ParcError: in process 0, as `load`.
    """
    found = load() if world.is_writer else None
    if world.size == 1:
        return None if found is None else _part(*found, 0, 1)
    parts: List[bytes] = []
    if found is not None:
        path, state = found
        parts = [
            _packed({**_part(path, state, r, world.size)._asdict(), "path": str(path)})
            for r in range(world.size)
        ]
    own = world.scatter(parts or [b""] * world.size)
    if not own:
        return None
    fields = _unpacked(own)
    return Dealt(Path(fields["path"]), fields["state"], fields["exact"], fields["processes"])


def _part(path: Path, state: State, rank: int, size: int) -> Dealt:
    others = state.get(OTHERS, [])
    shared = {name: value for name, value in state.items() if name != OTHERS}
    processes = 1 + len(others)
    if processes != size or rank == 0:
        return Dealt(path, shared, processes == size, processes)
    return Dealt(path, {**shared, **others[rank - 1]}, True, processes)


def _packed(content: State) -> bytes:
    file = io.BytesIO()
    torch.save(with_marked_floats(content), file)
    return file.getvalue()


def _unpacked(data: bytes) -> State:
    content: State = with_floats(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))
    return content
