"""A process that sends encoded packets to a receiver: ``python -m zerodce_rt.media.sender``.

Of its own, since PyAV keeps all of Python waiting while it connects, and a receiver may take
for ever. It reads its standard input: a short NUT file, which describes the streams, then packets,
both as ``write_header`` and ``write_packet`` make them. On standard error it says ``connected``,
later why it fails, each in one line.
"""

from __future__ import annotations

import faulthandler
import io
import json
import os
import signal
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from fractions import Fraction
from typing import IO, Any

import av

CONNECTED = "connected"
PATIENCE_SECONDS = 5
"""A receiver that takes nothing for so long is given up."""

_SIZE = struct.Struct("<I")
# Stream, pts, dts, duration, numerator and denominator of their time base, key frame or not, size.
_PACKET = struct.Struct("<BqqqII?I")


def write_header(pipe: IO[bytes], header: bytes) -> None:
    """Write a NUT file with the streams and a first key frame, which is not sent."""
    pipe.write(_SIZE.pack(len(header)) + header)
    pipe.flush()


def write_packet(pipe: IO[bytes], packet: av.Packet, stream: int) -> None:
    """Write a packet, which has all its times, of a stream by its number."""
    data, base = bytes(packet), packet.time_base
    pipe.write(
        _PACKET.pack(
            stream, packet.pts, packet.dts, packet.duration or 0, base.numerator,
            base.denominator, packet.is_keyframe, len(data),
        ) + data
    )  # fmt: skip
    pipe.flush()


def _packets(pipe: IO[bytes], streams: list[Any]) -> Iterator[av.Packet]:
    while len(head := pipe.read(_PACKET.size)) == _PACKET.size:
        number, pts, dts, duration, numerator, denominator, is_key, size = _PACKET.unpack(head)
        packet = av.Packet(pipe.read(size))
        packet.stream = streams[number]
        packet.pts, packet.dts, packet.duration = pts, dts, duration
        packet.time_base, packet.is_keyframe = Fraction(numerator, denominator), is_key
        yield packet


@contextmanager
def _patience() -> Iterator[None]:
    """End the process if the block takes too long, whatever holds Python."""
    with open(os.devnull, "w") as nothing:
        faulthandler.dump_traceback_later(PATIENCE_SECONDS, exit=True, file=nothing)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def _send(pipe: IO[bytes], url: str, format: str, options: Mapping[str, str]) -> None:
    (size,) = _SIZE.unpack(pipe.read(_SIZE.size))
    with (
        av.open(io.BytesIO(pipe.read(size)), format="nut") as header,
        av.open(url, "w", format=format, options=dict(options)) as out,
    ):
        streams = [out.add_stream_from_template(s, opaque=True) for s in header.streams]
        with _patience():
            out.start_encoding()
        print(CONNECTED, file=sys.stderr, flush=True)
        for packet in _packets(pipe, streams):
            with _patience():
                out.mux(packet)
        with _patience():
            out.close()


def main() -> int:
    """Send what comes by standard input.

    The arguments are a URL, FFmpeg's name of the container, and its options as JSON.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # standard input ends when it is time
    url, format, options = sys.argv[1:]
    try:
        _send(sys.stdin.buffer, url, format, json.loads(options))
    except (av.FFmpegError, OSError, ValueError) as error:
        gone = isinstance(error, BrokenPipeError)
        reason = "the receiver has ended" if gone else getattr(error, "strerror", None) or error
        with suppress(OSError):
            print(reason, file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    # Without the end of Python, which could wait for a receiver again.
    os._exit(main())
