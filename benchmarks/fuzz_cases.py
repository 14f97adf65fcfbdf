"""The inputs of the fuzz benchmark: files as they are, then with bytes or values changed; the same for a seed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Iterator, List, Tuple

from benchmarks import fuzz_values
from benchmarks.fuzz_files import whole_files
from benchmarks.fuzz_readers import READERS

Case = Tuple[str, bytes]


def cases(seed: int, count: int, trap: Path) -> Iterator[Case]:
    """(reader, bytes) of so many inputs; their code, if it ran, would make the file `trap`."""
    chance = random.Random(seed)
    samples = {name: _samples(name, trap) for name in READERS}
    structures = fuzz_values.valid()
    names = list(READERS)
    for number in range(count):
        name = names[number % len(names)]
        pool, values = samples[name], structures.get(name, [])
        whole = number // len(names)  # each sample as it is, then changed ones
        if whole < len(pool):
            yield name, pool[whole]
        elif values and chance.random() < 0.5:
            yield name, fuzz_values.changed(chance.choice(values), chance)
        else:
            yield name, _changed(chance.choice(pool), chance)


def _samples(name: str, trap: Path) -> List[bytes]:
    valid = [fuzz_values.encoded(case) for case in fuzz_values.valid().get(name, [])]
    return valid + whole_files(READERS[name][0].rpartition(".")[2], trap)


def _changed(data: bytes, chance: random.Random) -> bytes:
    """Bytes flipped, cut, repeated, inserted or exchanged, a few times."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at, length = chance.randrange(len(changed) + 1), chance.choice((1, 2, 8, 64))
        kind = chance.randrange(5)
        if kind == 0 and at < len(changed):
            changed[at] = chance.randrange(256)
        elif kind == 1:
            del changed[at : at + length]
        elif kind == 2:
            changed[at:at] = changed[at : at + length] * chance.choice((1, 2, 100))
        elif kind == 3:
            changed[at:at] = chance.choice(_TOKENS)
        else:
            del changed[at:]
    return bytes(changed)


_TOKENS = [
    b"\x85",
    b"h\x00h\x00\x86",
    b"R",
    b"b",
    b"\xff\xff\xff\x7f",
    b"\x00",
    b"*a",
    b"&a ",
    b"[",
    b"{",
    b"- ",
    b": ",
]
_TOKENS += [
    b"!!int ",
    b"1e999",
    b".nan",
    b"-1",
    b"9" * 5000,
    b"\\ud800",
    b"[/]",
    b"null",
    b"2001-99-99",
    b"\n",
]
