"""Check the performance targets for two CPU cores.

Most are ratios of two things that are measured in turns, or right after each other: on a shared
machine, times alone say little.

    python benchmarks/cpu_targets.py [CLIP] [--json FILE]

CLIP should be a video of 1920x1080; without one, the demo's dark room is rendered at that size,
which takes a minute or two.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import chain, count, cycle, islice
from pathlib import Path

import av
import cv2
import numpy as np

from zerodce_rt.backends.cpu.runner import CPURunner
from zerodce_rt.bench import write_json
from zerodce_rt.bench.baselines import eager_dcenet, published_plus
from zerodce_rt.bench.clip import measure_clip
from zerodce_rt.bench.hardware import hardware
from zerodce_rt.bench.stages import dark_noise
from zerodce_rt.bench.timing import measure
from zerodce_rt.demo.scene import film
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.frame import FORMATS, Frame, plane_shapes
from zerodce_rt.names import DEFAULT_MODEL, DEFAULT_WORKING_SIZE, FRAME_SIZES
from zerodce_rt.progress import progress_bar

RATE = 25
# Ray tracing is slow: the rendered frames are shown several times, forwards and backwards.
SCENE_FRAMES, REPEATS = 50, 6


@dataclass(frozen=True)
class Target:
    """A target, and what was measured.

    Attributes:
        what: was measured.
        value: the result, in ``unit``.
        must, want: bounds of the value.
        larger: whether larger values are better.
        detail: the figures behind the value.
    """

    what: str
    value: float
    must: float
    want: float | None
    larger: bool
    unit: str
    detail: str

    @property
    def verdict(self) -> str:
        """``"want met"``, ``"must met"`` or ``"MISSED"``."""
        for name, bound in (("want", self.want), ("must", self.must)):
            if bound is not None and (self.value >= bound if self.larger else self.value <= bound):
                return f"{name} met"
        return "MISSED"

    def __str__(self) -> str:
        sign = ">=" if self.larger else "<="
        want = "" if self.want is None else f", want {sign} {self.want:g}"
        return (
            f"{self.what:<48}{self.value:>8.2f} {self.unit:<4} must {sign} {self.must:g}{want}: "
            f"{self.verdict}\n    {self.detail}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", type=Path, nargs="?", help="video of 1920x1080")
    parser.add_argument(
        "--seconds", type=float, default=20, help="for each measurement of frames in memory"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results")
    options = parser.parse_args()

    for key, value in hardware().items():
        print(f"{key}: {value}")
    targets = []
    with tempfile.TemporaryDirectory() as folder:
        clip = options.clip or render(Path(folder, "room.mp4"))
        steps = chain(
            frames(options.seconds), full_size(options.seconds), files(clip), memory(clip),
            startup(clip),
        )  # fmt: skip
        for target in steps:
            print(target, flush=True)
            targets.append(asdict(target) | {"verdict": target.verdict})
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(options.json, {"targets": targets}, program="python benchmarks/cpu_targets.py")


def frames(seconds: float) -> Iterator[Target]:
    """Frames in memory, 8-bit YUV 4:2:0, default settings, with and without denoising."""
    plain, cleaning = Enhancer(denoise=0), Enhancer.for_video()
    video, plus = Enhancer.for_video(denoise=0), Enhancer(model="plus", denoise=0)
    sources = {name: noisy_frames(*FRAME_SIZES[name]) for name in ("1080p", "4K")}
    target = {name: frames[0].empty_like() for name, frames in sources.items()}
    moments = count()
    bgr = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)

    def step(enhancer: Enhancer, size: str) -> Callable[[], object]:
        def run() -> None:
            moment = next(moments)
            source = sources[size][moment % len(sources[size])]
            enhancer.enhance(source, target[size], seconds=moment / 30)

        return run

    runner = plus.runner
    assert isinstance(runner, CPURunner)
    maps = runner.curve_maps(sources["1080p"][0], None)
    times = measure(
        {
            "plain": step(plain, "1080p"),
            "plain 4K": step(plain, "4K"),
            "video": step(video, "1080p"),
            "plus": step(plus, "1080p"),
            "cleaning": step(cleaning, "1080p"),
            "curve": lambda: runner.applier.apply(sources["1080p"][0], maps, target["1080p"]),
            "published": published_plus(1920, 1080),
            "i420": lambda: cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420),
        },
        seconds=seconds,
    )
    ours, large, clean = times["plain"], times["plain 4K"], times["cleaning"]
    noisy, before = times["video"], times["plus"]
    curve, published, i420 = times["curve"], times["published"], times["i420"]
    yield Target(
        "1080p frame with denoising", clean.median_ms, 12, 7, False, "ms",
        f"p95 {clean.p95_ms:.2f} ms, CPU {clean.cpu_ms:.2f} ms; without {ours.median_ms:.2f} ms",
    )  # fmt: skip
    yield Target(
        "CPU time of denoising and RGB curve, times the curve's",
        (clean.cpu_ms - noisy.cpu_ms + curve.cpu_ms) / curve.cpu_ms, 3.5, 2.5, False, "x",
        f"denoising {clean.cpu_ms - noisy.cpu_ms:.2f} ms, the curve alone {curve.cpu_ms:.2f} ms",
    )  # fmt: skip
    yield Target(
        "1080p frame without denoising, times that of plus", ours.median_ms / before.median_ms,
        1.1, 0.9, False, "x", f"{ours.median_ms:.2f} ms and {before.median_ms:.2f} ms",
    )  # fmt: skip
    yield Target(
        "1080p frame without denoising, times the published design",
        published.median_ms / ours.median_ms, 12, 25, True, "x",
        f"{published.median_ms:.1f} ms in PyTorch, {ours.median_ms:.2f} ms here",
    )  # fmt: skip
    yield Target(
        "the same, CPU time in BGR->I420 conversions", ours.cpu_ms / i420.cpu_ms,
        6, 3.33, False, "x",
        f"{ours.cpu_ms:.2f} ms of all threads; OpenCV's conversion {i420.cpu_ms:.2f} ms "
        "(9 ms and 5 ms where that takes 1.5 ms)",
    )  # fmt: skip
    yield Target(
        "the same, 4K frame against 1080p", large.median_ms / ours.median_ms, 4.2, None, False,
        "x", f"{large.median_ms:.2f} ms and {ours.median_ms:.2f} ms",
    )  # fmt: skip


def noisy_frames(width: int, height: int) -> list[Frame]:
    """Of a still, dark scene, each with noise of its own."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(4):
        planes = [
            np.clip(level + 2 * rng.standard_normal(shape, np.float32), 0, 255).astype(np.uint8)
            for level, shape in zip(
                (40, 128, 128), plane_shapes(FORMATS["yuv420p"], width, height), strict=True
            )
        ]
        made.append(Frame(FORMATS["yuv420p"], tuple(planes), width, height))
    return made


def full_size(seconds: float) -> Iterator[Target]:
    """DCENet at full size on a frame of 640x480, as in the CVPR 2020 paper."""
    enhancer = Enhancer(model="dcenet", working_size="full")
    source = dark_noise("yuv420p", 640, 480)
    target = source.empty_like()
    times = measure(
        {
            "ours": lambda: enhancer.enhance(source, target),
            "eager": eager_dcenet(640, 480),
        },
        seconds=seconds,
    )
    yield Target(
        "DCENet at full size, 640x480, times eager PyTorch",
        times["eager"].median_ms / times["ours"].median_ms, 4, 6, True, "x",
        f"{times['eager'].median_ms:.0f} ms and {times['ours'].median_ms:.0f} ms",
    )  # fmt: skip


def startup(clip: Path) -> Iterator[Target]:
    """Whole processes, with compiled kernels in the cache."""
    times = [_run(["--help"])[0] for _ in range(5)]
    yield Target("zerodce-rt --help", float(np.median(times)), 0.4, 0.2, False, "s", "median of 5")
    with tempfile.TemporaryDirectory() as folder:
        command = ["enhance", str(clip), "--end", "0.01", "--quiet", "--overwrite", "-o",
                   str(Path(folder, "out.mp4"))]  # fmt: skip
        times = [_run(command)[0] for _ in range(6)][1:]  # the first may compile
    yield Target(
        "first frame of a second run of enhance", float(np.median(times)), 2.5, 1, False, "s",
        "median of 5 whole runs on one frame: start, enhance, encode, end",
    )  # fmt: skip


def files(clip: Path) -> Iterator[Target]:
    """A whole file, compared with plain transcoding."""
    result = measure_clip(
        clip, model=DEFAULT_MODEL, backend="auto", working_size=str(DEFAULT_WORKING_SIZE)
    )
    yield Target(
        "1080p file, share of plain transcoding's fps", result.share_of_transcode, 0.85, 1,
        True, "", f"{result.whole.fps:.1f} and {result.transcode.fps:.1f} frames/s, H.264 veryfast,"
        f" {result.frames} frames of {result.width}x{result.height}",
    )  # fmt: skip


def memory(clip: Path) -> Iterator[Target]:
    """Peak memory of enhancing a whole file."""
    with tempfile.TemporaryDirectory() as folder:
        _, peak = _run(["enhance", str(clip), "--quiet", "-o", str(Path(folder, "out.mp4"))])
    yield Target(
        "1080p file, peak memory", peak, 620, 400, False, "MB", f"one process, {clip.name}"
    )


# Run by a small process in between: a new process inherits the peak of the one that starts it.
_MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def _run(arguments: list[str]) -> tuple[float, float]:
    """Run ``zerodce-rt`` in a process of its own; returns seconds, and peak memory in MiB."""
    command = [sys.executable, "-m", "zerodce_rt", *arguments]
    start = time.perf_counter()
    answer = subprocess.run(
        [sys.executable, "-c", _MEASURED, *command], stdout=subprocess.PIPE, text=True, check=True
    )
    seconds = time.perf_counter() - start
    code, peak = map(int, answer.stdout.split())
    if code:
        raise SystemExit(f"zerodce-rt {' '.join(arguments)} failed")
    return seconds, peak / 1024


def render(path: Path) -> Path:
    """Write a clip of the demo's dark room at 1080p."""
    scene = film(SCENE_FRAMES, 1920, 1080)
    progress = progress_bar("rendering", unit="frame", items=scene, total=SCENE_FRAMES)
    pictures = [cv2.cvtColor(dark, cv2.COLOR_RGB2BGR) for dark, _ in progress]
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=RATE, options={"crf": "14", "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = 1920, 1080, "yuv420p"
        loop = cycle([*pictures, *pictures[::-1]])
        for index, picture in enumerate(islice(loop, REPEATS * SCENE_FRAMES)):
            frame = av.VideoFrame.from_ndarray(picture, "bgr24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return path


if __name__ == "__main__":
    main()
