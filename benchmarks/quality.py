"""Quality and cost of denoising dark video, compared with the filters of FFmpeg and OpenCV.

Well-lit clips are darkened in linear light, with shot and read noise, coded as cameras and video
chats do, and decoded again. Each method makes them bright, and is scored against the well-lit
clip after one monotone tone match for each clip (two, where the light or the scene changes in the
middle). Other filters run on the dark frames, which are then enhanced without denoising. Gains,
and noise as a ratio, are against the published Zero-DCE++, which enhances each frame by itself.
How bright a picture should be is no part of it: that is for ``light_quality.py``.

    python benchmarks/quality.py FOLDER [--clips NAME ...] [--inputs x264 mjpeg ...]
                                 [--methods none ours ... | --all] [--frames 60]
                                 [--json FILE] [--plot FILE.png] [--sheet FOLDER]

FOLDER holds the well-lit clips. A filter's CPU time is that of all threads, for as many pixels as
a 1080p frame has, less that of passing the frames through. hqdn3d needs an ffmpeg on the PATH.
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from quality_inputs import (
    INPUTS,
    RATE,
    Frames,
    coded,
    darkened,
    fill,
    find_clips,
    read_clip,
    samples,
    scene,
    to_frame,
    truth_of,
    yuv,
)
from quality_pictures import plot, sheet
from quality_scores import Scores, luma_psnr, score

from zerodce_rt.bench import write_json
from zerodce_rt.bench.hardware import hardware
from zerodce_rt.bench.report import check_plotting
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.frame import FORMATS, plane_shapes
from zerodce_rt.media.frames import blank_like, convert, wrap
from zerodce_rt.progress import progress_bar

CLEAN = "clean"

FILTERS = {
    "atadenoise": "atadenoise",
    "atadenoise-9": "atadenoise=0a=.1:0b=.3:1a=.1:1b=.3:2a=.1:2b=.3:s=9",
    "nlmeans": "nlmeans=s=3:p=5:r=9",
    "nlmeans-2": "nlmeans=s=2:p=5:r=9",
    "fftdnoiz": "fftdnoiz=sigma=8:prev=1:next=1",
    "bm3d": "bm3d=sigma=8",
}
"""Filters of the FFmpeg that is in PyAV."""
PROGRAM_FILTERS = {"hqdn3d": "hqdn3d", "hqdn3d-8": "hqdn3d=8:8:10:10"}
"""Filters that only an ffmpeg with GPL parts has."""
DEFAULT = ["none", "ours", "published", "atadenoise", "nlmeans", "fftdnoiz", "hqdn3d"]
METHODS = list(dict.fromkeys([*DEFAULT, *FILTERS, *PROGRAM_FILTERS, "cv2-nlm"]))
PIXELS_1080P = 1920 * 1080
# Turns of ours with and without denoising; their median counts.
ROUNDS, WARM_UP_FRAMES = 3, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of well-lit clips")
    parser.add_argument("--clips", nargs="+", metavar="NAME", help="names of files; default: all")
    parser.add_argument("--inputs", nargs="+", choices=[*INPUTS, CLEAN], metavar="INPUT",
                        default=[*INPUTS, CLEAN], help=" ".join([*INPUTS, CLEAN]))  # fmt: skip
    parser.add_argument("--methods", nargs="+", choices=METHODS, metavar="METHOD",
                        default=DEFAULT, help=" ".join(METHODS))  # fmt: skip
    parser.add_argument("--all", action="store_true", help="all methods, also the slow ones")
    parser.add_argument("--frames", type=int, default=60, help="of each clip, at most")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw quality over cost")
    parser.add_argument("--sheet", type=Path, metavar="FOLDER", help="write pictures")
    options = parser.parse_args()
    if options.plot:
        check_plotting()
    names = usable(METHODS if options.all else options.methods)
    clips = find_clips(options.folder, options.clips)

    for key, value in hardware().items():
        print(f"{key}: {value}")
    print(f"{len(clips)} clips: {', '.join(p.name for p in clips)}")
    rows: list[Row] = []
    clean: list[dict[str, Any]] = []
    methods = Methods()
    tasks = [(name, index) for name in options.inputs for index in range(len(clips))]
    steps = sum(1 if name == CLEAN else len(names) for name, _ in tasks)
    with progress_bar("scoring", unit="run", total=steps) as bar:
        for name, index in tasks:
            bar.set_postfix_str(f"{name}, {clips[index].name}")
            if name == CLEAN:
                clean.append(score_clean(methods, names, clips[index], options.frames))
                bar.update()
                continue
            folder = options.sheet if index == 0 else None
            for row in score_clip(methods, names, name, clips, index, options.frames, folder):
                rows.append(row)
                bar.update()

    means = [m for name in options.inputs if name != CLEAN
             for m in mean_rows([r for r in rows if r.input == name], name)]  # fmt: skip
    overall = mean_rows(means, "all inputs")
    report([*means, *overall] if len(tasks) > 1 else means, clean)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        table = [*overall, *means, *rows]
        results = {
            "quality": [finite(asdict(r)) for r in table],
            "clean": [finite(scores) for scores in clean],
        }
        write_json(options.json, results, program="python benchmarks/quality.py")
    if options.plot:
        points = {r.method: (r.cpu_ms, r.psnr_gain) for r in overall}
        plot(points, options.plot, hardware()["processor"])


def usable(names: Iterable[str]) -> list[str]:
    """The methods that can run here, with the published one, which is what all compare with."""
    found = ["published", *(n for n in names if n != "published")]
    program = shutil.which("ffmpeg")
    listed = ""
    if program:
        listed = subprocess.run(
            [program, "-hide_banner", "-filters"], capture_output=True, text=True, check=True
        ).stdout
    missing = [n for n in found if n in PROGRAM_FILTERS and " hqdn3d " not in listed]
    if missing:
        print(f"left out, for want of an ffmpeg with hqdn3d: {', '.join(missing)}")
    return [n for n in found if n not in missing]


class Methods:
    """The methods by name; holds the enhancers that they share."""

    def __init__(self) -> None:
        self._plain = Enhancer.for_video(denoise=0.0)
        self._denoising = Enhancer.for_video(denoise=1.0)
        self._published = Enhancer(model="plus", working_size="1/12", max_level=1.0, denoise=0.0)

    def run(self, name: str, frames: Frames) -> tuple[Frames, float]:
        """Enhance a clip.

        Returns:
            Its frames, and the CPU seconds of the filter; NaN for the published method.
        """
        if name == "published":
            return enhanced(self._published, frames), float("nan")
        if name == "none":
            return enhanced(self._plain, frames), 0.0
        if name == "ours":
            return self._ours(frames)
        if name in FILTERS:
            _, idle = cpu_seconds(lambda: through_graph(frames, "null"))
            filtered, cpu = cpu_seconds(lambda: through_graph(frames, FILTERS[name]))
        elif name in PROGRAM_FILTERS:
            _, idle = through_program(frames, "null")
            filtered, cpu = through_program(frames, PROGRAM_FILTERS[name])
        else:
            idle = 0.0
            filtered, cpu = opencv_nlm(frames)
        return enhanced(self._plain, filtered), max(0.0, cpu - idle)

    def _ours(self, frames: Frames) -> tuple[Frames, float]:
        extra = []
        for enhancer in (self._denoising, self._plain):  # compiles what was not used before
            enhanced(enhancer, frames[:WARM_UP_FRAMES])
        for _ in range(ROUNDS):
            result, with_it = cpu_seconds(lambda: enhanced(self._denoising, frames))
            _, without = cpu_seconds(lambda: enhanced(self._plain, frames))
            extra.append(with_it - without)
        return result, statistics.median(extra)


def enhanced(enhancer: Enhancer, frames: Frames) -> Frames:
    """A clip from its start."""
    enhancer.reset()
    return [enhancer(frame) for frame in frames]


def cpu_seconds(work: Callable[[], Frames]) -> tuple[Frames, float]:
    """What ``work`` returns, and the CPU time of all threads meanwhile."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def through_graph(frames: Frames, filter: str) -> Frames:
    """Frames after a filter of the FFmpeg in PyAV, with the tags and times of those before."""
    graph = av.filter.Graph()
    first = frames[0]
    name, _, arguments = filter.partition("=")
    graph.link_nodes(
        graph.add_buffer(
            width=first.width, height=first.height, format=first.format,
            time_base=first.time_base,
        ),
        graph.add(name, arguments or None), graph.add("buffersink"),
    ).configure()  # fmt: skip
    results: Frames = []
    for frame in [*frames, None]:
        graph.vpush(frame)
        with suppress(av.BlockingIOError, av.EOFError):
            while True:
                results.append(graph.vpull())
    for before, after in zip(frames, results, strict=True):
        after.colorspace, after.color_range = before.colorspace, before.color_range
        after.pts, after.time_base = before.pts, before.time_base
    return results


def through_program(frames: Frames, filter: str) -> tuple[Frames, float]:
    """Frames after a filter of the ffmpeg on the PATH, and the CPU seconds of that."""
    import resource  # not on Windows

    first = frames[0]
    raw = ["-f", "rawvideo", "-pix_fmt", wrap(first).format.name]
    size = ["-s", f"{first.width}x{first.height}", "-r", str(RATE)]
    own = [samples([f]) for f in frames]
    data = b"".join(p.luma.tobytes() + p.chroma.tobytes() for p in own)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        ["ffmpeg", "-v", "error", *raw, *size, "-i", "-", "-vf", filter, *raw, "-"],
        input=data, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    shapes = plane_shapes(wrap(first).format, first.width, first.height)
    ends = np.cumsum([rows * columns for rows, columns in shapes])
    pictures = np.frombuffer(done.stdout, np.uint8).reshape(len(frames), -1)
    results = []
    for source, picture in zip(frames, pictures, strict=True):
        parts = zip(np.split(picture, ends[:-1]), shapes, strict=True)
        results.append(blank_like(source))
        fill(results[-1], [part.reshape(shape) for part, shape in parts])
    return results, cpu


def opencv_nlm(frames: Frames) -> tuple[Frames, float]:
    """Frames after OpenCV's non-local means over three frames, and its CPU seconds."""
    pictures = [convert(f, FORMATS["bgr24"]).to_ndarray() for f in frames]
    pictures = [pictures[0], *pictures, pictures[-1]]
    results, cpu = [], 0.0
    for index, source in enumerate(frames):
        start = time.process_time()
        picture: Any = cv2.fastNlMeansDenoisingColoredMulti(pictures, index + 1, 3, None, 6, 6)
        cpu += time.process_time() - start
        result = blank_like(source)
        own = wrap(source)
        planes = yuv(picture[..., ::-1] / np.float32(255), own.colour, own.format.chroma_shift)
        fill(result, planes)
        results.append(result)
    return results, cpu


@dataclass(frozen=True)
class Row:
    """Scores of a method on a clip, or their means; NaN where there is nothing to score.

    Attributes:
        psnr_gain, ssim_gain: against the published method.
        noise, chroma_noise, pulse: in those of the published method.
        cpu_ms: of the filter, for a 1080p frame; of several clips, the median.
    """

    input: str
    clip: str
    method: str
    psnr: float
    psnr_gain: float
    ssim: float
    ssim_gain: float
    psnr_moving: float
    trail: float
    noise: float
    chroma_noise: float
    pulse: float
    cpu_ms: float


NUMBERS = [f.name for f in fields(Row) if f.type == "float"]
HEADER = (
    f"{'':<14}{'PSNR':>7}{'gain':>8}{'SSIM':>8}{'gain':>8}{'moving':>8}{'trail':>8}"
    f"{'noise':>8}{'chroma':>8}{'pulse':>8}{'CPU ms':>9}"
)
LEGEND = (
    "PSNR (dB) and SSIM of luma, with the gain over the published method; moving: PSNR where the "
    "clip moves.\n"
    "trail: share of the frame before in the error where the clip moves.\n"
    "noise, chroma, pulse: trembling of still places, of their colour, and of their mean level; "
    "published = 1.\n"
    "CPU ms: of the filter, for a 1080p frame.\n"
    "clean: PSNR of the well-lit clip after the method to the clip as it was, without a tone match."
)


def line(row: Row) -> str:
    """A line of the table under ``HEADER``."""
    cpu = "-" if math.isnan(row.cpu_ms) else f"{row.cpu_ms:.1f}"
    return (
        f"{row.method:<14}{row.psnr:>7.2f}{row.psnr_gain:>+8.2f}{row.ssim:>8.3f}"
        f"{row.ssim_gain:>+8.3f}{row.psnr_moving:>8.2f}{row.trail:>+8.3f}{row.noise:>8.2f}"
        f"{row.chroma_noise:>8.2f}{row.pulse:>8.2f}{cpu:>9}"
    )


def report(means: Sequence[Row], clean: Sequence[dict[str, Any]]) -> None:
    """Print a table for each input."""
    for name in dict.fromkeys(r.input for r in means):
        print(f"\n{name}\n{HEADER}")
        for row in means:
            if row.input == name:
                print(line(row))
    if clean:
        names = [key for key in clean[0] if key != "clip"]
        print(f"\n{CLEAN}\n{'':<28}" + "".join(f"{n:>16}" for n in names))
        for scores in clean:
            print(f"{scores['clip']:<28}" + "".join(f"{scores[n]:>13.1f} dB" for n in names))
    print(f"\n{LEGEND}")


def score_clip(
    methods: Methods, names: Sequence[str], input: str, clips: Sequence[Path], index: int,
    count: int, sheets: Path | None,
) -> Iterator[Row]:  # fmt: skip
    """Score methods on one clip; the published one must be the first.

    Args:
        input: a key of ``INPUTS``.
        index: of the clip in ``clips``.
        count: frames to take, at most.
        sheets: folder for the sheet of this clip.
    """
    how = INPUTS[input]
    pictures = scene(input, clips, index, count)
    truth = truth_of(input, pictures)
    dark = coded(darkened(pictures, how), how)
    shown = {"dark": dark}
    base: Scores | None = None
    for name in names:
        result, seconds = methods.run(name, dark)
        scores = score(samples(result), truth)
        base = base or scores
        ms = 1000 * seconds / len(dark) * PIXELS_1080P / (dark[0].width * dark[0].height)
        yield Row(
            input=input, clip=clips[index].name, method=name, cpu_ms=ms, psnr=scores.psnr,
            psnr_gain=scores.psnr - base.psnr, ssim=scores.ssim,
            ssim_gain=scores.ssim - base.ssim, psnr_moving=scores.psnr_moving,
            trail=scores.trail, noise=ratio(scores.noise, base.noise),
            chroma_noise=ratio(scores.chroma_noise, base.chroma_noise),
            pulse=ratio(scores.pulse, base.pulse),
        )  # fmt: skip
        shown[name] = result
    if sheets is not None:
        sheets.mkdir(parents=True, exist_ok=True)
        sheet(sheets / f"{input}.png", pictures, shown, truth)


def score_clean(methods: Methods, names: Sequence[str], clip: Path, count: int) -> dict[str, Any]:
    """How much the methods change a clip that is well lit and has no noise added."""
    pictures = read_clip(clip, count, INPUTS["x264"].size)
    frames = [to_frame(p.astype(np.float32) / 255, i) for i, p in enumerate(pictures)]
    before = samples(frames)
    results = {n: samples(methods.run(n, frames)[0]) for n in ("none", "ours") if n in names}
    scores: dict[str, Any] = {"clip": clip.name}
    scores |= {name: luma_psnr(before, after) for name, after in results.items()}
    if len(results) == 2:
        scores["ours to none"] = luma_psnr(results["none"], results["ours"])
    return scores


def ratio(value: float, reference: float) -> float:
    return value / reference if reference else math.nan


def mean_rows(rows: Sequence[Row], input: str) -> list[Row]:
    """Means over clips or inputs, of each method."""
    means = []
    for method in dict.fromkeys(r.method for r in rows):
        values = {n: [getattr(r, n) for r in rows if r.method == method] for n in NUMBERS}
        numbers = {n: mean([v for v in own if not math.isnan(v)]) for n, own in values.items()}
        numbers["cpu_ms"] = statistics.median(values["cpu_ms"])
        means.append(Row(input=input, clip="mean", method=method, **numbers))
    return means


def finite(values: dict[str, Any]) -> dict[str, Any]:
    """With None for numbers that JSON has not got: nothing to score, and PSNR of equal clips."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


if __name__ == "__main__":
    main()
