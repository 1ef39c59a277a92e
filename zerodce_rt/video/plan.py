"""Where a video is cut into segments, so that each comes out the same whoever enhances it.

Segments begin at key frames about every ``SEGMENT_SECONDS``. What follows a video over time starts
anew in each: it sees some frames of the segment before, the warm-up, without a result. So the same
frames come out of one worker or many, and of a part of the video (``span``) or all of it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av

from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.media.facts import SourceFacts, facts_of
from zerodce_rt.media.reader import Span, VideoReader, demuxed
from zerodce_rt.video.task import VideoTask

SEGMENT_SECONDS = 20
"""Segments begin at the first key frames after multiples of this."""

SHORTEST_SECONDS = 10
"""A shorter rest belongs to the segment before it."""

DENOISER_FRAMES = 32
"""That the denoiser sees before a segment: then what it leaves is within a tenth of the noise of
what it would leave had it seen all."""

# Whose frames have times, and which can be read from any key frame on.
_CONTAINERS = ("mov", "matroska", "mpegts")


@dataclass(frozen=True)
class Segment:
    """A part of a video. All times are pts of the source's stream.

    Attributes:
        index: 0 for the first.
        warm_up: the first frame that the control sees.
        denoise: the first frame that the denoiser sees.
        start, end: it owns the frames from ``start`` to before ``end``; None is the end.
        frames: how many it owns, by the packets of the source.
    """

    index: int
    warm_up: int
    denoise: int
    start: int
    end: int | None
    frames: int


@dataclass(frozen=True)
class Plan:
    """The segments of a video.

    Attributes:
        facts: what the first frame says of all.
        time_base: seconds of the unit of pts.
        begins: seconds at which the file begins.
        count: of segments of the whole video, some of which may not be wanted.
    """

    segments: tuple[Segment, ...]
    facts: SourceFacts
    time_base: Fraction
    begins: float
    count: int

    @property
    def frames(self) -> int:
        """Expected in all."""
        return sum(segment.frames for segment in self.segments)

    def span(self, segment: Segment) -> Span:
        """What must be read for a segment; a little more, since times are rounded."""
        slack = 2 * float(self.time_base)
        start = max(0.0, float(segment.warm_up * self.time_base) - self.begins - slack)
        if segment.end is None:
            return Span(start=start)
        end = float(segment.end * self.time_base) - self.begins + slack
        return Span(start=start, end=end)


def make_plan(task: VideoTask, settings: ControlSettings) -> Plan | None:
    """The segments of a video; reads all packets of it, and decodes one frame.

    Args:
        settings: their control's memory is a part of the warm-up.

    Returns:
        None for a video that stays in one piece: if all that is wanted of it is its first segment,
        if it is not a single file, or if its times do not tell where its frames belong.
    """
    if not task.is_file:
        return None
    with VideoReader(task.source, max_pixels=task.max_pixels) as reader:
        names = reader.container.format.name.split(",")
        if not any(name in _CONTAINERS for name in names):
            return None
        times = _times_of(reader)
        if times is None or not times.pts:
            return None
        base = times.time_base
        wanted = _wanted(times, task.span, reader.start_seconds)
        if not wanted:
            return None
        borders = _borders(times)
        segments = _segments(times, borders, wanted, settings)
        if len(segments) == 1 and segments[0].warm_up == segments[0].start:
            return None
        if (facts := _first_facts(task)) is None:
            return None
        return Plan(segments, facts, base, reader.start_seconds, len(borders))


@dataclass(frozen=True)
class _Times:
    """Of a video's frames.

    Attributes:
        pts: of all, in order of display.
        keys: of its key frames.
    """

    pts: list[int]
    keys: list[int]
    time_base: Fraction


def _times_of(reader: VideoReader) -> _Times | None:
    """None if frames have no times, or the same, or these go back where pieces were joined."""
    pts: list[int] = []
    keys: list[int] = []
    last_dts: int | None = None
    for packet in demuxed(reader.container, [reader.stream]):
        if packet.size == 0:  # the flush packet
            continue
        if packet.pts is None or packet.is_corrupt:
            return None
        if packet.dts is not None:  # Matroska has none; FFmpeg finds them out after a few packets
            if last_dts is not None and packet.dts <= last_dts:
                return None
            last_dts = packet.dts
        pts.append(packet.pts)
        if packet.is_keyframe:
            keys.append(packet.pts)
    base = reader.stream.time_base
    if base is None or len(set(pts)) != len(pts):
        return None
    return _Times(sorted(pts), keys, base)


def _wanted(times: _Times, span: Span, begins: float) -> range:
    """Which of the frames, in order of display, are in a span."""
    seconds = [float(pts * times.time_base) for pts in times.pts]
    return range(bisect_left(seconds, span.start + begins), bisect_left(seconds, span.end + begins))


def _borders(times: _Times) -> list[int]:
    """Where segments begin: the first frame, and key frames after it; as numbers of frames."""
    first, last, base = times.pts[0], times.pts[-1], times.time_base
    borders, due = [0], 1
    for key in times.keys:
        if (key - first) * base >= due * SEGMENT_SECONDS:
            if (last - key) * base >= SHORTEST_SECONDS:
                borders.append(bisect_left(times.pts, key))
            due = int((key - first) * base) // SEGMENT_SECONDS + 1
    return borders


def _segments(
    times: _Times, borders: Sequence[int], wanted: range, settings: ControlSettings
) -> tuple[Segment, ...]:
    pts, segments = times.pts, []
    for index, border in enumerate(borders):
        after = borders[index + 1] if index + 1 < len(borders) else len(pts)
        start, end = max(border, wanted.start), min(after, wanted.stop)
        if start >= end:
            continue
        since = pts[border] - settings.warm_up_seconds / times.time_base
        # One frame more, to tell a cut, and one since times are rounded.
        warm_up = max(0, bisect_left(pts, since) - 2)
        denoise = max(warm_up, border - DENOISER_FRAMES)
        stop = pts[end] if end < len(pts) else None
        segments.append(Segment(index, pts[warm_up], pts[denoise], pts[start], stop, end - start))
    return tuple(segments)


def _first_facts(task: VideoTask) -> SourceFacts | None:
    with VideoReader(task.source, max_pixels=task.max_pixels) as reader:
        for item in reader:
            if isinstance(item, av.VideoFrame):
                return facts_of(item)
    return None
