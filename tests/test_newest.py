"""The live policy of the pipeline: the newest item only, and every way out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import pipeline_threads
from zerodce_rt.pipeline import Newest


class Ticks:
    """A live source: numbers at a steady pace, until it is closed or has given ``count``."""

    def __init__(self, count: int = 1_000_000, seconds: float = 0.002) -> None:
        self.count, self.seconds = count, seconds
        self.given = 0
        self.stop = threading.Event()

    def __iter__(self) -> Iterator[int]:
        while self.given < self.count and not self.stop.wait(self.seconds):
            self.given += 1
            yield self.given

    def close(self) -> None:
        self.stop.set()


class BrokenError(Exception):
    pass


@pytest.fixture(autouse=True)
def no_thread_stays_behind() -> Iterator[None]:
    yield
    assert pipeline_threads() == []


def take_all(pipeline: Newest[int, int], seconds: float = 0.0) -> list[int]:
    results = []
    while not pipeline.ended:
        result = pipeline.get(0.05)
        if result is not None:
            results.append(result)
            time.sleep(seconds)
    return results


@pytest.mark.parametrize("slow", ["nobody", "work", "caller"])
def test_what_is_late_is_dropped_and_counted(slow: str) -> None:
    def work(item: int) -> int:
        time.sleep(0.03 if slow == "work" else 0)
        return item

    source = Ticks(60, seconds=0.005)
    with Newest(source, work) as pipeline:
        results = take_all(pipeline, 0.03 if slow == "caller" else 0)
    assert results == sorted(set(results)), "never an older one"
    assert results[-1] == 60, "the last is never dropped"
    assert len(results) + pipeline.dropped == 60
    if slow != "nobody":
        assert pipeline.dropped > 30


def test_a_slow_caller_gets_the_newest() -> None:
    source = Ticks(seconds=0.002)
    with Newest(source, lambda item: item) as pipeline:
        for _ in range(5):
            time.sleep(0.1)
            result = pipeline.get(0.05)
            assert result is not None
            # Not the ones that came in the 100 ms before; a busy machine may be a little behind.
            assert source.given - result < 15


def test_nothing_new_is_none_and_soon() -> None:
    source = Ticks(1, seconds=0.3)
    with Newest(source, lambda item: item) as pipeline:
        started = time.monotonic()
        assert pipeline.get(0.01) is None
        assert time.monotonic() - started < 0.2
        assert not pipeline.ended
        assert take_all(pipeline) == [1]
        assert pipeline.get(0.01) is None
        assert pipeline.ended


@pytest.mark.parametrize("stage", ["source", "work", "start"])
def test_what_fails_in_a_thread_is_raised_to_the_caller(stage: str) -> None:
    class Source(Ticks):
        def __iter__(self) -> Iterator[int]:
            if stage == "start":
                raise BrokenError(stage)
            for item in super().__iter__():
                if stage == "source" and item == 5:
                    raise BrokenError(stage)
                yield item

    def work(item: int) -> int:
        if stage == "work" and item >= 5:
            raise BrokenError(stage)
        return item

    with pytest.raises(BrokenError, match=stage), Newest(Source(), work) as pipeline:
        take_all(pipeline)


def leave_normally() -> None:
    return


def leave_by_error() -> None:
    raise BrokenError("caller")


@pytest.mark.parametrize("leave", [leave_normally, leave_by_error])
def test_leaving_ends_the_threads_at_once(leave: Callable[[], None]) -> None:
    source = Ticks()
    started = 0.0
    try:
        with Newest(source, lambda item: item) as pipeline:
            assert pipeline.get(1) is not None
            started = time.monotonic()
            leave()
    except BrokenError:
        assert leave is leave_by_error
    assert time.monotonic() - started < 0.5
    assert source.stop.is_set()


def test_a_source_that_does_not_answer_is_left_behind() -> None:
    answer = threading.Event()

    class Stuck(Ticks):
        def __iter__(self) -> Iterator[int]:
            yield 1
            answer.wait()

    started = time.monotonic()
    with Newest(Stuck(), lambda item: item) as pipeline:
        assert pipeline.get(1) == 1
    assert time.monotonic() - started < 3
    answer.set()
    time.sleep(0.05)  # its thread ends by itself
