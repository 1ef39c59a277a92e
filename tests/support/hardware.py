"""Checks of NVDEC and NVENC, for the tests and ``scripts/gpu_check.py``; they need a card."""

from __future__ import annotations

import tempfile
from pathlib import Path

import av
import numpy as np

from tests.support.media import Probe, write_video
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.files import enhance_video
from zerodce_rt.media.frames import wrap
from zerodce_rt.media.hwaccel import nvdec
from zerodce_rt.media.on_gpu import wrap_on_gpu
from zerodce_rt.media.reader import VideoReader


def decoded_frames_agree(pix_fmt: str, codec: str) -> int:
    """NVDEC's planes on the GPU against those of the CPU's decoder; returns the frame count."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "clip.mp4")
        write_video(clip, size=(320, 240), frames=20, pix_fmt=pix_fmt, codec=codec)
        decoding = nvdec(clip, shared=True)
        assert decoding is not None
        with VideoReader(clip) as reader:
            expected = [f for f in reader if isinstance(f, av.VideoFrame)]
        got = []
        with VideoReader(clip, decoding=decoding) as reader:
            for frame in reader:
                if not isinstance(frame, av.VideoFrame):
                    continue
                view = wrap_on_gpu(frame)
                assert view is not None
                planes = [np.asarray(p.cpu()) for p in view.planes]  # type: ignore[attr-defined]
                got.append((frame.pts, planes))
        assert [pts for pts, _ in got] == [f.pts for f in expected]
        for frame, (_, planes) in zip(expected, got, strict=True):
            plain = wrap(frame.reformat(format=decoding.format.name))
            for ours, theirs in zip(plain.planes, planes, strict=True):
                np.testing.assert_array_equal(ours[:, : theirs.shape[1]], theirs)
        return len(got)


def whole_files_agree(folder: Path) -> None:
    """A file by NVDEC (and NVENC, if the card has it) against the CPU's decoder and encoder."""
    source = folder / "source.mp4"
    write_video(source, size=(320, 240), frames=20, audio=1, tags=(1, 1, 1, 1))
    enhancer = Enhancer(backend="cuda")
    enhance_video(source, folder / "with.mp4", enhancer=enhancer, hwaccel=True)
    enhance_video(source, folder / "without.mp4", enhancer=enhancer)
    one, other = Probe(folder / "with.mp4"), Probe(folder / "without.mp4")
    assert (one.pts, one.packets, one.tags) == (other.pts, other.packets, other.tags)
    for index in range(len(one.frames)):
        gap = np.abs(one.rgb(index).astype(int) - other.rgb(index))
        assert gap.mean() < 2, f"frame {index} differs by {gap.mean():g} on average"
