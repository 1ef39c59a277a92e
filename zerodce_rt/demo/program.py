"""Film a dark room, enhance the film, and write both, with a comparison."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.atomic import finished_file
from zerodce_rt.demo import scene
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.files import enhance_video
from zerodce_rt.media.picture_writer import write_picture
from zerodce_rt.media.pictures import Picture
from zerodce_rt.progress import frame_progress, progress_bar

log = logging.getLogger(__name__)

WIDTH, HEIGHT, RATE = 1280, 720, 25
SAMPLE_RATE = 48000
# Nearly lossless, so that the encoder keeps the sensor noise.
DARK_CRF = "14"


def run_demo(folder: Path, *, seconds: float = 4.0, progress: bool = True) -> None:
    """Write ``dark.mp4``, ``enhanced.mp4``, ``before_after.mp4`` and ``before_after.png``.

    Args:
        folder: where to; it is made if missing, and files of these names are replaced.
        seconds: length of the clips, above 0; at least two frames are written.
        progress: show progress bars.

    Raises:
        ZeroDCEError: the clips cannot be enhanced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log.info("filming a dark room (ray tracing takes a few seconds) ...")
    dark, enhanced = folder / "dark.mp4", folder / "enhanced.mp4"
    frames = max(2, round(seconds * RATE))
    pairs = progress_bar(
        "filming", unit="frame", items=scene.film(frames, WIDTH, HEIGHT), total=frames,
        show=progress,
    )  # fmt: skip
    write_clip(dark, (picture for picture, _ in pairs))

    both, sheet = folder / "before_after.mp4", folder / "before_after.png"
    with Enhancer.for_video() as enhancer:
        log.info("compiling (up to a minute, the first time only) ...")
        first = _frame_of(dark, 0)
        enhancer(first)
        rate = _enhance_timed(dark, enhanced, enhancer, frames, None, progress=progress)
        _enhance_timed(dark, both, enhancer, frames, "split", progress=progress)
        backend = enhancer.backend
    write_before_after(sheet, dark, enhanced, frames // 2)
    with Enhancer() as enhancer:  # estimates every frame, unlike one for video
        alone = enhancement_seconds(enhancer, first)
    log.info(
        "%dx%d, backend %s: %.0f frames/s file to file (decoding and encoding included), "
        "%.0f frames/s for the enhancement alone",
        WIDTH, HEIGHT, backend, rate, 1 / alone,
    )  # fmt: skip
    log.info("look at %s and play %s", sheet, both)


def _enhance_timed(
    source: Path, output: Path, enhancer: Enhancer, frames: int, compare: str | None, *,
    progress: bool,
) -> float:  # fmt: skip
    """Enhance a clip of so many frames; returns frames per second, from file to file."""
    with frame_progress(output.name, show=progress) as advance:
        started = time.perf_counter()
        enhance_video(
            source, output, enhancer=enhancer, compare=compare, overwrite=True, progress=advance
        )
        return frames / (time.perf_counter() - started)


def enhancement_seconds(enhancer: Enhancer, frame: av.VideoFrame, *, runs: int = 30) -> float:
    """Median time of enhancing a frame that is in memory."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        enhancer(frame)
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def write_clip(path: Path, pictures: Iterable[NDArray[np.uint8]]) -> None:
    """Write a clip of ``RATE`` frames per second, with a quiet chord as its sound.

    Args:
        pictures: ``(HEIGHT, WIDTH, 3)`` uint8 RGB each.
    """
    with finished_file(path) as partial, av.open(str(partial), "w") as out:
        video = out.add_stream(
            "libx264", rate=RATE, options={"crf": DARK_CRF, "preset": "veryfast"}
        )
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.colorspace, video.codec_context.color_range = 1, 1
        audio = out.add_stream("aac", rate=SAMPLE_RATE)
        count = 0
        for count, picture in enumerate(pictures, start=1):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(
                format="yuv420p", dst_colorspace=1, dst_color_range=1
            )
            frame.pts, frame.time_base = count - 1, Fraction(1, RATE)
            out.mux(video.encode(frame))
        for sound in _chord(count / RATE):
            out.mux(audio.encode(sound))
        out.mux(audio.encode(None))
        out.mux(video.encode(None))


def _chord(seconds: float) -> Iterator[av.AudioFrame]:
    size = 1024
    for start in range(0, int(seconds * SAMPLE_RATE), size):
        t = (np.arange(size) + start) / SAMPLE_RATE
        notes = sum(np.sin(2 * np.pi * pitch * t) for pitch in (220.0, 277.2, 329.6))
        swell = 0.03 * (1 - np.cos(2 * np.pi * 0.5 * t))
        wave = (swell * notes).astype(np.float32)
        sound = av.AudioFrame.from_ndarray(np.stack([wave, wave]), "fltp", "stereo")
        sound.sample_rate, sound.pts = SAMPLE_RATE, start
        sound.time_base = Fraction(1, SAMPLE_RATE)
        yield sound


def write_before_after(path: Path, before: Path, after: Path, index: int) -> None:
    """Write one frame of two clips as a picture, side by side."""
    halves = [_frame_of(clip, index).to_ndarray(format="rgb24") for clip in (before, after)]
    write_picture(path, Picture(np.hstack(halves)))


def _frame_of(clip: Path, index: int) -> av.VideoFrame:
    with av.open(str(clip)) as container:
        return next(islice(container.decode(video=0), index, None))
