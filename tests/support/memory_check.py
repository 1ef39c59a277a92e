"""What blocks of threads do to memory, watched in Triton's interpreter.

The interpreter runs the blocks of a launch one after the other, and reads whatever lies at an
address. On a card they run at the same time, in any order, and foreign memory ends the process. So
each access is compared with all others of the launch: no block may read or write what another
writes, and each has to stay within the tensors that the kernel was given. Branches of a CUDA graph
are compared in the same way.

Not seen are threads of one block that meet in one place, and what PyTorch's own operations do.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from triton.runtime import interpreter

from tests.support.ptx.memory import merged
from tests.support.stand_in_driver import extent_of

NOBODY, SEVERAL, ATOMIC = -1, -2, -3


class Span:
    """A piece of memory, and which block of threads has read and written each of its bytes.

    Attributes:
        start: its address.
        readers: number of the block, ``NOBODY``, or ``SEVERAL``.
        writers: number of the block that has written last, ``NOBODY``, or ``ATOMIC``.
    """

    def __init__(self, start: int, end: int) -> None:
        self.start, self.size = start, end - start
        self.readers = np.full(self.size, NOBODY, np.int32)
        self.writers = np.full(self.size, NOBODY, np.int32)
        self._bytes = np.ctypeslib.as_array((ctypes.c_uint8 * self.size).from_address(start))

    def load(self, block: int, at: NDArray[np.int64]) -> Iterator[str]:
        if self._written_by_others(block, at).any():
            yield "a block reads what another writes"
        readers = self.readers[at]
        alone = (readers == NOBODY) | (readers == block)
        self.readers[at] = np.where(alone, block, SEVERAL)

    def store(self, block: int, at: NDArray[np.int64], new: NDArray[np.uint8]) -> Iterator[str]:
        if self._read_by_others(block, at).any():
            yield "a block writes what another reads"
        # Several may store the same, such as that there is any value above 0.
        if (self._written_by_others(block, at) & (self._bytes[at] != new)).any():
            yield "blocks store different values in one place"
        order = np.argsort(at, kind="stable")
        place, value = at[order], new[order]
        if ((place[1:] == place[:-1]) & (value[1:] != value[:-1])).any():
            yield "threads of a block store different values in one place"
        self.writers[at] = block

    def change(self, block: int, at: NDArray[np.int64]) -> Iterator[str]:
        if self._read_by_others(block, at).any():
            yield "a block changes what another reads"
        if (self._written_by_others(block, at) & (self.writers[at] != ATOMIC)).any():
            yield "a block changes what another writes"
        self.writers[at] = ATOMIC

    def _read_by_others(self, block: int, at: NDArray[np.int64]) -> NDArray[np.bool_]:
        return (self.readers[at] != NOBODY) & (self.readers[at] != block)

    def _written_by_others(self, block: int, at: NDArray[np.int64]) -> NDArray[np.bool_]:
        return (self.writers[at] != NOBODY) & (self.writers[at] != block)


class Watch:
    """What launches do to memory while ``watched`` holds.

    Attributes:
        faults: a line for each kind of fault of each kernel.
        launches: how many there were of each kernel.
        wrote: the kernels that wrote anything.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.launches: dict[str, int] = {}
        self.wrote: set[str] = set()
        self._kernel, self._block = "", 0
        self._spans: list[Span] = []
        self._noted: list[Span] | None = None

    @contextmanager
    def noting(self) -> Iterator[list[Span]]:
        """Keep what the launches meanwhile have read and written."""
        before, self._noted = self._noted, []
        noted = self._noted
        yield noted
        self._noted = before

    def compare(self, branch: Sequence[Span], beside: Sequence[Span]) -> None:
        """Tell what a branch of a graph and what runs beside it have in common, but to read."""
        for one in branch:
            for other in beside:
                start = max(one.start, other.start)
                end = min(one.start + one.size, other.start + other.size)
                if start >= end:
                    continue
                a = slice(start - one.start, end - one.start)
                b = slice(start - other.start, end - other.start)
                written, also_written = one.writers[a] != NOBODY, other.writers[b] != NOBODY
                read, also_read = one.readers[a] != NOBODY, other.readers[b] != NOBODY
                if ((written & (also_read | also_written)) | (read & also_written)).any():
                    self._note("a branch and what runs beside it use the same memory")

    def begin(self, kernel: str, arguments: Sequence[Any]) -> None:
        """A launch begins."""
        self._kernel = kernel
        self.launches[kernel] = self.launches.get(kernel, 0) + 1
        extents = map(extent_of, filter(_in_memory, arguments))
        self._spans = [Span(start, end) for start, end in merged(extents)]
        if self._noted is not None:
            self._noted += self._spans

    def begin_block(self, number: int) -> None:
        """The next block of threads of the launch runs."""
        self._block = number

    def access(
        self, pointers: NDArray[np.uint64], mask: NDArray[np.bool_], itemsize: int, *,
        stored: NDArray[Any] | None = None, atomic: bool = False,
    ) -> None:  # fmt: skip
        """Threads of the block read memory, or write it.

        Args:
            mask: which of them do.
            itemsize: bytes at each pointer.
            stored: what they write; None if they read.
        """
        mask = np.broadcast_to(mask, pointers.shape)
        at = pointers[mask].astype(np.int64)
        values = None
        if stored is not None:
            values = np.broadcast_to(stored, pointers.shape)[mask]
            values = values.view(np.uint8).reshape(-1, itemsize)
            if at.size:
                self.wrote.add(self._kernel)
        if (at % itemsize).any():
            self._note("an address that is no multiple of the value's size")
        for span in self._spans:
            inside = (at >= span.start) & (at + itemsize <= span.start + span.size)
            if not inside.any():
                continue
            where = (at[inside, None] - span.start + np.arange(itemsize)).reshape(-1)
            if atomic:
                faults = span.change(self._block, where)
            elif values is None:
                faults = span.load(self._block, where)
            else:
                faults = span.store(self._block, where, values[inside].reshape(-1))
                values = values[~inside]
            for fault in faults:
                self._note(fault)
            at = at[~inside]
        if at.size:
            self._note("an address outside of all tensors")

    def _note(self, fault: str) -> None:
        line = f"{self._kernel}: {fault}"
        if line not in self.faults:
            self.faults.append(line)


def _in_memory(argument: Any) -> bool:
    return (
        isinstance(argument, torch.Tensor)
        and argument.device.type != "meta"
        and argument.numel() > 0
    )


@contextmanager
def watched() -> Iterator[Watch]:
    """Watch all launches in the interpreter."""
    watch = Watch()
    builder: Any = interpreter.InterpreterBuilder
    executor: Any = interpreter.GridExecutor
    load, store = builder.create_masked_load, builder.create_masked_store
    change, begin_block = builder.create_atomic_rmw, builder.set_grid_idx
    launch = executor.__call__

    def itemsize(pointers: Any) -> int:
        return np.dtype(interpreter._get_np_dtype(pointers.get_element_ty())).itemsize

    def watched_load(self: Any, pointers: Any, mask: Any, *others: Any) -> Any:
        watch.access(pointers.data, mask.data, itemsize(pointers))
        return load(self, pointers, mask, *others)

    def watched_store(self: Any, pointers: Any, value: Any, mask: Any, *others: Any) -> Any:
        watch.access(pointers.data, mask.data, itemsize(pointers), stored=value.data)
        return store(self, pointers, value, mask, *others)

    def watched_change(self: Any, kind: Any, pointers: Any, value: Any, mask: Any, *o: Any) -> Any:
        watch.access(pointers.data, mask.data, itemsize(pointers), atomic=True)
        return change(self, kind, pointers, value, mask, *o)

    def watched_begin(self: Any, x: int, y: int, z: int) -> None:
        across, down, _ = self.grid_dim
        watch.begin_block(x + across * (y + down * z))
        begin_block(self, x, y, z)

    def watched_launch(self: Any, *arguments: Any, **keywords: Any) -> None:
        watch.begin(self.fn.__name__, [*arguments, *keywords.values()])
        launch(self, *arguments, **keywords)

    with (
        mock.patch.object(builder, "create_masked_load", watched_load),
        mock.patch.object(builder, "create_masked_store", watched_store),
        mock.patch.object(builder, "create_atomic_rmw", watched_change),
        mock.patch.object(builder, "set_grid_idx", watched_begin),
        mock.patch.object(executor, "__call__", watched_launch),
    ):
        yield watch
