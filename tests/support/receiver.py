"""A receiver of streams in a process of its own: FFmpeg, which writes what comes to a file."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType

_PROGRAM = """
import json
import sys
import av
url, path, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with av.open(url, options=options, timeout=(40, 3)) as source, av.open(path, "w") as out:
    print("open", flush=True)
    copies = {s.index: out.add_stream_from_template(s, opaque=True) for s in source.streams}
    packets, last = source.demux(), {}
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError, OSError):
            break  # a sender that ends may be no end of the stream
        # When the server says how the streams belong together, FFmpeg's times may step back.
        if packet.dts is not None and packet.dts > last.get(packet.stream.index, packet.dts - 1):
            last[packet.stream.index] = packet.dts
            packet.stream = copies[packet.stream.index]
            out.mux(packet)
"""


def free_port() -> int:
    """Of TCP and UDP on this machine."""
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        return int(tcp.getsockname()[1])


class Receiver:
    """Listens at a URL, or asks a server for it; a context manager.

    Args:
        path: where what comes is written, with the times that it has.
    """

    def __init__(self, url: str, path: Path, **options: str) -> None:
        self.path = path
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, url, str(path), json.dumps(options)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def wait_until_open(self) -> None:
        """Wait until the first packets have come."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "open\n", self._process.communicate()

    def kill(self) -> None:
        """End it as if its machine had lost its power."""
        self._process.kill()
        self._process.wait()

    def finish(self, seconds: float = 15) -> None:
        """Wait until the sender has ended."""
        _, errors = self._process.communicate(timeout=seconds)
        assert self._process.returncode == 0, errors

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._process.poll() is None:
            self.kill()
