"""Training in several processes, one for each GPU, started by ``torchrun``.

To the user they are as one: the batch, the losses and the weights are those of one process, the
first process alone writes, and an error is told once. Without ``torchrun`` there is one process,
``ALONE``, for which nothing here does anything.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zerodce_rt.errors import EXIT_FAILURE, EXIT_INTERRUPTED, ZeroDCEError

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

_TRAININGS = count()
_SPEAKER = "speaker"  # in the store: the process that tells its error
_MEETING_SECONDS = 0.05
_LOST = re.compile(r"connection (reset|closed) by peer", re.IGNORECASE)  # in errors of Gloo

# By which torchrun tells a process who it is. Others set some of them, but not all.
_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")

_T = TypeVar("_T")

Batch: TypeAlias = tuple[NDArray[Any], ...]
"""What a step is trained on; the first axis of each array is that of the samples."""


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: its number, from 0.
        number: how many there are.
        local_rank: its number among those of this machine.
    """

    rank: int = 0
    number: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def own_device(self, device: str) -> str:
        """The device of this process, where the user asked for ``device``.

        Raises:
            ValueError: one that several processes cannot share or be spread over.
        """
        if self.number == 1 or device == "cpu":
            return device
        if device != "cuda":
            raise ValueError(
                f"`device` must be cpu or cuda with several processes, not {device!r}: each has "
                "a GPU of its own"
            )
        return f"cuda:{self.local_rank}"

    def check_batch(self, batch_size: int) -> None:
        """Check that a batch can be shared out evenly.

        Raises:
            ValueError: it cannot.
        """
        if batch_size % self.number:
            raise ValueError(
                f"`batch_size` must be divisible by the number of processes, {self.number}; "
                f"it is {batch_size}"
            )

    @contextmanager
    def joined(self, device: str) -> Iterator[None]:
        """Connect with the other processes for as long as the block runs.

        Args:
            device: that of this process.
        """
        if self.number == 1:
            yield
            return
        from torch import distributed
        from torch.distributed.distributed_c10d import PrefixStore

        backend = "gloo"
        if device != "cpu":
            torch.cuda.set_device(device)
            if distributed.is_nccl_available():
                backend = "cpu:gloo,cuda:nccl"
        # What an earlier training of this process has left in the store is of no use any more.
        name = f"training {next(_TRAININGS)}"
        _meet(name, self.number)
        store = PrefixStore(name, _store())
        distributed.init_process_group(backend, store=store, rank=self.rank, world_size=self.number)
        yield
        # Not after an error: the others might not answer, and this process is about to end.
        distributed.destroy_process_group()

    def check_same(self, run: object) -> None:
        """Check that all processes are about to do the same.

        Args:
            run: what decides the training; it must have an equality that means something.

        Raises:
            ZeroDCEError: they are not.
        """
        if self.number == 1:
            return
        from torch import distributed

        runs: list[object] = [None] * self.number
        distributed.all_gather_object(runs, run)
        if any(other != run for other in runs):
            raise ZeroDCEError(
                "the processes differ in options or photographs; start all with the same command, "
                "and with the same photographs on every machine"
            )

    def from_main(self, read: Callable[[], _T]) -> _T:
        """What a function returns or raises in the main process, which alone calls it."""
        if self.number == 1:
            return read()
        from torch import distributed

        outcome: list[Any] = [None]
        if self.is_main:
            try:
                outcome = [read()]
            except ZeroDCEError as error:
                outcome = [error]
        distributed.broadcast_object_list(outcome)
        if isinstance(outcome[0], ZeroDCEError):
            raise outcome[0]
        return outcome[0]

    def wrapped(self, network: nn.Module) -> nn.Module:
        """The network to call in training: its gradients are means over all processes.

        The weights, which stay those of ``network``, become those of the main process.
        """
        if self.number == 1:
            return network
        return nn.parallel.DistributedDataParallel(network)

    def mean(self, values: Tensor) -> Tensor:
        """The means over all processes, of as many samples each."""
        if self.number == 1:
            return values
        from torch import distributed

        distributed.all_reduce(values)
        return values / self.number


ALONE = Processes()


class Dealer:
    """Gives each process its share of the batch of a step.

    Drawing a batch can take longer than a step does on a GPU. So the processes take turns: in a
    round of as many steps as there are processes, each draws the whole batch of one step, as a
    single process would, all at the same time.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._round = range(0)
        self._drawn: Batch = ()

    def share(self, step: int, draw: Callable[[int], Batch]) -> Batch:
        """This process's share of a batch.

        Args:
            step: the same in all processes.
            draw: the whole batch of a step.
        """
        rank, number = self._processes.rank, self._processes.number
        if number == 1:
            return draw(step)
        from torch import distributed

        if step not in self._round:
            self._round = range(step, step + number)
            self._drawn = draw(step + rank)
        source = step - self._round.start
        shares = [_share(self._drawn, i, number) for i in range(number)]
        received: list[Any] = [None]
        distributed.scatter_object_list(received, shares if source == rank else None, src=source)
        return received[0]


def _share(batch: Batch, rank: int, number: int) -> Batch:
    size = len(batch[0]) // number
    return tuple(array[rank * size : (rank + 1) * size] for array in batch)


def launched() -> Processes:
    """The processes that ``torchrun`` has started this one among; ``ALONE`` without it."""
    if not all(name in os.environ for name in _VARIABLES):
        return ALONE
    rank, number, local_rank = (int(os.environ[name]) for name in _VARIABLES[:3])
    return Processes(rank, number, local_rank)


@contextmanager
def as_one() -> Iterator[None]:
    """Let all processes say what one would: the log of the main process, and the first error.

    The process that first raises an exception goes on with it. In the others, whose exceptions are
    often the consequence of that one, it becomes ``SystemExit``. May be nested.

    Raises:
        ZeroDCEError: another process has ended without an exception.
    """
    processes = launched()
    if processes.number == 1:
        yield
        return
    store = _store()
    log = logging.getLogger("zerodce_rt")
    level = log.level
    if not processes.is_main:
        log.setLevel(logging.ERROR)
    try:
        # Those that have not come yet would not know that they should be silent.
        _meet("start", processes.number)
        yield
    except (Exception, KeyboardInterrupt) as error:
        own = str(processes.rank)
        if store.compare_set(_SPEAKER, "", own).decode() == own:
            if _LOST.search(str(error)):
                raise ZeroDCEError(
                    "another process of this training was killed, perhaps for want of memory; "
                    "go on with `resume`"
                ) from error
            raise
        interrupted = isinstance(error, KeyboardInterrupt)
        raise SystemExit(EXIT_INTERRUPTED if interrupted else EXIT_FAILURE) from None
    finally:
        log.setLevel(level)


def _meet(place: str, number: int) -> None:
    """Wait for that many processes; end this one if another has failed on its way.

    What PyTorch has for that cannot be interrupted: it would outlive a failure of the others.
    """
    store = _store()
    store.add(place, 1)
    while store.add(place, 0) < number:
        if store.check([_SPEAKER]):
            raise SystemExit(EXIT_FAILURE)
        time.sleep(_MEETING_SECONDS)


@cache
def _store() -> Store:
    """Where the processes leave each other notes; ``torchrun`` itself keeps it.

    Raises:
        ZeroDCEError: it cannot be reached.
    """
    from torch.distributed.rendezvous import rendezvous

    try:
        return next(rendezvous("env://"))[0]
    except (RuntimeError, ValueError) as error:
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise ZeroDCEError(
            f"the processes cannot meet at {place}; start them with torchrun, and let no "
            "firewall stand between the machines"
        ) from error
