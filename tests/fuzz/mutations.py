"""Damage to a file's bytes: the same number does the same damage.

A third of it falls near the beginning, where headers are; some near the end, where MP4 and zip
archives have their tables.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

_HEAD, _TAIL = 512, 512
_LONGEST_BLOCK = 4096
_EXTREMES = (0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
_SEVERAL = 0.25
_SPLICED = 0.06


def mutated(data: bytes, number: int, other: bytes | None = None) -> bytes:
    """A damaged copy.

    Args:
        data: a whole file.
        number: chooses what is done, and where.
        other: another file; with it, the result may be the head of one and the tail of the other.
    """
    random = Random(number)
    if other and random.random() < _SPLICED:
        return data[: _place(random, data)] + other[_place(random, other) :]
    times = random.randint(2, 6) if random.random() < _SEVERAL else 1
    for _ in range(times):
        data = random.choice(MUTATIONS)(data, random)
    return data


def _place(random: Random, data: bytes) -> int:
    """A position in the file, at its end at most."""
    where = random.random()
    if where < 0.33:
        return random.randint(0, min(_HEAD, len(data)))
    if where < 0.45:
        return random.randint(max(0, len(data) - _TAIL), len(data))
    return random.randint(0, len(data))


def _block(random: Random, data: bytes) -> tuple[int, int]:
    """Start and end of a part: a few bytes, or up to some thousand."""
    start = _place(random, data)
    longest = random.choice((4, 32, 512, _LONGEST_BLOCK))
    return start, min(len(data), start + random.randint(1, longest))


def _flip_bit(data: bytes, random: Random) -> bytes:
    at = _place(random, data)
    return (
        data[:at] + bytes(b ^ 1 << random.randrange(8) for b in data[at : at + 1]) + data[at + 1 :]
    )


def _set_byte(data: bytes, random: Random) -> bytes:
    at = _place(random, data)
    value = random.choice((0, 255, random.randrange(256)))
    return data[:at] + bytes([value]) + data[at + 1 :]


def _set_field(data: bytes, random: Random) -> bytes:
    """Sizes and counts in MP4, PNG and others: 32 bits, the most significant byte first."""
    at = _place(random, data)
    return data[:at] + random.choice(_EXTREMES).to_bytes(4, "big") + data[at + 4 :]


def _truncate(data: bytes, random: Random) -> bytes:
    return data[: random.randint(0, len(data))]


def _delete(data: bytes, random: Random) -> bytes:
    start, end = _block(random, data)
    return data[:start] + data[end:]


def _duplicate(data: bytes, random: Random) -> bytes:
    start, end = _block(random, data)
    return data[:end] + data[start:end] * random.randint(1, 3) + data[end:]


def _swap(data: bytes, random: Random) -> bytes:
    (a, b), (c, d) = sorted((_block(random, data), _block(random, data)))
    c, d = max(b, c), max(b, d)
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def _zero(data: bytes, random: Random) -> bytes:
    start, end = _block(random, data)
    return data[:start] + bytes(end - start) + data[end:]


def _randomise(data: bytes, random: Random) -> bytes:
    start, end = _block(random, data)
    return data[:start] + random.randbytes(end - start) + data[end:]


def _insert(data: bytes, random: Random) -> bytes:
    at = _place(random, data)
    length = random.choice((1, 4, 64, 1024))
    return data[:at] + random.choice((random.randbytes(length), bytes(length))) + data[at:]


MUTATIONS: tuple[Callable[[bytes, Random], bytes], ...] = (
    _flip_bit, _flip_bit, _set_byte, _set_byte, _set_field, _truncate, _delete, _duplicate, _swap,
    _zero, _randomise, _insert,
)  # fmt: skip
"""Kinds of damage; those that are listed twice are twice as likely."""
