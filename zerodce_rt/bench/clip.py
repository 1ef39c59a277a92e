"""Measure a whole file: decoding, enhancing and encoding, compared with plain transcoding."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import av
from av.video.frame import PictureType

from zerodce_rt.bench.load import LoadMeter
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.files import enhance_video
from zerodce_rt.media.encoders import EncoderSettings
from zerodce_rt.media.reader import VideoReader
from zerodce_rt.media.video_encoder import VideoEncoder
from zerodce_rt.media.writer import VideoWriter
from zerodce_rt.pipeline import run_in_order
from zerodce_rt.progress import progress_bar

# Frames held in memory to measure encoding alone.
_MOST_FRAMES = 24


@dataclass(frozen=True)
class ClipStep:
    """Speed of one step.

    Attributes:
        fps: frames per second of the fastest round.
        cpu_ms: CPU time of all threads in milliseconds per frame, in that round.
        slowest_fps: frames per second of the slowest round.
    """

    fps: float
    cpu_ms: float
    slowest_fps: float

    @property
    def spread(self) -> float:
        """Distance of the slowest round from the fastest, as a share of the fastest."""
        return 1 - self.slowest_fps / self.fps


@dataclass(frozen=True)
class ClipResult:
    """What enhancing a file costs.

    Attributes:
        clip: the file's name.
        width, height: of its frames in pixels.
        frames: how many there are.
        backend: that ran the network.
        decode: only decode.
        enhance: decode and enhance.
        encode: encode enhanced frames that are in memory.
        whole: decode, enhance and encode, as ``zerodce-rt enhance`` does.
        transcode: decode the same file, and encode it with the same settings.
        load: share of CPU time that other programs took meanwhile; None where it is not known.
    """

    clip: str
    width: int
    height: int
    frames: int
    backend: str
    decode: ClipStep
    enhance: ClipStep
    encode: ClipStep
    whole: ClipStep
    transcode: ClipStep
    load: float | None

    @property
    def share_of_transcode(self) -> float:
        """Speed of the whole run, as a share of that of plain transcoding."""
        return self.whole.fps / self.transcode.fps

    @property
    def spread(self) -> float:
        """How much the rounds of the whole run and of transcoding vary; the larger."""
        return max(self.whole.spread, self.transcode.spread)


def measure_clip(
    clip: Path,
    *,
    model: str | None,
    backend: str,
    working_size: str,
    rounds: int = 3,
    progress: bool = False,
) -> ClipResult:
    """Time the steps, one after another.

    Args:
        model, backend, working_size: as for ``Enhancer``.
        rounds: how often all steps are timed; the fastest run of each counts.
        progress: show a progress bar.

    Raises:
        ZeroDCEError: a file that cannot be read, or a backend that is not available.
    """
    with (
        Enhancer.for_video(model=model, backend=backend, working_size=working_size) as enhancer,
        tempfile.TemporaryDirectory() as folder,
    ):
        bright, again = Path(folder, "bright.mkv"), Path(folder, "again.mkv")

        def whole() -> int:
            return enhance_video(clip, bright, enhancer=enhancer, overwrite=True).frames

        steps: dict[str, Callable[[], int]] = {
            "decode": lambda: _read(clip, None),
            "enhance": lambda: _read(clip, enhancer),
            "encode": lambda: encode(bright, again, frames),
            "whole": whole,
            "transcode": lambda: transcode(clip, again),
        }
        with VideoReader(clip) as reader:
            size = reader.stream.codec_context.width, reader.stream.codec_context.height
        frames = whole()  # compiles the kernels, and writes the file to encode
        best: dict[str, ClipStep] = {}
        meter = LoadMeter()
        turns = [(name, step) for _ in range(rounds) for name, step in steps.items()]
        for name, step in progress_bar(clip.name, unit="run", items=turns, show=progress):
            cpu, start = time.process_time(), time.perf_counter()
            count = step()
            fps = round(count / (time.perf_counter() - start), 2)
            cpu_ms = round((time.process_time() - cpu) / count * 1000, 2)
            step_now = ClipStep(fps, cpu_ms, fps)
            fastest = max(best.get(name, step_now), step_now, key=lambda step: step.fps)
            slowest = min(best.get(name, step_now).slowest_fps, fps)
            best[name] = replace(fastest, slowest_fps=slowest)
        width, height = size
        load = meter.others()
        return ClipResult(clip.name, width, height, frames, enhancer.backend, load=load, **best)


def _read(clip: Path, enhancer: Enhancer | None) -> int:
    """Decode a clip, and enhance its frames if an enhancer is given; returns their number."""
    count = 0

    def work(item: av.VideoFrame | av.Packet) -> int:
        if not isinstance(item, av.VideoFrame):
            return 0
        if enhancer is not None:
            enhancer(item)
        return 1

    def add(frames: int) -> None:
        nonlocal count
        count += frames

    with VideoReader(clip) as reader:
        run_in_order(reader, work, add)
    return count


def transcode(source: Path, output: Path) -> int:
    """Decode a file and encode it with the default settings; returns the number of frames."""
    with VideoReader(source) as reader:
        writer = _writer(output, reader)
        run_in_order(reader, _without_type, writer.write)
        writer.close()
    return writer.frames


def encode(source: Path, output: Path, count: int) -> int:
    """Encode ``count`` frames with the default settings; returns their number.

    They are the first frames of a file, decoded beforehand and repeated forwards and backwards.
    """
    with VideoReader(source) as reader:
        frames = [f for f in islice(reader, _MOST_FRAMES) if isinstance(f, av.VideoFrame)]
        rate, time_base = reader.rate, reader.stream.time_base
        step = max(1, round(1 / (rate * time_base))) if rate and time_base else 1
        writer = _writer(output, reader)
        for index, frame in zip(range(count), cycle([*frames, *frames[::-1]]), strict=False):
            frame.pts = index * step
            writer.write(_without_type(frame))
        writer.close()
    return writer.frames


def _writer(output: Path, reader: VideoReader) -> VideoWriter:
    return VideoWriter(output, output, reader, VideoEncoder(output, reader, EncoderSettings()))


def _without_type(item: av.VideoFrame | av.Packet) -> av.VideoFrame | av.Packet:
    # A decoded frame has the type (I, P, B) that it was encoded as. The encoder would reuse it, and
    # save the time that choosing one takes.
    if isinstance(item, av.VideoFrame):
        item.pict_type = PictureType.NONE
    return item
