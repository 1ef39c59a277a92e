"""What a worker process does: it holds an enhancer, and enhances what it is sent."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.executors.logs import forward
from zerodce_rt.units import Unit

# Between two messages of progress.
_INTERVAL_SECONDS = 0.2


@dataclass(frozen=True)
class Seat:
    """What a worker is given.

    Attributes:
        name: shown to people.
        make: makes its enhancer.
        gpu: number of the card that it uses; None is whatever it finds.
        level: of log records that are passed on.
    """

    name: str
    make: Callable[[], Enhancer]
    gpu: int | None = None
    level: int = logging.WARNING


def serve(seat: Seat, connection: Connection) -> None:
    """Do the units that come through a connection until it is closed.

    What is sent back: ``("log", record)``, ``("frames", done, expected)`` and at the end of each
    unit ``("done", frames)`` or ``("failed", error)``.
    """
    _end_with_the_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGTERM, _stop)
    if seat.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(seat.gpu)
    sending = threading.Lock()

    def send(*message: Any) -> None:
        with sending:
            connection.send(message)

    forward(lambda record: send("log", record), seat.level)
    enhancer: Enhancer | None = None
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            unit: Unit = connection.recv()
            try:
                enhancer = enhancer or seat.make()
                send("done", unit.run(enhancer, _reports(send)))
            except Exception as error:
                send("failed", sendable(error))


def _reports(send: Callable[..., None]) -> Callable[[int, int | None], None]:
    last = 0.0

    def progress(frames: int, expected: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _INTERVAL_SECONDS or frames == expected:
            last = now
            send("frames", frames, expected)

    return progress


def sendable(error: Exception) -> Exception:
    """An error that can be pickled, with the same message."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _stop(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt  # so that unfinished files are deleted


def _end_with_the_parent() -> None:
    """A worker without a parent would go on writing, beside those of the next run."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="zerodce-parent", daemon=True).start()
