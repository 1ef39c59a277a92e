"""``live --publish`` to and inside go2rtc, as the documents say."""

from __future__ import annotations

import logging
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.clapper import RATE, heard, write_clapper
from tests.support.go2rtc import Server
from tests.support.receiver import Receiver
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.live.feeds import open_feed
from zerodce_rt.live.session import LiveSettings, run_live

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clapper(tmp_path_factory.mktemp("clap") / "clap.mp4", 30)


@contextmanager
def publishing(clip: Path, url: str) -> Iterator[None]:
    """Publish in the background until the block ends."""
    stop = threading.Event()
    feed = open_feed(clip)
    settings = LiveSettings(window=False, publish=url, rate=RATE)
    enhancer = Enhancer.for_video(strength=0.0, denoise=0.0)

    def play() -> None:
        run_live(feed, enhancer, settings)
        stop.set()

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield
        assert not stop.is_set(), "the clip was too short"
    finally:
        feed.close()
        thread.join()


@pytest.mark.parametrize("output", ["{output}", "-"])
def test_a_source_that_the_server_starts(clip: Path, tmp_path: Path, output: str) -> None:
    """Frigate's way: the server runs the command when somebody looks, and ends it after."""
    program = shlex.join([sys.executable, "-m", "zerodce_rt", "live", str(clip)])
    source = (
        f"exec:{program} --loop --no-window --quiet --strength 0 --denoise 0 --publish {output}"
    )
    with Server(tmp_path, yard=source) as server:
        path = tmp_path / "there.nut"
        with Receiver(server.url("yard"), path, rtsp_transport="tcp") as receiver:
            receiver.wait_until_open()
            time.sleep(6)
            server.kill()
            receiver.finish()
    result = heard(path)
    assert result.codec == "aac"
    assert len(result.times) > 2 * RATE
    assert len(result.flashes) >= 2
    assert len(result.beeps) >= 2
    # The server does not pass on what says how they belong together.
    assert max(map(abs, result.offsets_ms[:-1])) < 50


@pytest.mark.parametrize("way", ["rtsp", "rtmp", "whip"])
def test_a_stream_is_pushed(clip: Path, tmp_path: Path, way: str) -> None:
    with Server(tmp_path, yard="") as server:
        url = {
            "rtsp": server.url("yard"),
            "rtmp": f"rtmp://127.0.0.1:{server.ports['rtmp']}/yard",
            "whip": f"http://127.0.0.1:{server.ports['api']}/api/webrtc?dst=yard",
        }[way]
        with publishing(clip, url):
            if way == "rtmp":  # of which it tells no more while nobody looks
                server.wait_for("yard", 20_000, what="bytes")
                return
            received = server.wait_for("yard", 2 * RATE)
    assert received["opus" if way == "whip" else "aac"] > RATE


def test_a_server_that_is_killed_comes_back(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Server(tmp_path, yard="") as server, publishing(clip, server.url("yard")):
        server.wait_for("yard", RATE)
        server.kill()
        time.sleep(1)
        server.start()
        server.wait_for("yard", RATE)
    assert "yard: broke off (" in caplog.text
    assert caplog.text.count("yard: connected") == 2
