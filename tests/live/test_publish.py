"""``live --publish``: FFmpeg receives it in another process, or a real server does."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest

from tests.conftest import one_line, run
from tests.support.clapper import RATE, Heard, heard, write_clapper
from tests.support.receiver import Receiver, free_port
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.live import publisher as publisher_module
from zerodce_rt.live.feeds import open_feed
from zerodce_rt.live.publisher import Publisher
from zerodce_rt.live.session import LiveSettings, run_live
from zerodce_rt.live.sound import Sound

pytestmark = pytest.mark.alone

SECONDS = 6
LISTEN = {"rtsp_flags": "listen", "listen_timeout": "60"}
# The picture as it is, so that its flashes are found again.
PLAIN = ("--strength", "0", "--denoise", "0", "--quiet", "--no-window")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clapper(tmp_path_factory.mktemp("clap") / "clap.mp4", SECONDS)


@pytest.fixture
def plain() -> Enhancer:
    return Enhancer.for_video(strength=0.0, denoise=0.0)


def assert_in_step(result: Heard, *, frames: int) -> None:
    """Most frames, at their own times, with sound that is not apart from them."""
    assert len(result.times) >= frames
    steps = np.diff(result.times) * RATE
    # A player that the machine has held up begins its clock anew.
    assert np.count_nonzero(np.abs(steps - np.round(steps)) > 0.05) <= 2, steps
    assert not result.reordered, "nobody waits for B-frames"
    assert len(result.flashes) >= 3
    assert max(map(abs, result.offsets_ms)) < 50
    assert max(np.diff([0, *result.keys, result.times[-1]])) < 2.2


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp", "udp"])
def test_picture_and_sound_arrive(clip: Path, plain: Enhancer, tmp_path: Path, scheme: str) -> None:
    port = free_port()
    url = f"{scheme}://127.0.0.1:{port}" + {"udp": ""}.get(scheme, "/night/yard")
    listen = {"rtsp": LISTEN, "rtmp": {"listen": "1"}}.get(scheme, {})
    with Receiver(url, tmp_path / "there.nut", **listen) as receiver:
        time.sleep(1)  # until it listens
        settings = LiveSettings(
            window=False, publish=url, record=tmp_path / "here.mp4", rate=RATE, seconds=SECONDS
        )
        run_live(open_feed(clip), plain, settings)
        receiver.finish()
    there, here = heard(tmp_path / "there.nut"), heard(tmp_path / "here.mp4")
    assert_in_step(here, frames=SECONDS * RATE - 10)
    assert_in_step(there, frames=(SECONDS - 2) * RATE)
    # What came before the receiver had answered is not sent late.
    assert np.ptp(there.times) < np.ptp(here.times) - 0.05
    assert there.codec == here.codec == "aac"
    sent = set(heard(clip).packets)
    assert len(here.packets) > 40 * SECONDS
    assert set(here.packets) <= sent, "copied as it is"
    adts = 7 if scheme == "udp" else 0  # bytes of a transport stream's header for each
    assert {packet[adts:] for packet in there.packets} <= sent


def test_standard_output(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.ts"
    with output.open("wb") as file:
        program = subprocess.run(
            [sys.executable, "-m", "zerodce_rt", "live", str(clip), "--publish", "-", *PLAIN],
            stdout=file, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert program.returncode == 0, program.stderr
    assert_in_step(heard(output), frames=(SECONDS - 2) * RATE)


def test_the_bits_of_a_second_have_a_limit(tmp_path: Path) -> None:
    clip = tmp_path / "noise.mp4"
    noise = np.random.default_rng(0).integers(0, 255, (4, 180, 320, 3), np.uint8)
    with av.open(str(clip), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "30"})
        stream.width, stream.height = 320, 180
        for number in range(SECONDS * RATE):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(noise[number % 4], "rgb24")))
        out.mux(stream.encode(None))
    rates: list[float] = []
    for limit in ((), ("--publish-mbits", "0.4")):
        output = tmp_path / f"{len(rates)}.ts"
        with output.open("wb") as file:
            subprocess.run(
                [sys.executable, "-m", "zerodce_rt", "live", str(clip), "--publish", "-", *PLAIN,
                 *limit],
                stdout=file, timeout=60, check=True,
            )  # fmt: skip
        rates.append(8e-6 * output.stat().st_size / np.ptp(heard(output).times))
    assert rates[0] > 0.8, "as many as it needs, up to 1 Mbit/s"
    assert rates[1] < 0.55, "with what the container adds"


def test_standard_output_that_nobody_reads_any_more(clip: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "zerodce_rt", "live", str(clip), "--loop", "--publish", "-", *PLAIN],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False,
    ) as program:  # fmt: skip
        assert program.stdout is not None
        assert program.stderr is not None
        assert len(program.stdout.read(10_000)) == 10_000
        program.stdout.close()
        assert program.wait(20) == 1
        told = program.stderr.read().decode()
    assert "standard output: cannot be written (the receiver has ended)" in told
    assert "Traceback" not in told


def test_a_receiver_that_is_killed_comes_back(
    plain: Enhancer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever happens to it, the recording beside it misses nothing."""
    caplog.set_level(logging.INFO)
    clip = write_clapper(tmp_path / "clap.mp4", 16)
    url = f"rtsp://127.0.0.1:{free_port()}/yard"
    after = tmp_path / "after.mkv"

    def receivers() -> None:
        with Receiver(url, tmp_path / "first.mkv", **LISTEN) as receiver:
            receiver.wait_until_open()
            time.sleep(1)
            receiver.kill()
        time.sleep(1.5)
        with Receiver(url, after, **LISTEN) as receiver:
            receiver.finish(60)

    thread = threading.Thread(target=receivers)
    thread.start()
    settings = LiveSettings(
        window=False, publish=url, record=tmp_path / "here.mp4", rate=RATE, seconds=15
    )
    run_live(open_feed(clip), plain, settings)
    thread.join()
    assert "yard: broke off (" in caplog.text
    assert caplog.text.count("yard: connected") == 2
    assert len(heard(after).times) > RATE
    assert len(heard(tmp_path / "here.mp4").times) > 14 * RATE
    assert_in_step(heard(after), frames=3 * RATE)


def test_a_receiver_that_takes_nothing_keeps_nobody(
    clip: Path, plain: Enhancer, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"rtmp://127.0.0.1:{server.getsockname()[1]}/live/yard"
        settings = LiveSettings(
            window=False, publish=url, record=tmp_path / "here.mp4", rate=RATE, seconds=3
        )
        started = time.monotonic()
        run_live(open_feed(clip), plain, settings)
        assert time.monotonic() - started < 7
    assert len(heard(tmp_path / "here.mp4").times) > 3 * RATE - 10


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("srt://host:9000", "without SRT"),
        ("ftp://user:secret@host/x", "ftp://host/x: cannot be published to; valid: rtsp://"),
        ("file.mp4", "file.mp4: cannot be published to"),
    ],
)
def test_what_cannot_be_published_to(
    clip: Path, capsys: pytest.CaptureFixture[str], url: str, said: str
) -> None:
    assert run("live", clip, "--no-window", "--publish", url) == 1
    message = one_line(capsys.readouterr().err)
    assert said in message
    assert "secret" not in message


def test_nobody_there(caplog: pytest.LogCaptureFixture) -> None:
    publisher = Publisher(f"rtsp://user:secret@127.0.0.1:{free_port()}/yard", 30)
    until = time.monotonic() + 10
    while "trying again" not in (publisher.meter.status or ""):
        assert time.monotonic() < until
        publisher.write(np.zeros((64, 96, 3), np.uint8), time.monotonic())
        time.sleep(0.03)
    assert "cannot be reached (Connection refused); trying again in 0.5 s" in caplog.text
    assert "secret" not in caplog.text
    started = time.monotonic()
    publisher.close()
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(("url", "early"), [("rtsp://host/yard", 0.1), ("udp://host:1", 0.0)])
def test_no_image_waits_for_the_sound_of_its_time(
    clip: Path, monkeypatch: pytest.MonkeyPatch, url: str, early: float
) -> None:
    """FFmpeg writes in the order of decoding times, which RTP does not send."""
    sent: list[tuple[float, float]] = []

    class Noted:
        connected = True

        def __init__(self, *_: object) -> None:
            pass

        def put(self, packet: av.Packet, stream: int) -> None:
            if stream == 0:
                assert packet.pts is not None
                assert packet.dts is not None
                base = packet.time_base
                sent.append((float(packet.pts * base), float((packet.pts - packet.dts) * base)))

        def close(self) -> None:
            pass

    monkeypatch.setattr(publisher_module, "Sender", Noted)
    with av.open(str(clip)) as container:
        sound = Sound(container.streams.audio[0])
    publisher = Publisher(url, 30, sound=lambda: sound)
    for number in range(3):
        publisher.write(np.zeros((64, 96, 3), np.uint8), 100 + number / 30)
    publisher.close()
    assert sent == [pytest.approx((early + number / 30, early), abs=1e-4) for number in range(3)]
