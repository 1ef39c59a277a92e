"""A microphone of the system: a sound server's, whose sink is heard as one hears a room."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.alone

REQUIRED = "ZERODCE_RT_REQUIRE_SOUND"
"""If this environment variable is set, missing programs fail the test instead of skipping it."""

RATE, CHANNELS, BLOCK_SECONDS = 48_000, 2, 0.01
BLOCK = np.zeros((round(RATE * BLOCK_SECONDS), CHANNELS), np.float32)
SECONDS = 6
# Until it knows how quick the player is, the server makes the sound of a sink too early.
SILENT_SECONDS = 2


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A sound server with one sink, which is what ``default`` hears."""
    missing = [program for program in ("pulseaudio", "pacat") if shutil.which(program) is None]
    if missing or not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        reason = "not installed: pulseaudio pulseaudio-utils libasound2-plugins"
        (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)(reason)
    socket = tmp_path / "pulse.sock"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{socket}")
    server = subprocess.Popen(
        [
            "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disallow-exit",
            "-L", f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
            "-L", f"module-null-sink sink_name=room rate={RATE}",
        ],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until = time.monotonic() + 10
        while not socket.exists():
            assert time.monotonic() < until, "the sound server does not start"
            time.sleep(0.05)
        yield
    finally:
        server.kill()
        server.wait()


def play_beeps() -> list[float]:
    """Be silent for a while, then beep once a second; returns when, by ``time.monotonic``.

    What a player or server that was late has no room for is left out: if it waited, all that
    follows would be heard later than it was made, and the difference would be the player's.
    """
    made: list[float] = []
    with subprocess.Popen(
        [
            "pacat", "--playback", f"--rate={RATE}", f"--channels={CHANNELS}",
            "--format=float32le", "--latency-msec=10", "--process-time-msec=5",
        ],
        stdin=subprocess.PIPE, bufsize=0, pipesize=BLOCK.nbytes,
    ) as player:  # fmt: skip
        assert player.stdin is not None
        os.set_blocking(player.stdin.fileno(), False)
        silent = True
        start = time.monotonic()
        for number in range(round(SECONDS / BLOCK_SECONDS)):
            seconds = number * BLOCK_SECONDS
            time.sleep(max(0.0, start + seconds - time.monotonic()))
            times = seconds + np.arange(len(BLOCK)) / RATE
            beeps = (times >= SILENT_SECONDS) & (times % 1 < 0.04)
            wave = np.where(beeps, 0.4 * np.sin(2000 * np.pi * times), 0)
            block = np.repeat(wave[:, None], CHANNELS, axis=1).astype("<f4")
            now = time.monotonic()
            # Either all of it or nothing (None): a pipe takes up to a page as one.
            if player.stdin.write(block.tobytes()) is not None:
                if silent and beeps[0]:
                    made.append(now)
                silent = not beeps[0]
    return made


@pytest.mark.usefixtures("room")
def test_what_is_heard_has_the_time_at_which_it_was_made() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.listener", "default", str(SECONDS + 1)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as listener:  # fmt: skip
        assert listener.stdout is not None
        assert listener.stdout.readline() == "listening\n", listener.communicate()[1]
        made = play_beeps()
        heard, _ = listener.communicate(timeout=20)
    beeps = json.loads(heard)
    assert len(beeps) == len(made) == SECONDS - SILENT_SECONDS
    assert max(abs(np.subtract(beeps, made))) < 0.05
