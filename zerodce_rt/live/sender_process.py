"""The process that sends a stream, seen from here."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress

import av

from zerodce_rt.media import sender

STANDARD_OUTPUT = "pipe:1"
"""FFmpeg's URL of it."""

# How long the process may take to send the rest.
_GRACE_SECONDS = 1.0


class SenderFailed(Exception):
    """The receiver is out of reach, or gone; says why."""


class Sender:
    """Starts the process; see ``zerodce_rt.media.sender``.

    Args:
        url: FFmpeg's.
        format, options: of the container.
        header: a NUT file with the streams, as ``write_header`` takes it.
    """

    def __init__(self, url: str, format: str, options: Mapping[str, str], header: bytes) -> None:
        self._connected, self._said = False, ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", sender.__name__, url, format, json.dumps(dict(options))],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE,
            stdout=None if url == STANDARD_OUTPUT else subprocess.DEVNULL,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._pipe = self._process.stdin
        self._listener = threading.Thread(
            target=self._listen, name="zerodce-publish-said", daemon=True
        )
        self._listener.start()
        with suppress(OSError):  # ``put`` says why
            sender.write_header(self._pipe, header)

    @property
    def connected(self) -> bool:
        """Whether the receiver has answered.

        Raises:
            SenderFailed: the process has ended.
        """
        if not self._connected and self._process.poll() is not None:
            raise self._failed()
        return self._connected

    def put(self, packet: av.Packet, stream: int) -> None:
        """Send a packet; waits while the process has no room.

        Raises:
            SenderFailed: the process has ended.
        """
        try:
            sender.write_packet(self._pipe, packet, stream)
        except OSError as error:
            raise self._failed() from error

    def close(self) -> None:
        """Let the process send the rest, for a moment."""
        with suppress(OSError):
            self._pipe.close()
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _failed(self) -> SenderFailed:
        self._process.wait()
        self._listener.join()
        return SenderFailed(self._said or f"it has taken nothing for {sender.PATIENCE_SECONDS} s")

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            text = line.decode(errors="replace").strip()
            if text == sender.CONNECTED:
                self._connected = True
            else:
                self._said = text
        self._process.stderr.close()
