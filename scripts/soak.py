"""Run live and file work side by side for an hour, and see whether anything grows.

One process watches a network stream on loopback without a window and records it, session after
session; its sender is killed now and then. Another enhances small videos and pictures with one
enhancer, damaged ones too, and some runs are stopped half-way. Both note their memory,
descriptors, threads, delay and work every few seconds.

    python scripts/soak.py -o FOLDER [--minutes 60] [--only live|files]

Needs matplotlib. Writes ``soak.json`` and ``soak.png`` to the folder, about once a minute, so that
a run that is killed leaves figures as well; what the workers log goes to ``live.log`` and
``files.log``. Exit code 1 if memory, descriptors, threads or the delay grew, or a worker failed.
Memory is judged from about 40 minutes on: before, pools and allocators fill.
Descriptors and threads are known on Linux only.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import cv2  # before PyAV, see zerodce_rt/live/__init__.py
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.atomic import finished_file
from zerodce_rt.bench.hardware import hardware, peak_memory_mb, versions
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.progress import progress_bar

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SAMPLE_SECONDS = 5.0
WRITE_SECONDS = 60.0
# The longest session, and how long a sender lives; shorter in short runs, so that there are some.
SESSION_SECONDS = 300.0
# Sessions of several lengths, so that they drift against the sender's restarts.
SESSION_SHARES = (1.0, 0.4, 0.7)
# What a worker may need to end after its time.
GRACE_SECONDS = 60.0
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

# Limits. Caches and pools fill in the beginning: at least two minutes, but half of a short run.
WARM_UP_SHARE, WARM_UP_SECONDS = 0.1, 120.0
MEMORY_MB_PER_HOUR = 20.0
# In less time than this, pools and allocators come to rest, and the slope says little.
LEAST_SECONDS = 1800.0
DELAY_RATIO, DELAY_NOISE_MS = 1.5, 5.0


@dataclass(frozen=True)
class Sample:
    """A worker at one moment.

    Attributes:
        seconds: since the worker began.
        resting: between two sessions or rounds, with nothing open: comparable with its like.
        memory_mb: resident; where the system does not say, the peak.
        descriptors, tasks: open descriptors, and threads by the system's count; None where it
            does not say.
        threads: those that Python has started.
        delay_p50_ms, delay_p95_ms: from capture to output, since the last sample; None without
            an image.
        done: frames or files so far.
        restarts: of the sender so far.
    """

    seconds: float
    resting: bool
    memory_mb: float
    descriptors: int | None
    threads: int
    tasks: int | None
    delay_p50_ms: float | None
    delay_p95_ms: float | None
    done: int
    restarts: int


@dataclass(frozen=True)
class Finding:
    """A line of the verdict."""

    worker: str
    what: str
    measured: str
    limit: str
    passed: bool


# ---- what both workers do


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
    """Start this script in another role; its standard input is open as long as this process."""
    command = [sys.executable, __file__, "--role", role, *map(str, arguments)]
    # Not of the terminal's group: Ctrl-C is for the first process, which then ends the others.
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, text=True, start_new_session=True, **streams
    )


# ---- the live worker, and the camera that it watches


def send(port: int) -> None:
    """Send dark video in real time to whoever connects, one after another."""
    import av

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
    from zerodce_rt.live import LiveSettings, open_feed, run_live
    from zerodce_rt.live.sources import SourceLost

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
    import av

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
    from zerodce_rt.files import enhance_picture, enhance_video

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
    from zerodce_rt.files import enhance_video

    result = enhance_video(video, output, enhancer=enhancer)
    assert result.frames == CLIP_FRAMES, f"{video}: {result.frames} frames"


def enhance_half(video: Path, output: Path, enhancer: Enhancer) -> None:
    from zerodce_rt.files import enhance_video

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
    import av

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


# ---- the verdict


def warm_up_seconds(length_seconds: float) -> float:
    return min(max(WARM_UP_SHARE * length_seconds, WARM_UP_SECONDS), length_seconds / 2)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The median of the slopes between all pairs (Theil and Sen): outliers do not move it."""
    x, y = np.array(points, float).T
    first, second = np.triu_indices(len(x), 1)
    apart = x[second] > x[first]
    return float(np.median(((y[second] - y[first])[apart]) / ((x[second] - x[first])[apart])))


def quarters(points: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Medians over the first and the last quarter of the time; None if there is nothing in one."""
    if not points:
        return None
    begin, end = points[0][0], points[-1][0]
    first = [y for x, y in points if x <= begin + (end - begin) / 4]
    last = [y for x, y in points if x >= end - (end - begin) / 4]
    return (float(np.median(first)), float(np.median(last))) if len(points) > 1 else None


def column(samples: Sequence[Sample], name: str) -> list[tuple[float, float]]:
    """Times and values of a figure, where there is one."""
    pairs = ((s.seconds, getattr(s, name)) for s in samples)
    return [(x, y) for x, y in pairs if y is not None]


def judge_memory(worker: str, what: str, memory: Sequence[tuple[float, float]]) -> Finding:
    length = memory[-1][0] - memory[0][0]
    per_hour = 3600 * slope(memory)
    measured = f"{per_hour:+.1f} MB/h, {per_hour * length / 3600:+.1f} MB in all"
    if length < LEAST_SECONDS:
        return Finding(worker, what, measured, "too short to be judged", passed=True)
    limit = f"{MEMORY_MB_PER_HOUR:g} MB/h"
    return Finding(worker, what, measured, limit, per_hour <= MEMORY_MB_PER_HOUR)


def judge(worker: str, samples: Sequence[Sample], length_seconds: float) -> list[Finding]:
    """What grew, after the warm-up."""
    warm = [s for s in samples if s.seconds >= warm_up_seconds(length_seconds)]
    resting = [s for s in warm if s.resting]
    findings = [
        judge_memory(worker, what, column(rows, "memory_mb"))
        for what, rows in (("memory", warm), ("memory at rest", resting))
        if len(rows) > 2
    ]
    for name, shown in (("descriptors", "descriptors"), ("threads", "Python's threads"),
                        ("tasks", "the system's threads")):  # fmt: skip
        medians = quarters(column(resting, name))
        if medians is not None:
            measured = f"{medians[0]:g} to {medians[1]:g}"
            # A median may lie between two numbers: the sender's pipe is away for a second.
            grew = medians[1] >= medians[0] + 1
            findings.append(Finding(worker, shown, measured, "no growth", not grew))
    medians = quarters(column(warm, "delay_p95_ms"))
    if medians is not None:
        findings.append(Finding(
            worker, "delay, p95", f"{medians[0]:.1f} to {medians[1]:.1f} ms",
            f"{DELAY_RATIO:g} times, and {DELAY_NOISE_MS:g} ms",
            medians[1] <= DELAY_RATIO * medians[0] + DELAY_NOISE_MS,
        ))  # fmt: skip
    return findings


def print_table(findings: Sequence[Finding]) -> None:
    rows = [("", "", "slope, or first to last quarter", "may grow by", "")]
    rows += [
        (f.worker, f.what, f.measured, f.limit, "pass" if f.passed else "FAIL") for f in findings
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)))


# ---- the chart

COLOURS = {"live": "tab:blue", "files": "tab:orange"}


def minutes(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x / 60 for x, _ in points], [y for _, y in points]


def draw(path: Path, samples: dict[str, list[Sample]], length_seconds: float, title: str) -> None:
    """Four panels over time: memory, descriptors and threads, delay, work."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    ((memory, counts), (delay, done)) = figure.subplots(2, 2, sharex=True)
    figure.suptitle(title, fontsize=11)
    warm = warm_up_seconds(length_seconds)
    other = done.twinx() if len(samples) > 1 else done
    for worker, rows in samples.items():
        if rows:
            draw_memory(memory, worker, rows, warm)
            draw_counts(counts, worker, rows)
            draw_done(done if worker == "live" else other, worker, rows)
    draw_delay(delay, samples.get("live", []))
    memory.set(title="Resident memory", ylabel="MB", ylim=(0, None))
    counts.set(title="Descriptors and threads, at rest")
    # Room for the legend above the lines.
    counts.set_ylim(0, 1.5 * counts.get_ylim()[1])
    counts.yaxis.get_major_locator().set_params(integer=True)
    delay.set(title="Delay from capture to output", ylabel="ms", xlabel="minutes")
    done.set(title="Work done", xlabel="minutes")
    for axis in (memory, counts, delay, done):
        axis.axvspan(0, warm / 60, color="black", alpha=0.05, linewidth=0)
        axis.grid(visible=True, alpha=0.25)
        axis.set_xlim(0, length_seconds / 60)
        axis.spines[["top", "right"]].set_visible(False)
        labels = axis.get_legend_handles_labels()[1]
        if labels:
            place = "upper left" if axis is counts else "best"
            axis.legend(fontsize=8, loc=place, ncols=2 if len(labels) > 3 else 1)
    memory.annotate("warm-up", (0.4 * warm / 60, 0), xycoords=("data", "axes fraction"),
                    xytext=(0, 4), textcoords="offset points", fontsize=8, ha="center",
                    color="grey")  # fmt: skip
    figure.savefig(path)


def draw_memory(axis: Axes, worker: str, rows: Sequence[Sample], warm: float) -> None:
    x, y = minutes(column(rows, "memory_mb"))
    axis.plot(x, y, color=COLOURS[worker], linewidth=1, alpha=0.7)
    fitted = column([r for r in rows if r.seconds >= warm], "memory_mb")
    label = worker
    if len(fitted) > 2:
        rate = slope(fitted)
        label += f": {3600 * rate:+.1f} MB/h"
        middle = float(np.median([y - rate * x for x, y in fitted]))
        ends = [fitted[0][0], fitted[-1][0]]
        axis.plot([e / 60 for e in ends], [middle + rate * e for e in ends],
                  color=COLOURS[worker], linewidth=2.5, linestyle="--")  # fmt: skip
    axis.plot([], [], color=COLOURS[worker], label=label)


def draw_counts(axis: Axes, worker: str, rows: Sequence[Sample]) -> None:
    resting = [r for r in rows if r.resting]
    for name, marker, what in (("descriptors", "o", "descriptors"), ("tasks", "s", "threads"),
                               ("threads", "^", "Python's threads")):  # fmt: skip
        x, y = minutes(column(resting, name))
        if x:
            axis.plot(x, y, color=COLOURS[worker], marker=marker, markersize=4, linewidth=0.8,
                      label=f"{worker}: {what}", markerfacecolor="white")  # fmt: skip


def draw_delay(axis: Axes, rows: Sequence[Sample]) -> None:
    if not rows:
        axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, ha="center", color="grey")
        axis.set_yticks([])
        return
    highest = 0.0
    for name, label, width in (("delay_p95_ms", "p95", 0.8), ("delay_p50_ms", "median", 1.6)):
        x, y = minutes(column(rows, name))
        highest = max([highest, *([float(np.percentile(y, 98))] if y else [])])
        axis.plot(x, y, color=COLOURS["live"], linewidth=width, label=label,
                  alpha=0.5 if name == "delay_p95_ms" else 1)  # fmt: skip
    # A single hitch must not press everything else flat.
    axis.set_ylim(0, 1.5 * highest or None)
    for before, after in itertools.pairwise(rows):
        if after.restarts > before.restarts:
            axis.axvline(after.seconds / 60, color="grey", linewidth=0.8, linestyle=":")
    axis.plot([], [], color="grey", linewidth=0.8, linestyle=":", label="sender started anew")


def draw_done(axis: Axes, worker: str, rows: Sequence[Sample]) -> None:
    x, y = minutes(column(rows, "done"))
    axis.plot(x, y, color=COLOURS[worker])
    axis.set_ylabel("frames, live" if worker == "live" else "files", color=COLOURS[worker])
    axis.tick_params(axis="y", colors=COLOURS[worker])
    axis.set_ylim(0, None)


# ---- the first process


class Worker:
    """A worker process, and the samples that it has sent."""

    def __init__(self, role: str, seconds: float, folder: Path, log: IO[str]) -> None:
        self.role = role
        self.samples: list[Sample] = []
        folder.mkdir()
        self._process = start(role, seconds, folder, stdout=subprocess.PIPE, stderr=log)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                self.samples.append(Sample(**json.loads(line)))

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def finding(self) -> Finding:
        """Whether it came to its end; it is ended if not."""
        code = self.code
        self._process.kill()
        self._process.wait()
        self._thread.join()
        ended = {None: "not by itself", 0: "in time"}.get(code, f"failed: see {self.role}.log")
        return Finding(self.role, "end", ended, "in time", code == 0)


def soak(folder: Path, seconds: float, roles: Sequence[str]) -> bool:
    """Run the workers, and write what they report, again and again; whether all is well."""
    machine = {"hardware": hardware(), "versions": versions()}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        logs = [stack.enter_context(open(folder / f"{role}.log", "w")) for role in roles]
        workers = [Worker(r, seconds, scratch / r, f) for r, f in zip(roles, logs, strict=True)]
        bar = stack.enter_context(progress_bar("soak", unit="s", total=round(seconds), keep=True))
        began = written = time.monotonic()
        with suppress(KeyboardInterrupt):
            while (passed := time.monotonic() - began) < seconds + GRACE_SECONDS:
                codes = [worker.code for worker in workers]
                if None not in codes or any(codes):  # all have ended, or one has failed
                    break
                done = ", ".join(f"{w.role} {w.samples[-1].done}" for w in workers if w.samples)
                bar.set_postfix_str(done, refresh=False)
                bar.update(min(round(passed), bar.total) - bar.n)
                if time.monotonic() - written > min(WRITE_SECONDS, seconds / 6):
                    write(folder, machine, workers, seconds, [])
                    written = time.monotonic()
                time.sleep(1)
        ends = [worker.finding() for worker in workers]
    findings = write(folder, machine, workers, seconds, ends)
    print_table(findings)
    return all(finding.passed for finding in findings)


def write(
    folder: Path, machine: dict[str, Any], workers: Sequence[Worker], seconds: float,
    ends: list[Finding],
) -> list[Finding]:  # fmt: skip
    """Write the figures and the chart; ``ends`` is empty as long as the workers run."""
    samples = {worker.role: list(worker.samples) for worker in workers}
    length = seconds
    if ends:  # a run that was broken off is judged by what there is
        length = max([1.0, *(rows[-1].seconds for rows in samples.values() if rows)])
    findings = [f for role, rows in samples.items() for f in judge(role, rows, length)] + ends
    verdict = "still running"
    if ends:
        verdict = "passed" if all(f.passed for f in findings) else "failed"
    document = {
        "command": " ".join(["python scripts/soak.py", *sys.argv[1:]]), **machine,
        "minutes": seconds / 60, "verdict": verdict, "findings": [asdict(f) for f in findings],
        "samples": {role: [asdict(s) for s in rows] for role, rows in samples.items()},
    }  # fmt: skip
    with finished_file(folder / "soak.json") as partial:
        partial.write_text(json.dumps(document) + "\n")
    title = f"Soak of {length / 60:.0f} minutes, {verdict}: {machine['hardware']['processor']}"
    with finished_file(folder / "soak.png") as partial:
        draw(partial, samples, length, title)
    return findings


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=60.0, metavar="N")
    parser.add_argument("--only", choices=ROLES, help="run one of the two workers")
    options = parser.parse_args()
    if not 1 <= options.minutes <= 10_000:
        parser.error("--minutes must be 1 or more")
    return options


def main() -> int:
    # As the processes that it starts: python scripts/soak.py --role NAME ...
    if sys.argv[1:2] == ["--role"]:
        role, *values = sys.argv[2:]
        end_with_parent()
        if role == "send":
            send(int(values[0]))
        reporter = Reporter(float(values[0]))
        ROLES[role](reporter, Path(values[1]))
        reporter.close()
        return 0
    options = parse_options()
    options.output.mkdir(parents=True, exist_ok=True)
    roles = [options.only] if options.only else list(ROLES)
    return 0 if soak(options.output, 60 * options.minutes, roles) else 1


ROLES: dict[str, Callable[[Reporter, Path], None]] = {"live": watch, "files": work}

if __name__ == "__main__":
    sys.exit(main())
