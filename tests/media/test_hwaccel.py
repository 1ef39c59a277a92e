"""``hwaccel``: the GPU's decoder and encoder where they work, else the CPU's and a reason."""

from __future__ import annotations

import logging
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.conftest import VideoMaker, assert_nothing_left, require_gpu, run
from tests.support import hardware
from tests.support.media import Probe
from zerodce_rt.backends import BACKENDS, Backend
from zerodce_rt.backends.cuda.driver import nvidia_driver_present
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.files import enhance_video
from zerodce_rt.frame import FORMATS, Frame
from zerodce_rt.media.encoders import EncoderSettings
from zerodce_rt.media.frames import colour_of, downloaded, tensors_of, wrap, wrap_on_gpu
from zerodce_rt.media.hwaccel import gpu_encoder, nvdec

without_driver = pytest.mark.skipif(nvidia_driver_present(), reason="there is an NVIDIA driver")


@without_driver
def test_without_a_gpu_the_cpu_decodes_and_the_reason_is_reported(
    make_video: VideoMaker, caplog: pytest.LogCaptureFixture
) -> None:
    clip = make_video()
    assert nvdec(clip, shared=False) is None
    (record,) = caplog.records
    assert f"{clip}: NVDEC cannot decode it" in record.getMessage()
    assert any(reason in record.getMessage() for reason in ("libcuda", "CUDA", "PyAV"))
    assert av.logging.get_level() is None, "FFmpeg's log level is as before"


@without_driver
def test_without_a_gpu_the_cpu_encodes_and_the_reason_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = EncoderSettings()
    for encoder, nvenc in (("libx264", "h264_nvenc"), ("libsvtav1", "av1_nvenc")):
        caplog.clear()
        options = settings.options(nvenc)
        assert gpu_encoder(encoder, options, FORMATS["nv12"], 640, 360) == encoder
        (record,) = caplog.records
        assert "NVENC cannot encode 640x360 nv12" in record.getMessage()
        assert f"encoding with {encoder}" in record.getMessage()


def test_a_codec_that_nvenc_does_not_have_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    assert gpu_encoder("libvpx-vp9", {}, FORMATS["yuv420p"], 64, 48) == "libvpx-vp9"
    assert "no such codec" in caplog.text


def test_a_file_that_is_not_a_video_is_reported_as_without(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing")
    with pytest.raises(ZeroDCEError, match="not a video that can be read"):
        enhance_video(broken, tmp_path / "out.mp4", hwaccel=True)
    assert_nothing_left(tmp_path, "broken.mp4")


@without_driver
def test_the_command_falls_back_to_the_cpu(
    make_video: VideoMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_video(audio=1)
    plain, asked = tmp_path / "plain.mp4", tmp_path / "asked.mp4"
    assert run("enhance", source, "-o", plain, "--quiet") == 0
    assert capsys.readouterr().err == ""
    assert run("enhance", source, "-o", asked, "--quiet", "--hwaccel") == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "NVDEC" in lines[0]
    assert "NVENC" in lines[1]
    # Not the same bytes: x264's rate control reads memory that it has not set.
    first, second = Probe(plain), Probe(asked)
    assert (second.pts, second.pix_fmt, second.tags) == (first.pts, first.pix_fmt, first.tags)
    for index in range(len(first.frames)):
        apart = np.abs(second.rgb(index).astype(int) - first.rgb(index))
        assert apart.mean() < 0.5


# Frames that stay on the GPU


@pytest.mark.parametrize("name", ["nv12", "p010le"])
def test_planes_become_tensors_without_a_copy(name: str) -> None:
    frame = av.VideoFrame(70, 44, name)
    planes = wrap(frame).planes
    for number, plane in enumerate(planes):
        plane[:] = np.random.default_rng(number).integers(0, 200, plane.shape)
    tensors = tensors_of(frame)
    assert [tuple(t.shape) for t in tensors] == [(44, 70), (22, 70)]
    for tensor, plane in zip(tensors, planes, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), plane[:, :70])
        tensor[3, 5] = 201
        assert plane[3, 5] == 201


def test_a_frame_in_host_memory_stays_there() -> None:
    frame = av.VideoFrame(64, 48, "nv12")
    assert wrap_on_gpu(frame) is None
    assert downloaded(frame) is frame


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.parametrize(
    "codec", ["h264", "h265"] if os.environ.get("ZERODCE_RT_THOROUGH") else ["h264"]
)
def test_a_file_whose_frames_never_leave_the_gpu(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    """With tensors in host memory instead of NVDEC's, and Triton's interpreter."""
    from tests.support import agreement  # noqa: F401 - before Triton

    wrapped = 0

    def stand_in(frame: av.VideoFrame) -> Frame:
        nonlocal wrapped
        wrapped += 1
        nv12 = frame.reformat(format="nv12")
        planes: Any = tuple(t.clone() for t in tensors_of(nv12))
        return Frame(FORMATS["nv12"], planes, frame.width, frame.height, colour_of(frame))

    backends = {"gpu": Backend("gpu", "tests.support.interpreted", on_gpu=True)}
    monkeypatch.setattr("zerodce_rt.backends.BACKENDS", BACKENDS | backends)
    monkeypatch.setattr("zerodce_rt.backends.cuda.check.check", lambda *_: None)  # takes its time
    source = make_video(frames=3, size=(64, 32), tags=(1, 1, 1, 1))
    enhancer = Enhancer(model="plus", backend="gpu", working_size=16)
    encoder = EncoderSettings(codec=codec, crf=1)
    enhance_video(source, tmp_path / "plain.mp4", enhancer=enhancer, encoder=encoder)
    monkeypatch.setattr("zerodce_rt.files.wrap_on_gpu", stand_in)
    enhance_video(source, tmp_path / "gpu.mp4", enhancer=enhancer, encoder=encoder)
    assert wrapped == 3
    plain, gpu = Probe(tmp_path / "plain.mp4"), Probe(tmp_path / "gpu.mp4")
    assert (gpu.pts, gpu.tags, gpu.pix_fmt) == (plain.pts, plain.tags, plain.pix_fmt)
    assert gpu.level() > 1.5 * Probe(source).level()
    for index in range(3):
        assert np.abs(gpu.rgb(index).astype(int) - plain.rgb(index)).max() <= 3
    # A comparison needs the frame before enhancement on the CPU.
    enhance_video(source, tmp_path / "both.mp4", enhancer=enhancer, compare="side")
    assert wrapped == 3


# With a card


@pytest.mark.parametrize(("pix_fmt", "codec"), [("yuv420p", "libx264"), ("yuv420p10le", "libx265")])
def test_nvdec_decodes_what_the_cpu_does(pix_fmt: str, codec: str) -> None:
    require_gpu()
    assert hardware.decoded_frames_agree(pix_fmt, codec) == 20


def test_whole_files_on_a_card(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    require_gpu()
    with caplog.at_level(logging.WARNING, logger="zerodce_rt"):
        hardware.whole_files_agree(tmp_path)
    assert "NVDEC cannot" not in caplog.text
