"""What the processes of ``soak.py`` do: watch a network stream, enhance files, be the camera.

They print samples of themselves, as lines of JSON.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import cv2  # before PyAV, see zerodce_rt/live/__init__.py

import av  # isort: skip
import numpy as np
from numpy.typing import NDArray
from soak_report import Sample

from zerodce_rt.bench.hardware import give_back_freed_memory, peak_memory_mb
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.files import enhance_picture, enhance_video
from zerodce_rt.live import LiveSettings, open_feed, run_live
from zerodce_rt.live.sources import SourceLost

SAMPLE_SECONDS = 5.0
# The longest session, and how long a sender lives; shorter in short runs, so that there are some.
SESSION_SECONDS = 300.0
# Sessions of several lengths, so that they drift against the sender's restarts.
SESSION_SHARES = (1.0, 0.4, 0.7)
RATE, SIZE = 30, (1280, 720)
# Thumbnails of more shapes than a network keeps compiled.
PICTURE_SIZES = ((640, 480), (480, 640), (501, 333), (64, 600), (700, 70), (1, 1), (17, 900),
                 (320, 320), (800, 301), (255, 640), (400, 100), (99, 200))  # fmt: skip
CLIP_SIZE, CLIP_FRAMES, CLIP_RATE = (320, 180), 40, 25
# Container, codec and pixel format of the video, codec of the sound.
CONTAINERS = (
    (".mp4", "libx264", "yuv420p", "aac"),
    (".mkv", "libx264", "yuv422p", "aac"),
    (".mov", "libx264", "yuv420p10le", "aac"),
    (".ts", "libx264", "yuv420p", "aac"),
    (".webm", "libvpx-vp9", "yuv420p", "libopus"),
    (".avi", "mpeg4", "yuv420p", "mp3"),
)


def memory_mb() -> float:
    """Memory of this process that is resident; the peak where only that is known."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return peak_memory_mb() or 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def entries(folder: str) -> int | None:
    """Number of entries of a folder of this process in /proc."""
    try:
        return len(os.listdir(f"/proc/self/{folder}"))
    except OSError:
        return None


def thread_counts() -> tuple[int, int | None]:
    """Python's threads, and all by the system's count, both without those that come late.

    A pool starts its threads when they are needed for the first time, and Python notes another
    library's thread when that logs for the first time.
    """
    names = [thread.name for thread in threading.enumerate()]
    pooled = sum(name.startswith("zerodce-apply") for name in names)
    foreign = sum(name.startswith("Dummy-") for name in names)
    tasks = entries("task")
    return len(names) - pooled - foreign, None if tasks is None else tasks - pooled


class Reporter:
    """Samples this process in a thread of its own, and prints each sample as a line of JSON.

    Attributes:
        done, restarts: see ``Sample``.
        delays_ms: of the images since the last sample.
    """

    def __init__(self, seconds: float) -> None:
        self.done = self.restarts = 0
        self.delays_ms: list[float] = []
        self._began, self._seconds = time.monotonic(), seconds
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="soak-sampler", daemon=True)
        self._thread.start()

    @property
    def left_seconds(self) -> float:
        return self._seconds - (time.monotonic() - self._began)

    def rest(self) -> None:
        """Sample now, while nothing is open. What waits for the garbage collector counts."""
        give_back_freed_memory()
        self._report(resting=True)

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(min(SAMPLE_SECONDS, self._seconds / 60)):
            self._report(resting=False)

    def _report(self, *, resting: bool) -> None:
        with self._lock:
            delays, self.delays_ms = self.delays_ms, []
            p50, p95 = np.percentile(delays, [50, 95]).round(2) if delays else (None, None)
            threads, tasks = thread_counts()
            sample = Sample(
                seconds=round(time.monotonic() - self._began, 2), resting=resting,
                memory_mb=round(memory_mb(), 2), descriptors=entries("fd"),
                threads=threads, tasks=tasks,
                delay_p50_ms=p50, delay_p95_ms=p95, done=self.done, restarts=self.restarts,
            )  # fmt: skip
            print(json.dumps(asdict(sample)), flush=True)


def end_with_parent() -> None:
    """End this process when the one that started it has ended, however that happened."""

    def wait() -> None:
        # Not sys.stdin: its lock is wanted when the interpreter ends.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, name="soak-parent", daemon=True).start()


def start(role: str, *arguments: object, **streams: Any) -> subprocess.Popen[str]:
    """Start this module in a role; its standard input is open as long as this process."""
    command = [sys.executable, __file__, role, *map(str, arguments)]
    # Not of the terminal's group: Ctrl-C is for the first process, which then ends the others.
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, text=True, start_new_session=True, **streams
    )


# ---- the live worker, and the camera that it watches


def send(port: int) -> None:
    """Send dark video in real time to whoever connects, one after another."""
    rng = np.random.default_rng(0)
    noise = rng.normal(30, 6, (SIZE[1] * 3 // 2, SIZE[0])).clip(16, 80)
    noise[SIZE[1] :] = 128  # chroma
    pictures = [np.roll(noise, 8 * n, axis=1).astype(np.uint8) for n in range(4)]
    url = f"tcp://127.0.0.1:{port}?listen=1"
    options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(RATE)}
    while True:
        with suppress(OSError), av.open(url, "w", format="mpegts") as out:
            encoder = out.add_stream("libx264", rate=RATE, options=options)
            encoder.width, encoder.height, encoder.pix_fmt = *SIZE, "yuv420p"
            began = time.monotonic()
            for number in itertools.count():
                frame = av.VideoFrame.from_ndarray(pictures[number % len(pictures)], "yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, RATE)
                out.mux(encoder.encode(frame))
                time.sleep(max(0.0, began + number / RATE - time.monotonic()))


@contextmanager
def mortal_sender(port: int, life_seconds: float, reporter: Reporter) -> Iterator[None]:
    """A sender that is killed again and again, and started anew a second later."""
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            sender = start("send", port)
            ended.wait(life_seconds)
            sender.kill()
            sender.communicate()
            reporter.restarts += not ended.is_set()
            ended.wait(1.0)

    thread = threading.Thread(target=run, name="soak-sender", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class DelayMeter:
    """An ``Output`` that notes how old each image is."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def write(self, image: NDArray[np.uint8], seconds: float) -> None:
        assert image.mean() > 40, "the image was not brightened"
        self._reporter.delays_ms.append(1000 * (time.monotonic() - seconds))
        self._reporter.done += 1

    def close(self) -> None:
        pass


def watch(reporter: Reporter, folder: Path) -> None:
    """Watch and record the stream, session after session."""
    base = max(15.0, min(SESSION_SECONDS, reporter.left_seconds / 12))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with mortal_sender(port, 1.3 * base, reporter):
        for number, share in enumerate(itertools.cycle(SESSION_SHARES)):
            if reporter.left_seconds <= 0:
                return
            suffix = (".mkv", ".mp4", ".mov")[number % 3]
            session(port, folder / f"live{suffix}", share * base, reporter)
            assert_empty(folder)
            reporter.rest()


def session(port: int, recording: Path, seconds: float, reporter: Reporter) -> None:
    """One session, of the given length if there is so much time left."""
    settings = LiveSettings(
        window=False, record=recording, rate=RATE, seconds=min(seconds, reporter.left_seconds)
    )
    before, until = reporter.done, time.monotonic() + 30
    with Enhancer.for_video() as enhancer:
        while reporter.left_seconds > 0:
            try:
                feed = open_feed(f"tcp://127.0.0.1:{port}")
                run_live(feed, enhancer, settings, outputs=[DelayMeter(reporter)])
                break
            except SourceLost:  # the sender begins just now
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
    if reporter.done > before:
        assert count_frames(recording) > 0
        recording.unlink()


def count_frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(packet.size > 0 for packet in container.demux(video=0))


def assert_empty(folder: Path) -> None:
    left = [path.name for path in folder.iterdir()]
    assert not left, f"left behind: {left}"


# ---- the worker that enhances files


class Halt(BaseException):
    """Stops a run half-way, as Ctrl-C does."""


def work(reporter: Reporter, folder: Path) -> None:
    """Enhance files, round after round."""
    if hasattr(os, "nice"):
        os.nice(10)  # the live worker's delay is its own, not that of the wait for a core
    sources, outputs = folder / "in", folder / "out"
    sources.mkdir()
    outputs.mkdir()
    videos, pictures = make_videos(sources), make_pictures(sources)
    with Enhancer.for_video() as enhancer:
        jobs = list(jobs_of(videos, pictures, outputs, enhancer))
        while True:
            for job in jobs:
                if reporter.left_seconds <= 0:
                    return
                job()
                for output in outputs.glob("done*"):
                    output.unlink()
                assert_empty(outputs)
                reporter.done += 1
            reporter.rest()


def jobs_of(
    videos: Sequence[Path], pictures: Sequence[Path], outputs: Path, enhancer: Enhancer
) -> Iterator[Callable[[], None]]:
    """What is done in a round: whole videos and pictures, and some of all that can go wrong."""
    suffixes = itertools.cycle((".jpg", ".png", ".webp", ".tif"))
    for number, video in enumerate(videos):
        output = outputs / f"done{video.suffix}"
        yield partial(enhance_fully, video, output, enhancer)
        yield partial(enhance_half, video, output, enhancer)
        for picture in pictures[number :: len(videos)]:
            output = outputs / f"done{next(suffixes)}"
            yield partial(enhance_picture, picture, output, enhancer=enhancer)
    for source in (videos[0], pictures[0]):
        damaged = source.with_name(f"damaged{source.suffix}")
        content = source.read_bytes()
        damaged.write_bytes(content[: len(content) // 3])
        run = enhance_video if source is videos[0] else enhance_picture
        output = outputs / f"done{source.suffix}"
        yield partial(refuse, partial(run, damaged, output, enhancer=enhancer))


def enhance_fully(video: Path, output: Path, enhancer: Enhancer) -> None:
    result = enhance_video(video, output, enhancer=enhancer)
    assert result.frames == CLIP_FRAMES, f"{video}: {result.frames} frames"


def enhance_half(video: Path, output: Path, enhancer: Enhancer) -> None:
    def halt(done: int, _: int | None) -> None:
        if done == CLIP_FRAMES // 2:
            raise Halt

    try:
        enhance_video(video, output, enhancer=enhancer, progress=halt)
    except Halt:
        return
    raise AssertionError(f"{video}: was not stopped")


def refuse(run: Callable[[], object]) -> None:
    """Run what must be refused."""
    try:
        run()
    except ZeroDCEError:
        return
    raise AssertionError("a damaged file was not refused")


def make_videos(folder: Path) -> list[Path]:
    """Small clips with sound, one for each container."""
    paths = []
    rng = np.random.default_rng(0)
    for suffix, codec, pix_fmt, sound_codec in CONTAINERS:
        path = folder / f"clip{suffix}"
        with av.open(str(path), "w") as out:
            video = out.add_stream(codec, rate=CLIP_RATE)
            assert isinstance(video, av.VideoStream)
            video.width, video.height, video.pix_fmt = *CLIP_SIZE, pix_fmt
            sound = out.add_stream(sound_codec, rate=48_000)
            assert isinstance(sound, av.AudioStream)
            for number in range(CLIP_FRAMES):
                picture = rng.normal(25, 8, (CLIP_SIZE[1], CLIP_SIZE[0], 3)).clip(0, 255)
                frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), "rgb24")
                frame.pts, frame.time_base = number, Fraction(1, CLIP_RATE)
                out.mux(video.encode(frame))
            for begin in range(0, 48_000 * CLIP_FRAMES // CLIP_RATE, 960):
                tone = 0.1 * np.sin(np.arange(begin, begin + 960) / 20)
                samples = av.AudioFrame.from_ndarray(
                    np.stack([tone, tone]).astype(np.float32), "fltp", "stereo"
                )
                samples.sample_rate, samples.pts = 48_000, begin
                samples.time_base = Fraction(1, 48_000)
                out.mux(sound.encode(samples))
            out.mux(video.encode(None))
            out.mux(sound.encode(None))
        paths.append(path)
    return paths


def make_pictures(folder: Path) -> list[Path]:
    """Pictures of several shapes."""
    paths = []
    for number, (width, height) in enumerate(PICTURE_SIZES):
        suffix = (".jpg", ".png", ".webp", ".tif")[number % 4]
        path = folder / f"photo{number}{suffix}"
        noise = np.random.default_rng(number).normal(25, 8, (height, width, 3)).clip(0, 255)
        cv2.imwrite(str(path), noise.astype(np.uint8))
        paths.append(path)
    return paths


def main() -> None:
    """Be one of the processes of ``soak.py``: ``soak_workers.py ROLE SECONDS FOLDER``."""
    role, value, *folder = sys.argv[1:]
    end_with_parent()
    if role == "send":
        send(int(value))
    reporter = Reporter(float(value))
    ROLES[role](reporter, Path(*folder))
    reporter.close()


ROLES: dict[str, Callable[[Reporter, Path], None]] = {"live": watch, "files": work}

if __name__ == "__main__":
    main()
