"""Video encoders: which one to use, with which quality, speed and picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import av

from zerodce_rt.errors import check_numbers
from zerodce_rt.media.frames import samples_of
from zerodce_rt.media.hdr import LightLevels
from zerodce_rt.names import AUDIO_CHOICES, CODECS

NVENC = {"libx264": "h264_nvenc", "libx265": "hevc_nvenc", "libsvtav1": "av1_nvenc"}
"""NVENC's encoder for the codec of each of these encoders on the CPU."""

X26X_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower",
    "veryslow", "placebo",
)  # fmt: skip
"""Speed presets of the H.264 and HEVC encoders on the CPU."""

# Visually lossless for most content, and still fast.
_DEFAULT_CRF = {
    "libx264": 18, "libx265": 20, "libsvtav1": 28, "libvpx-vp9": 24,
    "h264_nvenc": 19, "hevc_nvenc": 21, "av1_nvenc": 28,
}  # fmt: skip
# The others end at 63.
_LAST_CRF = dict.fromkeys(("libx264", "libx265", "h264_nvenc", "hevc_nvenc", "av1_nvenc"), 51)
_DEFAULT_PRESET = {
    "libx264": "veryfast", "libx265": "veryfast", "libsvtav1": "8",
    "h264_nvenc": "p5", "hevc_nvenc": "p5", "av1_nvenc": "p5",
}  # fmt: skip
_X265_OPTIONS = {"x265-params": "log-level=error", "a53cc": "1"}
_VPX_OPTIONS = {"deadline": "good", "cpu-used": "5", "row-mt": "1", "b": "0"}

KEEP_LIGHT_LEVELS: dict[str, tuple[str, Callable[[LightLevels], str]]] = {
    "libx265": ("x265-params", LightLevels.x265_params),
    "libsvtav1": ("svtav1-params", LightLevels.svtav1_params),
}
"""Encoders that can be told the static metadata of HDR10: by which option, and how."""

KEEP_CAPTIONS = frozenset({"libx264", "libx265", "mpeg2video", "h264_nvenc", "hevc_nvenc"})
"""Encoders that store the closed captions which are inside frames."""


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """How a new video is encoded.

    Attributes:
        codec: ``"h264"``, ``"h265"`` (or ``"hevc"``), ``"av1"``, ``"vp9"``, or the name of an
            FFmpeg encoder such as ``"libx264"``. Default: H.264 for 8 bits and HEVC for more, in
            .webm VP9 for 8 bits and AV1 for more.
        crf: constant quality in the encoder's own scale, 0 (best) to 63; H.264 and HEVC end at
            51. Default: 18 for H.264, 20 for HEVC, 28 for AV1, 24 for VP9.
        preset: speed of the encoder. H.264 and HEVC: ``"ultrafast"`` to ``"placebo"``, default
            ``"veryfast"``; AV1: ``"0"`` (slowest) to ``"13"``, default ``"8"``.
        audio: ``"copy"``, ``"opus"`` or ``"aac"`` (encoded again), or ``"none"``. Default: copied,
            and encoded again only if the container cannot hold it.
        gpu: encode with NVENC on an NVIDIA GPU if it can encode such frames. NVENC has presets
            of its own and refuses those above, so leave ``preset`` out.

    Raises:
        ValueError: a codec that this FFmpeg cannot encode, or a value outside its range.
    """

    codec: str | None = None
    crf: float | None = None
    preset: str | None = None
    audio: str | None = None
    gpu: bool = False

    def __post_init__(self) -> None:
        check_numbers(crf=self.crf)
        self._check_crf(None if self.codec is None else CODECS.get(self.codec, self.codec))
        if self.codec is not None:
            find_encoder(self.codec)
        if self.audio is not None and self.audio not in AUDIO_CHOICES:
            valid = ", ".join(AUDIO_CHOICES)
            raise ValueError(f"`audio` must be one of {valid}, not {self.audio!r}")
        x26x = self.codec is None or CODECS.get(self.codec, self.codec) in ("libx264", "libx265")
        if self.preset is not None and x26x and self.preset not in X26X_PRESETS:
            valid = ", ".join(X26X_PRESETS)
            raise ValueError(f"`preset` must be one of {valid}, not {self.preset!r}")

    def encoder_for(self, suffix: str, bits: int, *, interlaced: bool = False) -> str:
        """Name of the FFmpeg encoder on the CPU.

        Args:
            suffix: of the output's name, which chooses the container, such as ``".mp4"``.
            bits: of a sample of the source.
            interlaced: the frames consist of fields, which HEVC's encoder does not code.
        """
        if self.codec:
            return CODECS.get(self.codec, self.codec)
        if suffix == ".webm":  # PyAV's VP9 encoder is built for 8 bits
            return "libvpx-vp9" if bits == 8 else "libsvtav1"
        return "libx264" if bits == 8 or interlaced else "libx265"

    def _check_crf(self, encoder: str | None) -> None:
        """Refuse a crf outside the range of an encoder; None: of those with the longest."""
        last = _LAST_CRF.get(encoder or "", 63)
        if self.crf is not None and not 0 <= self.crf <= last:
            whose = f" for {encoder}" if encoder in _LAST_CRF else ""
            raise ValueError(f"`crf` must be between 0 and {last}{whose}, not {self.crf:g}")

    def options(self, encoder: str, light: LightLevels | None = None) -> dict[str, str]:
        """What these settings are in an encoder's own options.

        Args:
            encoder: FFmpeg's name, such as ``"libx264"`` or ``"h264_nvenc"``.
            light: metadata of HDR video, for the encoders of ``KEEP_LIGHT_LEVELS``.
        """
        options = dict(_X265_OPTIONS) if encoder == "libx265" else {}
        if encoder.startswith("libvpx"):
            options |= _VPX_OPTIONS
        self._check_crf(encoder)
        crf = self.crf if self.crf is not None else _DEFAULT_CRF.get(encoder)
        preset = self.preset or _DEFAULT_PRESET.get(encoder)
        if encoder in NVENC.values():
            # The closest that NVENC has to constant quality.
            options |= {"rc": "vbr", "b": "0", "cq": f"{crf:g}"}
        elif crf is not None:
            options["crf"] = f"{crf:g}"
        if preset is not None:
            options["preset"] = preset
        if light is not None and encoder in KEEP_LIGHT_LEVELS:
            name, params = KEEP_LIGHT_LEVELS[encoder]
            options[name] = ":".join(filter(None, [options.get(name), params(light)]))
        return options


def find_encoder(name: str) -> av.Codec:
    """FFmpeg's encoder.

    Args:
        name: a key of ``names.CODECS``, or FFmpeg's own name.

    Raises:
        ValueError: if this FFmpeg has none of that name, or it does not encode video.
    """
    try:
        codec = av.Codec(CODECS.get(name, name), "w")
    except av.codec.codec.UnknownCodecError:
        codec = None
    if codec is None or codec.type != "video":
        valid = ", ".join(CODECS)
        raise ValueError(
            f"unknown video codec {name!r}; valid: {valid}, or the name of an FFmpeg encoder"
        ) from None
    return codec


def describe_picture(context: Any, frame: av.VideoFrame) -> None:
    """Set size, pixel format and colour tags of an encoder to those of a frame."""
    context.width, context.height = frame.width, frame.height
    context.pix_fmt = frame.format.name
    if (samples := samples_of(frame)).name != frame.format.name:  # on the GPU
        context.sw_format = samples.name
    context.color_range = int(frame.color_range)
    context.colorspace = int(frame.colorspace)
    context.color_primaries = int(frame.color_primaries)
    context.color_trc = int(frame.color_trc)
