"""Both policies of the pipeline: order, bounded memory, the newest item only, every way to end."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import pipeline_threads
from zerodce_rt.pipeline import Newest, run_in_order


class BrokenError(Exception):
    pass


@pytest.fixture(autouse=True)
def no_thread_stays_behind() -> Iterator[None]:
    yield
    assert pipeline_threads() == []


@pytest.fixture(params=[1, 2])
def ctrl_c_after_a_start(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Lets Ctrl-C come when so many threads have been started, and the next has not."""
    start, count = threading.Thread.start, 0

    def interrupted(thread: threading.Thread) -> None:
        nonlocal count
        start(thread)
        count += 1
        if count == request.param:
            raise KeyboardInterrupt

    return lambda: monkeypatch.setattr(threading.Thread, "start", interrupted)


class Touched:
    """A source that notes how often it is read."""

    def __init__(self) -> None:
        self.times = 0

    def __iter__(self) -> Iterator[int]:
        while self.times < 100:
            self.times += 1
            yield self.times
            time.sleep(0.01)

    def close(self) -> None:
        pass

    def assert_left_alone(self) -> None:
        """Whoever stopped it may close it now."""
        before = self.times
        time.sleep(0.1)
        assert self.times == before


# run_in_order


def test_ctrl_c_while_threads_start_in_order(ctrl_c_after_a_start: Callable[[], None]) -> None:
    source = Touched()
    ctrl_c_after_a_start()
    with pytest.raises(KeyboardInterrupt):
        run_in_order(source, lambda i: i, lambda _: None)
    source.assert_left_alone()


def test_ctrl_c_while_threads_start_for_the_newest(
    ctrl_c_after_a_start: Callable[[], None],
) -> None:
    source = Touched()
    ctrl_c_after_a_start()
    with pytest.raises(KeyboardInterrupt), Newest(source, lambda i: i):
        pass
    source.assert_left_alone()


def slow(seconds: float) -> Callable[[int], int]:
    def work(item: int) -> int:
        time.sleep(seconds)
        return item * 10

    return work


@pytest.mark.parametrize("queue_size", [1, 3, 100])
@pytest.mark.parametrize("count", [0, 1, 50])
def test_order_is_kept_and_nothing_lost(count: int, queue_size: int) -> None:
    results: list[int] = []
    run_in_order(range(count), lambda i: i * 10, results.append, queue_size=queue_size)
    assert results == [i * 10 for i in range(count)]


@pytest.mark.parametrize("slowest", ["source", "work", "sink"])
def test_nothing_is_lost_with_a_slow_stage(slowest: str) -> None:
    # One item takes longer than the pipeline's polling, so that its waits time out.
    def pause(stage: str, item: int) -> None:
        if stage == slowest:
            time.sleep(0.12 if item == 5 else 0.002)

    results: list[int] = []

    def source() -> Iterator[int]:
        for i in range(30):
            pause("source", i)
            yield i

    def work(item: int) -> int:
        pause("work", item)
        return item

    def sink(item: int) -> None:
        pause("sink", item)
        results.append(item)

    run_in_order(source(), work, sink, queue_size=2)
    assert results == list(range(30))


def test_none_and_false_are_items_like_others() -> None:
    items = [None, False, 0, "", None]
    results: list[object] = []
    run_in_order(items, lambda item: item, results.append)
    assert results == items


@pytest.mark.parametrize("queue_size", [1, 4])
def test_memory_is_bounded(queue_size: int) -> None:
    """At most one item in each stage and two full queues are in flight."""
    read, written, ahead = 0, 0, []

    def source() -> Iterator[int]:
        nonlocal read
        for i in range(40):
            read += 1
            ahead.append(read - written)
            yield i

    def sink(_: int) -> None:
        nonlocal written
        time.sleep(0.003)
        written += 1

    run_in_order(source(), lambda i: i, sink, queue_size=queue_size)
    assert written == 40
    assert max(ahead) <= 2 * queue_size + 3
    assert max(ahead) >= queue_size, "the stages should overlap"


def test_stages_run_at_the_same_time() -> None:
    inside: set[str] = set()
    together: list[int] = []

    def stay(stage: str) -> None:
        inside.add(stage)
        together.append(len(inside))
        time.sleep(0.01)
        inside.discard(stage)

    def source() -> Iterator[int]:
        for i in range(15):
            stay("source")
            yield i

    def work(item: int) -> int:
        stay("work")
        return item

    run_in_order(source(), work, lambda _: stay("sink"))
    assert max(together) == 3


@pytest.mark.parametrize("stage", ["source", "work", "sink"])
@pytest.mark.parametrize("at", [0, 7])
def test_an_exception_is_raised_in_the_caller(stage: str, at: int) -> None:
    results: list[int] = []

    def fail(where: str, item: int) -> None:
        if where == stage and item == at:
            raise BrokenError(f"{where} {item}")

    def source() -> Iterator[int]:
        for i in range(10_000):
            fail("source", i)
            yield i

    def work(item: int) -> int:
        fail("work", item)
        return item

    def sink(item: int) -> None:
        fail("sink", item)
        results.append(item)

    started = time.monotonic()
    with pytest.raises(BrokenError, match=f"{stage} {at}"):
        run_in_order(source(), work, sink, queue_size=2)
    assert time.monotonic() - started < 2
    assert pipeline_threads() == []
    # Results before the failure are in order, and there are none after it.
    assert results == list(range(len(results)))
    assert len(results) <= at


def test_a_failure_to_start_iterating_is_raised() -> None:
    class NoSource:
        def __iter__(self) -> Iterator[int]:
            raise BrokenError("no such camera")

    with pytest.raises(BrokenError, match="no such camera"):
        run_in_order(NoSource(), lambda i: i, lambda _: None)


@pytest.mark.parametrize("busy", ["source", "work", "sink"])
def test_an_interrupt_ends_everything_soon(busy: str) -> None:
    closed: list[bool] = []
    interrupted_at = 0.0

    def source() -> Iterator[int]:
        try:
            i = 0
            while True:
                time.sleep(0.1 if busy == "source" else 0)
                yield i
                i += 1
        finally:
            closed.append(True)

    def interrupt() -> None:
        nonlocal interrupted_at
        interrupted_at = time.monotonic()
        _thread.interrupt_main()

    timer = threading.Timer(0.2, interrupt)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_in_order(
                source(),
                slow(0.1 if busy == "work" else 0),
                lambda _: time.sleep(0.1 if busy == "sink" else 0),
                queue_size=2,
            )
        assert 0 < time.monotonic() - interrupted_at < 1
    finally:
        timer.cancel()
    assert pipeline_threads() == []
    assert closed == [True]


@pytest.mark.parametrize("fails", [False, True])
def test_a_generator_is_closed(fails: bool) -> None:
    events: list[str] = []

    def source() -> Iterator[int]:
        try:
            yield from range(10_000 if fails else 5)
        finally:
            events.append("closed")

    def sink(item: int) -> None:
        if fails and item == 3:
            raise BrokenError

    if fails:
        with pytest.raises(BrokenError):
            run_in_order(source(), lambda i: i, sink)
    else:
        run_in_order(source(), lambda i: i, sink)
    assert events == ["closed"]


def test_a_source_is_closed_after_its_threads_have_ended() -> None:
    seen: list[list[str]] = []

    class Camera:
        def __iter__(self) -> Iterator[int]:
            return iter(range(3))

        def close(self) -> None:
            seen.append(pipeline_threads())

    run_in_order(Camera(), lambda i: i, lambda _: None)
    assert seen == [[]]


def test_a_failing_close_does_not_hide_the_failure() -> None:
    class Camera:
        def __iter__(self) -> Iterator[int]:
            return iter(range(3))

        def close(self) -> None:
            raise OSError("cannot close")

    def sink(_: int) -> None:
        raise BrokenError("disk full")

    with pytest.raises(BrokenError, match="disk full"):
        run_in_order(Camera(), lambda i: i, sink)


# Newest


class Ticks:
    """A live source: the numbers from 1 to ``count`` at a steady rate, until it is closed."""

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


def take_all(pipeline: Newest[int, int], seconds: float = 0.0) -> list[int]:
    results = []
    while not pipeline.ended:
        result = pipeline.get(0.05)
        if result is not None:
            results.append(result)
            time.sleep(seconds)
    return results


@pytest.mark.parametrize("slow", ["nobody", "work", "caller"])
def test_late_items_are_dropped_and_counted(slow: str) -> None:
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
            # Of the 50 in these 100 ms, one of the last; not the last on a busy machine.
            assert source.given - result < 25


def test_get_returns_none_soon_if_there_is_nothing_new() -> None:
    source = Ticks(1, seconds=2)
    with Newest(source, lambda item: item) as pipeline:
        started = time.monotonic()
        assert pipeline.get(0.01) is None
        assert time.monotonic() - started < 1.5
        assert not pipeline.ended
        assert take_all(pipeline) == [1]
        assert pipeline.get(0.01) is None
        assert pipeline.ended


@pytest.mark.parametrize("stage", ["source", "work", "start"])
def test_an_exception_in_a_thread_is_raised_by_get(stage: str) -> None:
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


def test_a_source_that_does_not_answer_is_abandoned() -> None:
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
    time.sleep(0.05)  # until its thread has ended
