"""Calls recorded as CUDA graphs, and the time that they take."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

# Calls before a graph is recorded: they compile kernels and allocate memory.
WARM_UP_RUNS = 3

_failures: list[str] = []
# Before it records, PyTorch waits for the whole device, which breaks the recordings of others off.
_recording = threading.Lock()


class RecordingFailed(RuntimeError):
    """A recording was broken off. PyTorch's allocator stays in it, so the process is done for."""


def check_recording() -> None:
    """Refuse to go on in a process in which a recording has failed.

    Raises:
        RecordingFailed: one has, whose reason is given.
    """
    if _failures:
        raise RecordingFailed(f"a CUDA graph could not be recorded before: {_failures[0]}")


def record(run: Callable[[], object], stream: Any, pool: Any = None) -> Any:
    """Record a call as a CUDA graph, on a stream; nothing is computed.

    Args:
        run: what it reads and writes must stay in place. It must have run before.
        pool: of memory, shared with graphs of which only one runs at a time.

    Returns:
        A ``torch.cuda.CUDAGraph``.

    Raises:
        RecordingFailed: with the reason, not with what the failure has led to.
    """
    with _recording:
        collects = gc.isenabled()
        gc.disable()  # what it frees may be graphs and kernels, for which it asks the driver
        try:
            return _recorded(run, stream, pool)
        finally:
            if collects:
                gc.enable()


def _recorded(run: Callable[[], object], stream: Any, pool: Any) -> Any:
    check_recording()
    graph = torch.cuda.CUDAGraph()
    previous = torch.cuda.current_stream(stream.device)
    reason: Exception | None = None
    try:
        # Other threads, such as a decoder's, may use the device meanwhile.
        with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            try:
                run()
            except Exception as error:
                reason = error
                raise
    except Exception as error:
        torch.cuda.set_stream(previous)  # which PyTorch does not do if ending the recording fails
        if error is reason:  # the recording was ended in order
            raise
        words = (str(reason or error).strip() or type(error).__name__).splitlines()[0]
        _failures.append(words)
        raise RecordingFailed(f"a CUDA graph could not be recorded: {words}") from error
    return graph


def graphed(run: Callable[[], object], calls: int = 1) -> Callable[[], None]:
    """Record calls as one CUDA graph; returns what replays it.

    Args:
        run: what it reads and writes must stay in place.
        calls: how often it is called in the graph.
    """
    stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP_RUNS):
            run()
    stream.synchronize()

    def repeated() -> None:
        for _ in range(calls):
            run()

    return partial(_replay, record(repeated, stream), run)


def _replay(graph: Any, uses: object) -> None:
    """Replay a graph, whose memory lives as long as what it ``uses``."""
    del uses
    graph.replay()


def seconds_a_call(run: Callable[[], object], calls: int) -> float:
    """Mean time on the GPU of several calls in a row."""
    event: Any = partial(torch.cuda.Event, enable_timing=True)
    start, stop = event(), event()
    start.record()
    for _ in range(calls):
        run()
    stop.record()
    stop.synchronize()
    return float(start.elapsed_time(stop)) / 1000 / calls
