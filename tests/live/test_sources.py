"""A feed reopens lost sources; meters measure rates and latencies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.support.captured import captured
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live import sources
from zerodce_rt.live.meters import LatencyMeter, RateMeter
from zerodce_rt.live.sources import CapturedImage, Feed, SourceLost

IMAGE = np.zeros((4, 4, 3), np.uint8)


class Script:
    """A source that gives a number of images, then ends or raises."""

    def __init__(self, images: int, end: Exception | None = None) -> None:
        self.images, self.end = images, end
        self.description = "4x4"
        self.closed = False

    def read(self) -> CapturedImage | None:
        if self.images == 0:
            if self.end is not None:
                raise self.end
            return None
        self.images -= 1
        return captured(IMAGE, time.monotonic())

    def close(self) -> None:
        self.closed = True


def opener(*results: Script | Exception) -> Callable[[], Script]:
    """A function that returns or raises these, one with each call."""
    waiting: Iterator[Script | Exception] = iter(results)

    def open_source() -> Script:
        result = next(waiting)
        if isinstance(result, Exception):
            raise result
        return result

    return open_source


@pytest.fixture
def quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(sources, "LONGEST_PAUSE_SECONDS", 0.1)


def test_a_file_that_stays_waits_until_somebody_goes_back() -> None:
    class Two(Script):
        """Two images; its end can be left."""

        def seek(self, seconds: float) -> None:
            asked.append(seconds)
            self.images = 2

    asked: list[float] = []
    feed = Feed("film", opener(Two(2)))
    feed.at_end = "stay"
    taken: list[CapturedImage] = []
    thread = threading.Thread(target=lambda: taken.extend(feed))
    thread.start()
    wait_until(lambda: feed.ended)
    assert feed.seekable
    assert feed.silent_seconds == 0
    feed.seek(-5)
    wait_until(lambda: feed.ended and bool(asked))
    feed.close()
    thread.join(5)
    assert not thread.is_alive()
    assert len(taken) == 4
    assert asked == [-5]


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_a_file_is_played_again_and_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "zerodce_rt")
    scripts = [Script(2), Script(2), Script(0)]
    feed = Feed("film", opener(*scripts))
    feed.at_end = "again"
    assert len(list(feed)) == 4, "one without images ends it"
    assert all(script.closed for script in scripts)
    assert caplog.messages == ["film: 4x4"], "said once"


def test_a_file_ends() -> None:
    script = Script(3)
    feed = Feed("clip", opener(script))
    assert feed.status == "opening clip ..."
    assert len(list(feed)) == 3
    assert feed.status is None
    assert feed.description == "4x4"
    assert script.closed


def test_a_source_that_cannot_be_opened_at_first_is_an_error() -> None:
    with pytest.raises(SourceLost, match="no such camera"):
        list(Feed("camera 7", opener(SourceLost("no such camera"))))


@pytest.mark.usefixtures("quick_pauses")
def test_a_lost_source_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "zerodce_rt")
    first = Script(2, SourceLost("unplugged"))
    gone = [SourceLost("cannot be opened"), ZeroDCEError("is HDR now")]
    second = Script(2, SourceLost("unplugged again"))
    feed = Feed("camera 0", opener(first, *gone, second, Script(1)))
    assert len(list(feed)) == 5
    assert first.closed
    assert second.closed
    lost = [r.getMessage() for r in caplog.records if "trying again" in r.getMessage()]
    # Pauses grow, and start again from the shortest once there were images.
    assert lost == [
        "unplugged; trying again in 0.02 s",
        "cannot be opened; trying again in 0.04 s",
        "is HDR now; trying again in 0.08 s",
        "unplugged again; trying again in 0.02 s",
    ]
    assert sum("is back" in r.getMessage() for r in caplog.records) == 2


@pytest.mark.usefixtures("quick_pauses")
def test_the_longest_pause() -> None:
    feed = Feed("x", opener(Script(1, SourceLost("a")), *[SourceLost("b")] * 5, Script(0)))
    pauses = []

    class Recorder(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout)
            return super().wait(0)

    feed._stop = Recorder()
    list(feed)
    assert [p for p in pauses if p] == [0.02, 0.04, 0.08, 0.1, 0.1, 0.1]


def test_status_says_why_there_is_no_image_and_close_ends_the_pause() -> None:
    feed = Feed("camera 0", opener(Script(1, SourceLost("unplugged"))))
    thread = threading.Thread(target=lambda: list(feed))
    thread.start()
    until = time.monotonic() + 5
    while feed.status != "unplugged; trying again in 0.5 s" and time.monotonic() < until:
        time.sleep(0.005)
    assert feed.status == "unplugged; trying again in 0.5 s"
    started = time.monotonic()
    feed.close()
    thread.join(5)
    assert not thread.is_alive()
    assert time.monotonic() - started < 0.4


def test_an_image_waits_until_it_is_due() -> None:
    class Early(Script):
        def read(self) -> CapturedImage | None:
            item = super().read()
            return item and captured(item.image, item.captured + 0.15)

    for item in Feed("clip", opener(Early(2))):
        assert time.monotonic() >= item.captured


def test_silence_is_measured() -> None:
    answer = threading.Event()

    class Silent(Script):
        def read(self) -> CapturedImage | None:
            answer.wait(5)
            return super().read()

    feed = Feed("camera 0", opener(Silent(1)))
    assert feed.silent_seconds == 0
    thread = threading.Thread(target=lambda: list(feed))
    thread.start()
    time.sleep(0.2)
    assert 0.05 < feed.silent_seconds < 4
    answer.set()
    thread.join(5)
    assert feed.silent_seconds == 0


def test_rate_meter() -> None:
    meter = RateMeter()
    assert meter.rate(0.0) == 0
    meter.tick(0.0)
    assert meter.rate(0.0) == 0
    for n in range(1, 301):
        meter.tick(n / 30)
    assert meter.rate(10.0) == pytest.approx(30)
    for n in range(1, 61):
        meter.tick(10 + n / 15)
    assert meter.rate(14.0) == pytest.approx(15), "it follows a change"
    assert meter.rate(17.0) == 0, "nothing came for a while"


def test_latency_meter() -> None:
    meter = LatencyMeter(size=5)
    assert meter.median_ms() == 0
    for seconds in (9.0, 9.0, 0.010, 0.020, 0.030, 0.040, 0.050):
        meter.add(seconds)
    assert meter.median_ms() == pytest.approx(30)
