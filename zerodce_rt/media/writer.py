"""Writing a video file: new frames for the main video, and everything else as it was read."""

from __future__ import annotations

import logging
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from zerodce_rt.atomic import is_of_the_place
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.media.other_streams import OtherStreams, kept
from zerodce_rt.media.output_file import OutputFile
from zerodce_rt.media.paths import MOV_SUFFIXES
from zerodce_rt.media.reader import VideoReader, reason_of
from zerodce_rt.media.video_encoder import VideoSource

log = logging.getLogger(__name__)

# Metadata keys that MP4 has a tag for; others need the "mdta" form.
_MP4_KEYS = frozenset(
    "title artist album_artist album comment composer copyright date description genre grouping "
    "synopsis track disc lyrics creation_time show network episode_id".split()
)
# FFmpeg's own is 1000: a millisecond.
_MOST_TICKS = 20_000_000


class VideoWriter:
    """Writes what a ``VideoReader`` reads, with new frames.

    The file is opened with the first frame, which decides size, format and tags; earlier packets
    wait for it.

    Attributes:
        frames: written so far.

    Args:
        path: where to write; the caller renames the file when it is complete.
        output: the final name, which chooses the container, and is used in messages.
        reader: where streams, metadata and times come from.
        video: encodes the frames, or passes on packets that were encoded before.
        audio: see ``EncoderSettings``.
        is_segment: the video alone, with the times of the source.

    Raises:
        ZeroDCEError: from any method, if the file cannot be written, the container cannot hold a
            stream, or the encoder refuses its settings or frames.
    """

    def __init__(
        self, path: Path, output: Path, reader: VideoReader, video: VideoSource,
        *, audio: str | None = None, is_segment: bool = False,
    ) -> None:  # fmt: skip
        self._path, self._output, self._reader = path, output, reader
        self._video, self._audio = video, audio
        self._suffix = output.suffix.lower()
        self._container: Any = None
        self._others: OtherStreams | None = None
        self._file: OutputFile | None = None
        self._waiting: list[av.Packet] = []
        self._is_segment = is_segment
        self._trim_seconds = Fraction(0) if is_segment else reader.trim_seconds
        self.frames = 0

    def write(self, item: av.VideoFrame | av.Packet) -> None:
        """Encode a frame, or copy a packet, both with the timestamps of the input."""
        if isinstance(item, av.Packet):
            if self._container is None:
                self._waiting.append(item)
            else:
                self._pass_on(item)
            return
        self.write_video(item)

    def write_video(self, item: av.VideoFrame | av.Packet) -> None:
        """Write what the video's encoder takes."""
        if self._container is None:
            self._open(item)
        self._mux(self._video.packets(item, self._offset(item.time_base)))
        self.frames += 1

    def close(self) -> None:
        """Write the frames that are still in the encoder, and the end of the file."""
        if self._container is not None and self._file is not None and self._others is not None:
            try:
                self._mux(self._video.packets(None))
                self._others.finish()
                self._container.close()
                self._file.close()
            except (av.FFmpegError, OSError) as error:
                raise self._not_written(error) from error
            self._others = None

    def abort(self) -> None:
        """Close the file without finishing it."""
        try:
            if self._container is not None:
                self._container.close()
        except (av.FFmpegError, OSError) as error:
            log.debug("closing %s: %s", self._path, error)
        finally:
            if self._file is not None:
                self._file.close()
            self._others = None  # which refers back: encoders and their threads would stay

    def _open(self, first: av.VideoFrame | av.Packet) -> None:
        reader = self._reader
        try:
            self._file = OutputFile(self._path)
            self._container = av.open(self._file, "w", options=self._container_options())
        except (av.FFmpegError, OSError, ValueError) as error:
            raise ZeroDCEError(
                f"{self._output}: cannot be written ({reason_of(error)}); choose another `output`"
            ) from error
        container = self._container
        self._others = others = OtherStreams(
            container, reader.path, self._suffix, self._audio, self._place_failed
        )
        if self._is_segment:
            self._video.add_to(container, first)
        else:
            if first.pts is not None and first.time_base and first.pts < 0:
                # In MP4, frames before 0 are not shown.
                self._trim_seconds = first.pts * first.time_base
            container.metadata.update(kept(reader.container.metadata))
            if chapters := reader.container.chapters():
                container.set_chapters(_shifted(chapters, reader, self._trim_seconds))
            # Streams keep the order of the input.
            for stream in reader.container.streams:
                if stream == reader.stream:
                    self._video.add_to(container, first)
                elif stream in reader.copied:
                    others.add(stream)
        try:
            container.start_encoding()
        except (av.FFmpegError, OSError, ValueError) as error:
            if self._place_failed(error):
                raise self._not_written(error) from error
            raise self._video.not_started(error) from error
        self._video.started()
        for packet in self._waiting:
            self._pass_on(packet)
        self._waiting.clear()

    def _container_options(self) -> dict[str, str]:
        if self._suffix == ".mkv":
            # Sound may begin some milliseconds before 0, as encoders need it; FFmpeg would move all
            # that the file holds.
            return {"avoid_negative_ts": "disabled"}
        if self._suffix not in MOV_SUFFIXES:
            return {}
        options = {"movie_timescale": str(_movie_timescale(self._reader))}
        keys = set(kept(self._reader.container.metadata))
        if self._suffix == ".mov" or keys - _MP4_KEYS:
            options["movflags"] = "use_metadata_tags"
        return options

    def _pass_on(self, packet: av.Packet) -> None:
        """Write a packet of another stream."""
        assert self._others is not None
        if offset := self._offset(packet.time_base):
            packet.pts = None if packet.pts is None else packet.pts - offset
            packet.dts = None if packet.dts is None else packet.dts - offset
        try:
            self._others.write(packet)
        except (av.FFmpegError, OSError) as error:
            raise self._not_written(error) from error

    def _offset(self, time_base: Fraction | None) -> int:
        return round(self._trim_seconds / time_base) if self._trim_seconds and time_base else 0

    def _mux(self, packets: list[av.Packet]) -> None:
        try:
            self._container.mux(packets)
        except (av.FFmpegError, OSError) as error:
            raise self._not_written(error) from error

    def _place_failed(self, error: Exception) -> bool:
        """Whether an error is one of the place where the file is written."""
        return is_of_the_place(error) or (self._file is not None and self._file.failure is not None)

    def _not_written(self, error: Exception) -> ZeroDCEError:
        if not self._place_failed(error) and self._others:
            # Our own packets are sound.
            return ZeroDCEError(
                f"{self._reader.path}: its streams beside the video are damaged and cannot be "
                f"copied to {self._suffix} ({reason_of(error)}); another container may take them"
            )
        failure = self._file.failure if self._file is not None else None
        return ZeroDCEError(f"{self._output}: cannot be written ({reason_of(failure or error)})")


def _movie_timescale(reader: VideoReader) -> int:
    """Ticks for MP4's edit lists, in which every stream can say exactly when it begins."""
    streams = [reader.stream, *(s for s in reader.copied if s.type == "audio")]
    scales = [s.time_base.denominator for s in streams if s.time_base]
    exact = math.lcm(*scales)
    return exact if exact <= _MOST_TICKS else min(max(scales), _MOST_TICKS)


def _shifted(chapters: list[Any], reader: VideoReader, trim_seconds: Fraction) -> list[Any]:
    """The chapters within the part that is kept, with times from its start."""
    inside = []
    for chapter in chapters:
        base = chapter["time_base"]
        offset = round(trim_seconds / base)
        end_of_span = (reader.span.end - reader.span.start) / float(base)
        start, end = max(0, chapter["start"] - offset), chapter["end"] - offset
        if end > 0 and start < end_of_span:
            inside.append(chapter | {"start": start, "end": int(min(end, end_of_span))})
    return inside
