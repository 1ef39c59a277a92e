"""Memory of a launch, and which of its threads have read and written each byte.

On a card, blocks run at the same time and in any order, and so do the warps of a block between its
barriers. So no block may read or write what another writes, and no warp what another warp of its
block writes, unless there is a barrier between. Equal values may be stored by several.

Not seen is what lies between an asynchronous product and the wait for it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOBODY, SEVERAL, ATOMIC = -1, -2, -3
ASYNCHRONOUS = 63
"""In the place of a warp: the tensor cores read for all of them."""

Note = Callable[[str], None]
Integers = NDArray[np.integer]


class Fault(Exception):
    """What ends the process on a card, such as a foreign address."""


@dataclass(frozen=True)
class Users:
    """Who reads or writes: for each access its block, warp, and barriers that were passed."""

    block: Integers
    warp: Integers
    epoch: Integers

    def times(self, count: int) -> Users:
        """The same, for several bytes of each access."""
        return Users(*(np.repeat(a, count) for a in (self.block, self.warp, self.epoch)))


class _Marks:
    """Who has used each byte."""

    def __init__(self, size: int) -> None:
        self.block = np.full(size, NOBODY, np.int32)
        self.warp = np.zeros(size, np.int32)
        self.epoch = np.zeros(size, np.int32)

    def by_other_block(self, at: Integers, users: Users) -> NDArray[np.bool_]:
        return (self.block[at] != NOBODY) & (self.block[at] != users.block)

    def by_other_warp(self, at: Integers, users: Users) -> NDArray[np.bool_]:
        """Of the same block, with no barrier between."""
        same = (self.block[at] == users.block) & (self.epoch[at] == users.epoch)
        return same & (self.warp[at] != users.warp)

    def replace(self, at: Integers, users: Users) -> None:
        self.block[at], self.warp[at], self.epoch[at] = users.block, users.warp, users.epoch

    def add(self, at: Integers, users: Users) -> None:
        blocks = at[self.by_other_block(at, users)]
        warps = at[self.by_other_warp(at, users)]
        self.replace(at, users)
        # Of the accesses of this instruction, only the last are noted yet.
        self.warp[at[self.by_other_warp(at, users)]] = SEVERAL
        self.warp[warps] = SEVERAL
        self.block[at[self.by_other_block(at, users)]] = SEVERAL
        self.block[blocks] = SEVERAL


class _Uses:
    """Compares each access with those before."""

    def __init__(self, size: int) -> None:
        self._read, self._written = _Marks(size), _Marks(size)

    def load(self, at: Integers, users: Users) -> Iterator[str]:
        if self._written.by_other_block(at, users).any():
            yield "a block reads what another writes"
        if self._written.by_other_warp(at, users).any():
            yield "a warp reads what another writes, with no barrier between"
        self._read.add(at, users)

    def store(
        self, at: Integers, users: Users, old: NDArray[np.uint8], new: NDArray[np.uint8]
    ) -> Iterator[str]:
        """Args: ``old`` and ``new`` are the bytes themselves."""
        if self._read.by_other_block(at, users).any():
            yield "a block writes what another reads"
        if self._read.by_other_warp(at, users).any():
            yield "a warp writes what another reads, with no barrier between"
        if (self._written.by_other_block(at, users) & (old != new)).any():
            yield "blocks store different values in one place"
        if (self._written.by_other_warp(at, users) & (old != new)).any():
            yield "warps store different values in one place, with no barrier between"
        order = np.argsort(at, kind="stable")
        place, value, block = at[order], new[order], users.block[order]
        differ = (place[1:] == place[:-1]) & (value[1:] != value[:-1])
        if (differ & (block[1:] != block[:-1])).any():
            yield "blocks store different values in one place"
        if (differ & (block[1:] == block[:-1])).any():
            yield "threads of a block store different values in one place"
        self._written.replace(at, users)

    def change(self, at: Integers, users: Users) -> Iterator[str]:
        """An atomic operation, whose order with others does not matter."""
        if self._read.by_other_block(at, users).any():
            yield "a block changes what another reads"
        others = self._written.by_other_block(at, users)
        if (others & (self._written.block[at] != ATOMIC)).any():
            yield "a block changes what another writes"
        self._written.block[at] = ATOMIC


def merged(extents: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pieces of memory that do not touch, in order: of the first byte, and behind the last one."""
    pieces: list[tuple[int, int]] = []
    for start, end in sorted(extents):
        if pieces and start <= pieces[-1][1]:
            pieces[-1] = pieces[-1][0], max(end, pieces[-1][1])
        else:
            pieces.append((start, end))
    return pieces


class GlobalMemory:
    """The tensors that a launch was given.

    Args:
        extents: addresses of the first byte of each, and behind its last one.
        note: told of hazards.
    """

    def __init__(self, extents: Sequence[tuple[int, int]], note: Note) -> None:
        ranges = merged(extents)
        self._note = note
        self._starts = np.array([start for start, _ in ranges] or [0], np.int64)
        self._ends = np.array([end for _, end in ranges] or [0], np.int64)
        # Where the bytes of each begin in the list of who has used them.
        self._first = np.cumsum(self._ends - self._starts) - (self._ends - self._starts)
        self._uses = _Uses(int((self._ends - self._starts).sum()))
        # All that lies between them is in it, too, but never touched.
        self._base = int(self._starts[0])
        size = int(self._ends[-1]) - self._base
        whole = (ctypes.c_uint8 * size).from_address(self._base)
        self._bytes = np.ctypeslib.as_array(whole)

    def load(self, at: Integers, size: int, users: Users) -> NDArray[np.uint8]:
        """Bytes [accesses, size]."""
        places = self._places(at, size)
        for fault in self._uses.load(places, users.times(size)):
            self._note(fault)
        return self._bytes[self._indices(at, size)]

    def store(self, at: Integers, values: NDArray[np.uint8], users: Users) -> None:
        size = values.shape[1]
        places, indices = self._places(at, size), self._indices(at, size)
        old = self._bytes[indices].reshape(-1)
        for fault in self._uses.store(places, users.times(size), old, values.reshape(-1)):
            self._note(fault)
        self._bytes[indices] = values

    def add(self, at: Integers, values: NDArray[np.uint32], users: Users) -> NDArray[np.uint32]:
        """One after the other; the sums before."""
        for fault in self._uses.change(self._places(at, 4), users.times(4)):
            self._note(fault)
        before = np.zeros(len(at), np.uint32)
        for number, index in enumerate(self._indices(at, 4)):
            before[number] = self._bytes[index].view(np.uint32)[0]
            after = np.array([before[number] + values[number]], np.uint32)
            self._bytes[index] = after.view(np.uint8)
        return before

    def _indices(self, at: Integers, size: int) -> Integers:
        return (at - self._base)[:, None] + np.arange(size)

    def _places(self, at: Integers, size: int) -> Integers:
        """Of each byte in the list of who has used them."""
        if (at % size).any():
            raise Fault("an address that is no multiple of the value's size")
        number = np.searchsorted(self._starts, at, side="right") - 1
        outside = (number < 0) | (at + size > self._ends[number])
        if outside.any():
            raise Fault("an address outside of all tensors")
        first = at - self._starts[number] + self._first[number]
        return (first[:, None] + np.arange(size)).reshape(-1)


class SharedMemory:
    """Of blocks that run at the same time, each has its own.

    Args:
        first: number of the first block.
        size: bytes of each.
    """

    def __init__(self, first: int, blocks: int, size: int, note: Note) -> None:
        self._first, self._size, self._note = first, size, note
        # Nothing is 0 that was not set to it.
        self._bytes = np.full(blocks * size, 0xCD, np.uint8)
        self._uses = _Uses(blocks * size)

    def load(self, at: Integers, size: int, users: Users) -> NDArray[np.uint8]:
        """Bytes [accesses, size]."""
        places = self._places(at, size, users)
        for fault in self._uses.load(places.reshape(-1), users.times(size)):
            self._note(f"shared memory: {fault}")
        return self._bytes[places]

    def store(self, at: Integers, values: NDArray[np.uint8], users: Users) -> None:
        size = values.shape[1]
        places = self._places(at, size, users)
        old, every = self._bytes[places].reshape(-1), users.times(size)
        for fault in self._uses.store(places.reshape(-1), every, old, values.reshape(-1)):
            self._note(f"shared memory: {fault}")
        self._bytes[places] = values

    def _places(self, at: Integers, size: int, users: Users) -> Integers:
        if (at % size).any():
            raise Fault("an address in shared memory that is no multiple of the value's size")
        if ((at < 0) | (at + size > self._size)).any():
            raise Fault("an address outside of the shared memory")
        start = (users.block.astype(np.int64) - self._first) * self._size + at
        return start[:, None] + np.arange(size)
