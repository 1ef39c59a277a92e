"""Live sources that send in bursts or not at all, and clocks that jump."""

from __future__ import annotations

import itertools
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import VideoMaker
from tests.support.media import Probe, write_video
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.live import stream
from zerodce_rt.live.feeds import open_feed
from zerodce_rt.live.session import LiveSettings, run_live


@contextmanager
def server(content: bytes, seconds: float) -> Iterator[str]:
    """A sender on loopback: each connection gets the content in that time, and is closed.

    Yields:
        Its URL.
    """
    stop = threading.Event()
    size = len(content) // 8 + 1
    pieces = [content[i * size : (i + 1) * size] for i in range(8)]

    def serve() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:  # nobody has come; or closed
                continue
            with closing(connection):
                for piece in pieces:
                    try:
                        connection.sendall(piece)
                    except OSError:
                        break
                    stop.wait(seconds / 8)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            thread.join()


def test_a_sender_of_short_bursts_is_seen(tmp_path: Path) -> None:
    """Of 0.6 s, shorter than what a stream is analysed for."""
    write_video(tmp_path / "burst.ts", frames=18, options={"tune": "zerolatency"})
    with server((tmp_path / "burst.ts").read_bytes(), 0.6) as url:
        feed = open_feed(url)
        images = list(itertools.islice(feed, 30))
        feed.close()
    assert len(images) == 30, "two connections"
    assert all(image.image.shape == (64, 96, 3) for image in images)


def test_a_silent_sender_is_said_to_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_TIMEOUT_SECONDS", (0.4, 0.4))
    with server(b"", 8) as url, pytest.raises(Exception, match=r"nothing has come for 0\.4 s"):
        next(iter(open_feed(url)))


def test_a_clock_that_jumps_is_not_noticed(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's time may be set at any moment; the session has a clock of its own."""
    jumps = random.Random(0)
    monkeypatch.setattr(time, "time", lambda: jumps.uniform(-1e9, 4e9))
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(jumps.randrange(2**31)))
    source, record = make_video(frames=30), tmp_path / "record.mkv"
    settings = LiveSettings(window=False, record=record)
    with Enhancer.for_video() as enhancer:
        started = time.monotonic()
        run_live(open_feed(source), enhancer, settings)
    assert 0.9 < time.monotonic() - started < 20
    steps = np.diff([float(t) for t in Probe(record).pts])
    assert steps.min() > 0
    assert steps.max() < 1
    assert sum(steps) == pytest.approx(29 / 30, abs=0.3)
