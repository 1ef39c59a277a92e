"""HDR video: what comes in as HLG or PQ goes out as the same, or as SDR on request."""

from __future__ import annotations

import logging
import struct
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import VideoMaker, assert_nothing_left, one_line, run
from tests.support.media import Probe
from zerodce_rt.curve import pq
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.files import enhance_video
from zerodce_rt.frame import FORMATS
from zerodce_rt.live.stream import FilePlayer
from zerodce_rt.media import hdr
from zerodce_rt.media.frames import colour_of, convert, wrap
from zerodce_rt.media.hdr import LightLevels, ToneMapper, light_levels

PQ, HLG = 16, 18
DISPLAY = (
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):"
    "max-cll=600,120"
)


def make_hdr(
    make_video: VideoMaker, transfer: int, name: str = "hdr.mp4", *, display: bool = False,
    level: float = 0.25,
) -> Path:  # fmt: skip
    """A dark clip with sound; its samples are taken for codes of HLG or PQ as they are."""
    params = "log-level=error" + (f":{DISPLAY}" if display else "")
    return make_video(
        name, codec="libx265", pix_fmt="yuv420p10le", tags=(1, 9, 9, transfer), audio=1,
        frames=6, level=level, options={"x265-params": params, "crf": "8"},
    )  # fmt: skip


def ramp_frame(format: str, transfer: int) -> av.VideoFrame:
    """From black to white, of a limited range in BT.2020."""
    frame = av.VideoFrame(256, 16, format)
    luma, *chroma = wrap(frame).planes
    unit = luma.itemsize**2  # 8 and 10 bits
    luma[:] = unit * np.linspace(16, 235, luma.shape[1]).round()
    for plane in chroma:
        plane[:] = 128 * unit
    frame.color_range, frame.colorspace = 1, 9
    frame.color_primaries, frame.color_trc = 9, transfer
    return frame


def luma(frame: av.VideoFrame) -> NDArray[np.float64]:
    """In [0, 1] of the limited range."""
    plane = frame.planes[0]
    assert isinstance(plane, av.video.plane.VideoPlane)
    codes = np.frombuffer(bytes(plane), np.uint16).reshape(frame.height, -1)[:, : frame.width]
    return (codes.astype(np.float64) - 64) / 876


def tag_of(path: Path) -> str:
    with av.open(str(path)) as container:
        return str(container.streams.video[0].codec_context.codec_tag)


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
def test_hdr_stays_hdr(make_video: VideoMaker, tmp_path: Path, transfer: int, name: str) -> None:
    source, output = make_hdr(make_video, transfer), tmp_path / name
    enhance_video(source, output)
    before, after = Probe(source), Probe(output)
    assert (after.codec, after.pix_fmt, after.tags) == ("hevc", "yuv420p10le", before.tags)
    assert [round(float(p), 3) for p in after.pts] == [round(float(p), 3) for p in before.pts]
    if name != "out.mkv":
        assert after.pts == before.pts
        assert tag_of(output) == "hvc1"
    levels = [float(np.mean([luma(f) for f in p.frames])) for p in (before, after)]
    assert levels[1] > 1.3 * levels[0], "it is brighter"
    assert len(np.unique(luma(after.frames[0]))) > 150, "with all ten bits"
    [(sound_before, sound_after)] = zip(
        before.packets.values(), after.packets.values(), strict=True
    )
    assert [data for _, data in sound_after] == [data for _, data in sound_before]


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_a_bright_picture_is_left_alone(
    make_video: VideoMaker, tmp_path: Path, transfer: int
) -> None:
    """Judged in the codes of its own transfer: what is a middle grey in SDR is brighter here."""
    source = make_hdr(make_video, transfer, level=1.0)
    frame = Probe(source).frames[0]
    enhanced = Enhancer()(frame)
    assert (enhanced.color_trc, enhanced.colorspace) == (frame.color_trc, frame.colorspace)
    assert np.array_equal(luma(enhanced), luma(frame))


def test_light_levels_are_kept_and_stay_true(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_hdr(make_video, PQ, display=True, level=0.6)
    assert light_levels(Probe(source).frames[0]).max_cll == 600
    enhance_video(source, tmp_path / "out.mp4")
    before, after = Probe(source), Probe(tmp_path / "out.mp4")
    assert light_levels(after.frames[0]) == light_levels(before.frames[0])
    assert colour_of(before.frames[0]).peak_nits == 600
    for old, new in zip(before.frames, after.frames, strict=True):
        brightest = [pq.nits_of(luma(f).clip(0, 1)).max() for f in (old, new)]
        assert brightest[1] <= max(630, 1.05 * brightest[0])


def test_light_levels_in_av1(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_hdr(make_video, PQ, display=True)
    enhance_video(source, tmp_path / "out.mkv", codec="av1")
    before, after = (light_levels(Probe(p).frames[0]) for p in (source, tmp_path / "out.mkv"))
    assert after.max_cll == before.max_cll
    assert before.primaries is not None
    assert after.primaries == pytest.approx(before.primaries, abs=1e-4)


def test_an_encoder_that_keeps_no_light_levels_says_so(
    make_video: VideoMaker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_hdr(make_video, PQ, display=True)
    enhance_video(source, tmp_path / "out.mkv", codec="h264")
    assert "brightest light and its display is left out" in caplog.text
    assert Probe(tmp_path / "out.mkv").pix_fmt == "yuv420p10le"


# FFmpeg needs some seconds to prepare a mapping, so there is one for each test here.


def test_sdr_on_request(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_hdr(make_video, HLG)
    enhance_video(source, tmp_path / "out.mp4", sdr=True, compare="side")
    after = Probe(tmp_path / "out.mp4")
    assert (after.codec, after.pix_fmt, after.tags) == ("h264", "yuv420p", (1, 1, 1, 1))
    assert after.pts == Probe(source).pts
    dark, bright = np.hsplit(after.rgb(), 2)
    assert 5 < dark.mean() < bright.mean() / 1.3


def test_sdr_stays_what_it_is(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video(tags=(1, 5, 5, 6))
    enhance_video(source, tmp_path / "out.mp4", sdr=True)
    assert Probe(tmp_path / "out.mp4").tags == (1, 5, 5, 6)


def test_tone_mapping(caplog: pytest.LogCaptureFixture) -> None:
    frame = ramp_frame("yuv420p10le", PQ)
    frame.pts = 7
    with caplog.at_level(logging.INFO, logger="zerodce_rt"):
        mapped = ToneMapper()(frame)
    assert "some seconds" in caplog.text
    assert (mapped.pts, frame.pts) == (7, 7)
    assert int(mapped.color_trc) == 1
    row = luma(mapped)[8]
    assert all(b >= a for a, b in pairwise(row))
    assert row[0] < 0.02
    assert row[-1] > 0.95
    white = int(float(pq.codes_of(pq.WHITE_NITS)) * len(row))
    assert row[white] < 0.9, "highlights are compressed, not cut"


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_a_change_of_format_leaves_codes_alone(transfer: int) -> None:
    """PyAV 18 converts between transfers where 17 only tags: neither must happen here."""
    frame = ramp_frame("yuv420p", transfer)
    deep = convert(frame, FORMATS["yuv420p10le"])
    assert int(deep.color_trc) == transfer
    for before, after in zip(wrap(frame).planes, wrap(deep).planes, strict=True):
        width = min(before.shape[1], after.shape[1])
        assert np.array_equal(after[:, :width], 4 * before[:, :width].astype(np.uint16))


def test_eight_bits_become_ten(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video(pix_fmt="yuv420p", tags=(1, 9, 9, HLG))
    enhance_video(source, tmp_path / "out.mp4")
    after = Probe(tmp_path / "out.mp4")
    assert (after.codec, after.pix_fmt, after.tags[3]) == ("hevc", "yuv420p10le", HLG)


def test_webm_keeps_ten_bits(
    make_video: VideoMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet = {"x265-params": "log-level=error"}
    source = make_video(codec="libx265", pix_fmt="yuv420p10le", options=quiet)
    output = tmp_path / "out.webm"
    assert run("enhance", source, "-o", output, "--quiet") == 0
    assert capsys.readouterr().err == ""
    assert (Probe(output).codec, Probe(output).pix_fmt) == ("libdav1d", "yuv420p10le")
    arguments = ["enhance", source, "-o", output, "--quiet", "--codec", "vp9", "--overwrite"]
    assert run(*arguments) == 0
    assert "libvpx-vp9 keeps 8 of its 10 bits" in one_line(capsys.readouterr().err)
    source = make_hdr(make_video, HLG)
    assert run("enhance", source, *arguments[2:]) != 0
    assert "HDR video takes 10; choose --codec h265 or --sdr" in one_line(capsys.readouterr().err)
    assert Probe(output).codec == "vp9", "the file from before"


def fake_dolby_vision(monkeypatch: pytest.MonkeyPatch, profile: int, full_range: int) -> None:
    header = bytes([2, 0, 18, 0, profile, 0, 0, 0, 23, 1, full_range, 10])
    metadata = struct.pack("NNN", 48, 0, 0).ljust(48, b"\0") + header
    monkeypatch.setattr(hdr, "side_data", lambda _: [("DOVI_METADATA", metadata)])


def test_dolby_vision_8_is_its_base_layer(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    source = make_hdr(make_video, HLG)
    fake_dolby_vision(monkeypatch, 1, 0)
    enhance_video(source, tmp_path / "out.mp4")
    assert "Dolby Vision metadata describes each picture as it was, and is left out" in caplog.text
    assert Probe(tmp_path / "out.mp4").tags[3] == HLG


def test_dolby_vision_5_is_refused(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    source = make_hdr(make_video, PQ)
    fake_dolby_vision(monkeypatch, 0, 1)
    assert run("enhance", source, "-o", tmp_path / "out.mp4", "--quiet") == 1
    assert "Dolby Vision of profile 5" in one_line(capsys.readouterr().err)
    assert_nothing_left(tmp_path, "hdr.mp4")
    with pytest.raises(ZeroDCEError, match="profile 5"):
        FilePlayer(source).read()
    with pytest.raises(ZeroDCEError, match="profile 5"):
        Enhancer()(Probe(source).frames[0])


def test_live_shows_sdr(make_video: VideoMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    def stand_in(_: ToneMapper, frame: av.VideoFrame) -> av.VideoFrame:
        assert int(frame.color_trc) == HLG
        frame.color_trc = 1
        return frame

    monkeypatch.setattr(ToneMapper, "__call__", stand_in)
    player = FilePlayer(make_hdr(make_video, HLG))
    item = player.read()
    player.close()
    assert item is not None
    assert item.image.shape == (64, 96, 3)


def test_nothing_to_say_of_light() -> None:
    assert LightLevels().x265_params() == LightLevels().svtav1_params() == ""
