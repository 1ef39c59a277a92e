"""FFmpeg's filters on PyAV's frames."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av


class FrameFilter:
    """A chain of filters for the frames of a video; made anew when their format or size changes.

    Args:
        filters: name and arguments of each, as FFmpeg takes them. They give as many frames as
            they get, in order, and may hold some back.
    """

    def __init__(self, *filters: tuple[str, str]) -> None:
        self._filters = filters
        self._graph: Any = None
        self._kind: tuple[Any, ...] = ()
        self._times: list[tuple[int | None, Fraction | None, int]] = []

    def __call__(self, frame: av.VideoFrame) -> list[av.VideoFrame]:
        """The frames that are ready after this one, each with the time of the one that went in."""
        done = []
        tags = frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc
        kind = frame.width, frame.height, frame.format.name, *map(int, tags)
        if kind != self._kind:
            done += self.flush()
            self._graph, self._kind = self._new_graph(kind), kind
        self._times.append((frame.pts, frame.time_base, frame.duration))
        self._graph.push(frame)
        return done + self._ready()

    def flush(self) -> list[av.VideoFrame]:
        """What was held back; the next frame begins anew."""
        if self._graph is None:
            return []
        self._graph.push(None)
        done = self._ready()
        self._graph, self._kind = None, ()
        self._times.clear()
        return done

    def _ready(self) -> list[av.VideoFrame]:
        frames: list[av.VideoFrame] = []
        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return frames
            if not self._times:
                return frames
            # Filters have a time base of their own.
            pts, time_base, frame.duration = self._times.pop(0)
            frame.pts = pts
            if time_base is not None:
                frame.time_base = time_base
            frames.append(frame)

    def _new_graph(self, kind: tuple[Any, ...]) -> Any:
        width, height, format, matrix, color_range, _, _ = kind
        graph = av.filter.Graph()
        source = (
            f"video_size={width}x{height}:pix_fmt={format}:time_base=1/1000:"
            f"colorspace={matrix}:range={color_range}"
        )
        chain = [("buffer", source), *self._filters, ("buffersink", "")]
        graph.link_nodes(*(graph.add(name, arguments or None) for name, arguments in chain))
        graph.configure()
        return graph
