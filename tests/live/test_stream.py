"""Files at their own speed, and a real stream over the loopback network."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.conftest import VideoMaker
from tests.support.media import dark_scene
from tests.support.sender import SIZE, Sender
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live import sources, stream
from zerodce_rt.live.feeds import open_feed
from zerodce_rt.live.sources import CapturedImage, SourceLost
from zerodce_rt.live.stream import FilePlayer, Stream


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def opened(open_source: Callable[[], Stream]) -> Stream:
    """Open a stream as soon as its sender listens."""
    until = time.monotonic() + 10
    while True:
        try:
            return open_source()
        except SourceLost:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def test_a_stream_is_received_as_it_is_sent() -> None:
    url = f"tcp://127.0.0.1:{free_port()}"
    with Sender(url):
        source = opened(lambda: Stream(url, "the stream"))
        try:
            assert source.description.startswith("640x360 h264")
            pictures = []
            for _ in range(15):
                picture = source.read()
                assert picture is not None
                pictures.append(picture)
        finally:
            source.close()
    assert all(p.image.shape == (SIZE[1], SIZE[0], 3) for p in pictures)
    assert 10 < pictures[-1].image.mean() < 60
    # Times of arrival, not due times.
    assert all(a.captured <= b.captured for a, b in itertools.pairwise(pictures))


def test_rtsp(monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg has no RTSP server, so here the receiver listens instead of the sender."""
    listening = {"rtsp_flags": "listen", "listen_timeout": "10"}
    options = stream._SCHEME_OPTIONS["rtsp"] | listening
    monkeypatch.setitem(stream._SCHEME_OPTIONS, "rtsp", options)
    url = f"rtsp://127.0.0.1:{free_port()}/camera"
    with Sender(url):
        source = Stream(url, "camera")
        assert source.description.startswith("640x360 h264 at 25 fps")
        pictures = [source.read() for _ in range(15)]
        assert all(p is not None and p.image.shape == (SIZE[1], SIZE[0], 3) for p in pictures)
    with pytest.raises(SourceLost, match=r"^camera "):
        read_on(source)
    source.close()


def test_udp() -> None:
    url = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    with Sender(url):
        source = opened(lambda: Stream(url, url))
        try:
            picture = source.read()
        finally:
            source.close()
    assert picture is not None
    assert picture.image.shape == (SIZE[1], SIZE[0], 3)


class MotionJpeg(BaseHTTPRequestHandler):
    """A cheap network camera; one of its images is damaged."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        with contextlib.suppress(OSError):  # the receiver has gone
            for number in range(200):
                jpeg = cv2.imencode(".jpg", dark_scene(number, 160, 120))[1].tobytes()
                if number == 6:
                    jpeg = jpeg[: len(jpeg) // 2] + bytes(200)
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                time.sleep(0.03)

    def log_message(self, *_: Any) -> None:
        pass


def test_motion_jpeg_over_http() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), MotionJpeg) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        feed = open_feed(f"http://127.0.0.1:{server.server_port}/video.mjpg")
        pictures = list(itertools.islice(feed, 15))
        server.shutdown()
    assert {p.image.shape for p in pictures} == {(120, 160, 3)}
    assert 5 < pictures[-1].image.mean() < 60
    # Times of arrival: JPEG streams have no timestamps.
    assert pictures[-1].captured - pictures[4].captured > 0.2


def test_a_stream_that_its_sender_closes_is_lost_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(sources, "LONGEST_PAUSE_SECONDS", 0.1)
    url = f"tcp://127.0.0.1:{free_port()}"
    with Sender(url):
        source = opened(lambda: Stream(url, url))
        # The feed gets this source first; later it opens its own.
        reopened = open_feed(url)
        again = reopened._open
        first: list[Stream] = [source]
        feed = sources.Feed(url, lambda: first.pop() if first else again())
        pictures = iter(feed)
        next(pictures)
    statuses: list[str | None] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.005):
            statuses.append(feed.status)

    watcher = threading.Thread(target=watch)
    watcher.start()

    def start_again() -> None:
        with Sender(url):
            ended.wait(20)

    starter = threading.Timer(0.5, start_again)
    starter.start()
    try:
        until = time.monotonic() + 15
        while not any(s and "trying again" in s for s in statuses):
            next(pictures)
            assert time.monotonic() < until
        for _ in range(5):
            next(pictures)
    finally:
        feed.close()
        ended.set()
        watcher.join()
        starter.join()
    assert list(pictures) == []
    assert any(s and "cannot be opened" in s for s in statuses), "while nobody sends"


def read_on(source: Stream) -> None:
    while source.read() is not None:
        pass


def test_a_stalled_stream_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_TIMEOUT_SECONDS", (5.0, 0.5))
    url = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    with Sender(url):
        source = opened(lambda: Stream(url, "rtsp://cam"))
        assert source.read() is not None
    started = time.monotonic()
    with pytest.raises(SourceLost, match=r"^rtsp://cam broke off \("):
        read_on(source)
    assert time.monotonic() - started < 5
    source.close()


def test_nobody_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_TIMEOUT_SECONDS", (0.5, 0.5))
    url = f"http://me:secret@127.0.0.1:{free_port()}/video"
    with pytest.raises(SourceLost, match=r"127.0.0.1:\d+/video cannot be opened \(") as caught:
        next(iter(open_feed(url)))
    assert "secret" not in str(caught.value)


def play(path: Path) -> list[CapturedImage]:
    player = FilePlayer(path)
    pictures = []
    while (picture := player.read()) is not None:
        pictures.append(picture)
    player.close()
    return pictures


def test_a_file_plays_at_its_own_speed(make_video: VideoMaker) -> None:
    pts = [0, 1, 2, 5, 6, 15]
    path = make_video(frames=6, pts=pts, time_base=Fraction(1, 30))
    started = time.monotonic()
    pictures = play(path)
    due = [p.captured - pictures[0].captured for p in pictures]
    assert due == pytest.approx([n / 30 for n in pts], abs=1e-3)
    assert pictures[0].captured - started < 1
    feed = open_feed(str(path))
    started = time.monotonic()
    assert len(list(feed)) == 6
    assert time.monotonic() - started >= 0.5


@pytest.mark.parametrize("pause", [0.3, 1.2])
def test_a_slow_decoder_delays_the_file_and_drops_nothing(
    make_video: VideoMaker, pause: float
) -> None:
    player = FilePlayer(make_video(frames=10))
    assert player.read() is not None
    time.sleep(pause)
    late = player.read()
    assert late is not None
    assert time.monotonic() - late.captured < 0.2, "it is due now"
    rest = [late.captured]
    while (picture := player.read()) is not None:
        rest.append(picture.captured)
    assert len(rest) == 9, "none is dropped"
    assert np.diff(rest) == pytest.approx(1 / 30, abs=1e-3)
    player.close()


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"rotation": 90}, (96, 64, 3)),
        ({"rotation": -90}, (96, 64, 3)),
        ({"rotation": 180}, (64, 96, 3)),
        ({"aspect": Fraction(2)}, (64, 192, 3)),
        ({"aspect": Fraction(1, 2)}, (128, 96, 3)),
        ({"pix_fmt": "yuv420p10le", "codec": "libx265"}, (64, 96, 3)),
    ],
)
def test_pictures_are_upright_with_square_pixels(
    make_video: VideoMaker, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    assert play(make_video(**options))[0].image.shape == shape


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_the_direction_of_the_rotation(make_video: VideoMaker, rotation: int) -> None:
    image = play(make_video(rotation=rotation, level=0.9))[0].image
    plain = play(make_video("plain.mp4", level=0.9))[0].image
    # As in players, positive angles turn counterclockwise.
    expected = np.rot90(plain, rotation // 90)
    assert np.abs(image.astype(int) - expected).mean() < 3


def test_colours_are_those_of_the_file(make_video: VideoMaker) -> None:
    image = play(make_video(level=0.9))[0].image
    assert np.abs(image[..., ::-1].astype(int) - dark_scene(0, 96, 64, level=0.9)).mean() < 6


def test_a_damaged_file_ends(make_video: VideoMaker, caplog: pytest.LogCaptureFixture) -> None:
    path = make_video(frames=60)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] if b"moov" in data[:2000] else data)
    broken = path.with_suffix(".mkv")
    with av.open(str(path)) as source, av.open(str(broken), "w") as out:
        copy = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)
    data = broken.read_bytes()
    broken.write_bytes(data[: len(data) * 2 // 3])
    assert 5 < len(play(broken)) < 60


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_seeking_in_a_file(make_video: VideoMaker, suffix: str) -> None:
    player = FilePlayer(make_video(f"clip{suffix}", frames=90))

    def level_of(number: int) -> float:
        """Where the patch of ``dark_scene`` is, which tells the image."""
        row = dark_scene(number, 96, 64)[26].astype(int)
        return float((row[:, 0] - row[:, 2]).argmax())

    def where() -> float:
        item = player.read()
        assert item is not None
        row = item.image[26].astype(int)
        return float((row[:, 2] - row[:, 0]).argmax())

    first = where()
    player.seek(1.0)
    assert where() == pytest.approx(level_of(30), abs=4)
    player.seek(-0.5)
    assert where() == pytest.approx(level_of(15), abs=4)
    player.seek(-100)
    assert where() == pytest.approx(first, abs=4), "the beginning"
    player.seek(100)
    assert where() == pytest.approx(level_of(89), abs=4), "the last image"
    assert player.read() is None
    player.seek(-0.5)
    late = player.read()
    assert late is not None
    assert abs(late.captured - time.monotonic()) < 1, "due now"
    player.close()


def test_files_that_are_not_videos_are_refused(tmp_path: Path, make_video: VideoMaker) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a video")
    with pytest.raises(ZeroDCEError, match="not a video that can be read"):
        next(iter(open_feed(str(text))))
