"""What faults cost: samples trained twice, and files whose content is not what was recorded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

from parc_core.errors import DataError
from parc_core.storage.store import Store


def samples_lost(*progress: Path) -> Tuple[int, int]:
    """Samples that were trained and had to be trained again, and the number of starts, by a training's progress.jsonl.

    Where several machines had the training each has one, and their events count in the order of time. A start at
    fewer samples than were reached before lost the difference; samples since the last line that a dead trainer wrote
    are not counted (at most one output iteration).
    """
    lost = starts = reached = 0
    events = [event for path in progress for event in _events(path)]
    for event in sorted(events, key=lambda event: event.get("time", 0.0)):
        samples = event.get("samples")
        if not isinstance(samples, int):
            continue
        if event.get("event") == "start":
            starts += 1
            lost += max(0, reached - samples)
            reached = samples
        reached = max(reached, samples)
    return lost, starts


def starts(progress: Path) -> List[int]:
    """Samples at which the trainer started, each time."""
    events = [event for event in _events(progress) if event.get("event") == "start"]
    return [event["samples"] for event in events if isinstance(event.get("samples"), int)]


def newest_samples(progress: Path) -> int:
    """Samples of the last whole line, 0 without one."""
    newest = 0
    for event in _events(progress):
        if isinstance(event.get("samples"), int):
            newest = event["samples"]
    return newest


def _events(progress: Path) -> Iterator[Dict[str, Any]]:
    if not progress.is_file():
        return
    for line in progress.read_bytes().splitlines():
        try:
            event = json.loads(line)
        except ValueError:  # torn by a kill: the trainer goes on behind it
            continue
        if isinstance(event, dict):
            yield event


def damaged_files(store: Store) -> List[str]:
    """Keys whose content is not what a reference in the store's JSON files says, or that are gone."""
    wanted: Dict[str, str] = {}
    damaged = []
    for key in store.list():
        if not key.endswith(".json"):
            continue
        try:
            value = store.read_json(key)
        except DataError:
            damaged.append(key)
            continue
        for place, sha256 in _references(value):
            if place.startswith(store.url + "/"):
                wanted[store.key_of(place)] = sha256
            elif "://" not in place:
                wanted[place] = sha256
    for key, sha256 in sorted(wanted.items()):
        if not store.exists(key) or hashlib.sha256(store.read_bytes(key)).hexdigest() != sha256:
            damaged.append(key)
    return damaged


def _references(value: Any) -> Iterator[Tuple[str, str]]:
    """(address or key, SHA-256) wherever both are named."""
    if isinstance(value, dict):
        place, sha256 = value.get("uri", value.get("key")), value.get("sha256")
        if isinstance(place, str) and isinstance(sha256, str):
            yield place, sha256
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
