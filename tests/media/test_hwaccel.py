"""``hwaccel``: the GPU's decoder and encoder where they work, else the CPU's and a reason."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np
import pytest
import torch

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
from zerodce_rt.media.frames import colour_of, downloaded, wrap
from zerodce_rt.media.hwaccel import Encoding, encoding_on_gpu, gpu_encoder, nvdec
from zerodce_rt.media.on_gpu import FORMATS_ON_GPU, FramesOnGPU, tensors_of, wrap_on_gpu

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel

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


@pytest.mark.parametrize("name", FORMATS_ON_GPU)
def test_new_frames_lie_as_nvenc_reads_them(name: str) -> None:
    """It is told where luma lies and how long its rows are, and finds chroma by that."""
    frames = FramesOnGPU(torch.device("cpu"), FORMATS[name], 70, 44)
    frame, planes = frames.new()
    luma, chroma = planes.planes
    row = luma.stride(0)  # type: ignore[attr-defined]
    assert row * luma.itemsize % 256 == 0
    assert chroma.stride(0) == row  # type: ignore[attr-defined]
    assert chroma.data_ptr() - luma.data_ptr() == 44 * row * luma.itemsize  # type: ignore[attr-defined]
    chroma[21, 69] = 77
    assert (frame.width, frame.height, frame.format.name) == (70, 44, name)
    assert wrap(frame).planes[1][21, 69] == 77, "the same memory"


def test_new_frames_have_tags_and_time_of_another() -> None:
    like = av.VideoFrame(64, 48, "nv12")
    like.color_range, like.colorspace, like.color_primaries, like.color_trc = 2, 5, 6, 13
    like.pts, like.time_base, like.duration = 33, Fraction(1, 90), 3
    frame, planes = FramesOnGPU(torch.device("cpu"), FORMATS["nv12"], 64, 48).blank_like(like)
    assert colour_of(frame) == planes.colour == colour_of(like)
    assert (int(frame.color_primaries), int(frame.color_trc)) == (6, 13)
    assert (frame.pts, frame.time_base, frame.duration) == (33, Fraction(1, 90), 3)


@without_driver
def test_an_encoder_that_cannot_read_the_gpu_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("zerodce_rt.media.hwaccel._shared_context", dict)  # needs a driver
    device, options = torch.device("cuda", 0), EncoderSettings().options("h264_nvenc")
    for name, size in (("yuv422p", (64, 48)), ("nv12", (63, 48)), ("yuv420p", (64, 47))):
        assert encoding_on_gpu("h264_nvenc", options, device, FORMATS[name], *size) is None
    assert not caplog.records, "nothing was tried"
    assert encoding_on_gpu("h264_nvenc", options, device, FORMATS["yuv420p"], 64, 48) is None
    (record,) = caplog.records
    assert "NVENC cannot read frames on the GPU" in record.getMessage()
    assert any(reason in record.getMessage() for reason in ("libcuda", "CUDA", "PyAV"))


def test_a_frame_in_host_memory_stays_there() -> None:
    frame = av.VideoFrame(64, 48, "nv12")
    assert wrap_on_gpu(frame) is None
    assert downloaded(frame) is frame


class FrameOnGPU:
    """A frame as PyAV shows those that NVDEC left on the GPU, but in host memory."""

    format = SimpleNamespace(name="cuda")

    def __init__(self, frame: av.VideoFrame, *, interlaced: bool) -> None:
        self._frame, self.sw_format, self.interlaced_frame = frame, frame.format, interlaced

    def __getattr__(self, name: str) -> Any:
        return getattr(self._frame, name)


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_frame_on_the_gpu_is_known_as_on_the_cpu(interlaced: bool) -> None:
    plain = av.VideoFrame(64, 48, "nv12")
    plain.color_range, plain.colorspace = 2, 5
    found = wrap_on_gpu(cast("av.VideoFrame", FrameOnGPU(plain, interlaced=interlaced)))
    assert found is not None
    expected = wrap(plain)
    assert found.interlaced == interlaced
    assert (found.format, found.colour) == (expected.format, expected.colour)
    assert (found.width, found.height) == (64, 48)
    assert [tuple(p.shape) for p in found.planes] == [(48, 64), (24, 64)]


class GPUStandIn:
    """Tensors in host memory instead of NVDEC's and NVENC's, and Triton's interpreter.

    Attributes:
        decoded, encoded: number of frames that lay on the GPU there.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from tests.support import agreement  # noqa: F401 - before Triton

        self._patch = monkeypatch
        self.decoded = self.encoded = 0
        backends = {"gpu": Backend("gpu", "tests.support.interpreted", on_gpu=True)}
        monkeypatch.setattr("zerodce_rt.backends.BACKENDS", BACKENDS | backends)
        monkeypatch.setattr("zerodce_rt.backends.cuda.check.check", lambda *_: None)  # slow

    def decode(self) -> None:
        self._patch.setattr("zerodce_rt.video.frame_stage.wrap_on_gpu", self._wrap)

    def encode(self) -> None:
        monkeypatch, new = self._patch, FramesOnGPU.new

        def count(frames: FramesOnGPU) -> tuple[av.VideoFrame, Frame]:
            self.encoded += 1
            return new(frames)

        def encoding(
            name: str, options: Any, device: torch.device, format: Any, width: int, height: int
        ) -> Encoding:
            assert (name, options["crf"], device.type) == ("libx264", "1", "cpu")
            frames = FramesOnGPU(device, FORMATS["nv12"], width, height)
            return Encoding(accel=cast("HWAccel", None), frames=frames)

        monkeypatch.setattr("zerodce_rt.media.video_encoder.NVENC", {})
        monkeypatch.setattr("zerodce_rt.media.video_encoder.gpu_encoder", lambda name, *_: name)
        monkeypatch.setattr("zerodce_rt.media.video_encoder.encoding_on_gpu", encoding)
        monkeypatch.setattr(FramesOnGPU, "new", count)

    def _wrap(self, frame: av.VideoFrame) -> Frame:
        self.decoded += 1
        nv12 = frame.reformat(format="nv12")
        planes: Any = tuple(t.clone() for t in tensors_of(nv12))
        return Frame(FORMATS["nv12"], planes, frame.width, frame.height, colour_of(frame))


needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")


@needs_triton
@pytest.mark.parametrize(
    "codec", ["h264", "h265"] if os.environ.get("ZERODCE_RT_THOROUGH") else ["h264"]
)
def test_a_file_whose_frames_never_leave_the_gpu(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    gpu = GPUStandIn(monkeypatch)
    source = make_video(frames=2, size=(64, 8), tags=(1, 1, 1, 1), audio=1)
    enhancer = Enhancer(model="plus", backend="gpu", working_size=16)
    encoder = EncoderSettings(codec=codec, crf=1)

    def enhanced(name: str, *, nvenc: bool = False) -> Probe:
        settings = replace(encoder, gpu=nvenc)
        enhance_video(source, tmp_path / name, enhancer=enhancer, encoder=settings)
        return Probe(tmp_path / name)

    plain = enhanced("plain.mp4")
    gpu.decode()
    results = {(2, 0): enhanced("decoded.mp4")}
    if codec == "h264":  # x265 does not take NV12
        gpu.encode()
        results[4, 2] = enhanced("both.mp4", nvenc=True)
    assert (gpu.decoded, gpu.encoded) == list(results)[-1]
    for result in results.values():
        assert (result.pts, result.tags) == (plain.pts, plain.tags)
        assert result.packets == plain.packets
        assert result.level() > 1.5 * Probe(source).level()
        for index in range(2):
            assert np.abs(result.rgb(index).astype(int) - plain.rgb(index)).max() <= 3
    # A comparison needs the frame before enhancement, and the one after it, on the CPU.
    enhance_video(
        source, tmp_path / "sides.mp4", enhancer=enhancer, encoder=encoder, compare="side"
    )
    assert (gpu.decoded, gpu.encoded) == list(results)[-1]


@needs_triton
def test_frames_from_the_cpu_are_encoded_on_the_gpu(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = GPUStandIn(monkeypatch)
    gpu.encode()
    source = make_video(frames=3, size=(64, 8), pix_fmt="yuv420p")
    enhancer = Enhancer(model="plus", backend="gpu", working_size=16)
    settings = EncoderSettings(crf=1, gpu=True)
    result = enhance_video(source, tmp_path / "out.mp4", enhancer=enhancer, encoder=settings)
    assert (result.frames, gpu.decoded, gpu.encoded) == (3, 0, 3)
    assert Probe(tmp_path / "out.mp4").level() > 1.5 * Probe(source).level()


@needs_triton
def test_a_gpu_that_is_lost_while_it_encodes_ends_the_file(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CPU cannot write to frames there; nothing is left under the final name."""
    from tests.support import interpreted

    gpu = GPUStandIn(monkeypatch)
    gpu.encode()
    source = make_video(frames=3, size=(64, 8))
    enhancer = Enhancer(model="plus", backend="gpu", working_size=16)
    interpreted.before_estimate += [interpreted.succeed] * 2 + [interpreted.lose_the_device]
    with pytest.raises(ZeroDCEError, match="illegal memory access"):
        enhance_video(
            source, tmp_path / "out.mp4", enhancer=enhancer,
            encoder=EncoderSettings(crf=1, gpu=True),
        )  # fmt: skip
    interpreted.before_estimate.clear()
    assert not (tmp_path / "out.mp4").exists()


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
