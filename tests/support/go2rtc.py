"""A real server of streams: go2rtc, as it is inside Frigate and Home Assistant."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.receiver import free_port

REQUIRED = "ZERODCE_RT_REQUIRE_SERVER"
"""If this environment variable is set, a missing go2rtc fails the tests instead of skipping."""


def go2rtc() -> str:
    """The program: what ``ZERODCE_RT_GO2RTC`` names, or what is on the path."""
    program = os.environ.get("ZERODCE_RT_GO2RTC") or shutil.which("go2rtc")
    if program is None:
        reason = "go2rtc is not installed"
        if os.environ.get(REQUIRED):
            pytest.fail(reason)
        pytest.skip(reason)
    return program


class Server:
    """Runs go2rtc on this machine; a context manager.

    Args:
        folder: for its settings and its log.
        streams: sources by name; the empty one is for streams that are pushed.
    """

    def __init__(self, folder: Path, **streams: str) -> None:
        self.ports = {name: free_port() for name in ("api", "rtsp", "rtmp", "webrtc")}
        settings: dict[str, Any] = {
            name: {"listen": f"127.0.0.1:{port}"} for name, port in self.ports.items()
        }
        # FFmpeg's WHIP takes the first candidate, which must be one of UDP, and not the loopback's;
        # and nobody outside is asked where this machine is.
        settings["webrtc"] = {"listen": f":{self.ports['webrtc']}/udp", "ice_servers": []}
        settings["streams"] = {name: source or None for name, source in streams.items()}
        self._settings = folder / "go2rtc.yaml"
        self._settings.write_text(json.dumps(settings))  # which is YAML as well
        self._log = folder / "go2rtc.log"
        self._program = go2rtc()
        self.start()

    def start(self) -> None:
        """Start it again."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [self._program, "-config", str(self._settings)], stdout=log, stderr=log
            )
        until = time.monotonic() + 20
        while True:
            try:
                self.ask("api/streams")
                return
            except OSError:
                assert time.monotonic() < until, self._log.read_text()
                time.sleep(0.05)

    def kill(self) -> None:
        """End it as if its machine had lost its power."""
        self._process.kill()
        self._process.wait()

    def ask(self, path: str) -> Any:
        """What its API answers."""
        url = f"http://127.0.0.1:{self.ports['api']}/{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)

    def url(self, name: str) -> str:
        """Where it gives a stream, and takes one."""
        return f"rtsp://127.0.0.1:{self.ports['rtsp']}/{name}"

    def received(self, name: str) -> dict[str, int]:
        """Packets of each codec that were pushed so far."""
        producers = self.ask(f"api/streams?src={name}")["producers"] or []
        return {
            receiver["codec"]["codec_name"]: receiver.get("packets", 0)
            for producer in producers for receiver in producer.get("receivers") or []
        } | {"bytes": sum(producer.get("bytes_recv", 0) for producer in producers)}  # fmt: skip

    def wait_for(
        self, name: str, many: int, seconds: float = 30, *, what: str = "h264"
    ) -> dict[str, int]:
        """Wait until so much has come, usually packets of the picture."""
        until = time.monotonic() + seconds
        while True:
            found = self.received(name)
            if found.get(what, 0) >= many:
                return found
            assert time.monotonic() < until, f"{found}; {self._log.read_text()[-2000:]}"
            time.sleep(0.2)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
