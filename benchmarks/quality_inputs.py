"""Well-lit clips, darkened and coded as cameras and video chats do, for ``quality.py``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from quality_scores import Planes, Truth

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.frame import FORMATS, LUMA_WEIGHTS, Colour, plane_shapes
from zerodce_rt.media.frames import convert, wrap

Frames = list[av.VideoFrame]
Floats = NDArray[np.float32]

RATE = 30
MATRIX, SWSCALE_MATRIX = "bt601", 5
# Fewer frames are no video.
LEAST_FRAMES = 8
# Variance of the noise of linear light in [0, 1], by the light: photons, and the sensor's read-out.
SHOT, READ = 1.5e-4, 8e-6
LAMP_STOPS = 1.5
# A hand-held camera: share of the picture left as a margin, and pixels by which the speed changes.
PAN_MARGIN, PAN_SHAKE = 0.08, 0.5


@dataclass(frozen=True)
class Input:
    """How dark a clip gets, and how it is coded.

    Attributes:
        stops: of exposure taken away.
        noise: variance, in that of a good sensor.
        options: of libx264; None: JPEG images of quality ``jpeg``, 4:2:2, as webcams send.
        size: width and height that the clip is made to fit into.
    """

    stops: float = 4.0
    noise: float = 1.0
    options: dict[str, str] | None = None
    jpeg: int = 70
    size: tuple[int, int] = (960, 540)


_GOOD = {"preset": "veryfast", "crf": "20"}
_CALL = {"preset": "ultrafast", "tune": "zerolatency", "crf": "28"}
INPUTS = {
    "x264": Input(options=_GOOD),
    "x264-fast": Input(options=_CALL, noise=4, size=(640, 480)),
    "mjpeg": Input(noise=4, size=(640, 480)),
    "pan": Input(options=_GOOD),
    "lamp": Input(options=_GOOD, stops=3.5),
    "cut": Input(options=_GOOD),
}


def find_clips(folder: Path, names: Sequence[str] | None) -> list[Path]:
    """The clips of these names, or all files that FFmpeg's names for video files end like."""
    suffixes = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v"}
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes)
    if names:
        paths = [folder / name for name in names]
    if not paths:
        raise ZeroDCEError(f"{folder}: has no video files")
    return paths


def read_clip(path: Path, count: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The first frames ``(N, H, W, 3)`` in RGB; sides are even, and at most those of ``size``."""
    pictures: list[NDArray[np.uint8]] = []
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            if len(pictures) == count:
                break
            picture: Any = convert(frame, FORMATS["rgb24"]).to_ndarray()
            shrink = min(1.0, size[0] / frame.width, size[1] / frame.height)
            width, height = (int(side * shrink) // 2 * 2 for side in (frame.width, frame.height))
            if shrink < 1:
                picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
            pictures.append(picture[:height, :width].astype(np.uint8))
    if len(pictures) < LEAST_FRAMES:
        raise ZeroDCEError(f"{path}: has {len(pictures)} frames; {LEAST_FRAMES} are needed")
    return np.stack(pictures)


def scene(name: str, clips: Sequence[Path], index: int, count: int) -> NDArray[np.uint8]:
    """The well-lit frames of an input, ``(N, H, W, 3)`` in RGB."""
    size = INPUTS[name].size
    first = read_clip(clips[index], count, size)
    if name == "pan":
        return panned(first)
    if name == "lamp":
        return lamp(first)
    if name == "cut":
        half = len(first) // 2
        if len(clips) == 1:
            return np.concatenate([first[:half], first[half:, ::-1, ::-1]])
        other = read_clip(clips[(index + 1) % len(clips)], half, size)
        shape = first.shape[2], first.shape[1]
        return np.concatenate([first[:half], [cv2.resize(p, shape) for p in other]])
    return first


def panned(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As by a hand-held camera: a cut-out that walks at random, by fractions of pixels."""
    random = np.random.default_rng(1)
    rows, columns = pictures.shape[1:3]
    margin = PAN_MARGIN * min(rows, columns)
    width, height = (int(side - 2 * margin) // 2 * 2 for side in (columns, rows))
    place, speed = np.zeros(2), np.zeros(2)
    shown = []
    for picture in pictures:
        speed = 0.9 * speed + PAN_SHAKE * random.standard_normal(2) - 0.02 * place
        place = np.clip(place + speed, -margin, margin)
        x, y = place + margin
        shift = np.array([[1, 0, -x], [0, 1, -y]])
        shown.append(cv2.warpAffine(picture, shift, (width, height), flags=cv2.INTER_CUBIC))
    return np.stack(shown).astype(np.uint8)


def lamp(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """In the first half, a part with a soft edge is darker: its lamp is not on yet."""
    rows, columns = pictures.shape[1:3]
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    light = np.exp(-4 * ((x + 0.5) ** 2 + (y + 0.2) ** 2)).astype(np.float32)
    exposure = np.exp2(-LAMP_STOPS * np.minimum(1, 1.5 * light))[..., None]
    before = [to_codes(TO_LINEAR[p] * exposure) for p in pictures[: len(pictures) // 2]]
    return np.stack([*before, *pictures[len(before) :]])


TO_LINEAR = np.array(
    [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in np.arange(256) / 255],
    np.float32,
)
"""Linear light of the codes of sRGB (IEC 61966-2-1)."""


def to_gamma(linear: Floats) -> Floats:
    """Linear light in [0, 1] as sRGB in [0, 1]."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def to_codes(linear: Floats) -> NDArray[np.uint8]:
    """Linear light in [0, 1] as 8-bit sRGB."""
    return np.rint(255 * to_gamma(linear)).astype(np.uint8)


def darkened(pictures: NDArray[np.uint8], how: Input) -> Iterator[Floats]:
    """Gamma-encoded RGB in [0, 1] of a sensor with little light; the noise is always the same."""
    random = np.random.default_rng(0)
    for picture in pictures:
        light = TO_LINEAR[picture] * np.float32(2**-how.stops)
        sigma = np.sqrt(how.noise * (SHOT * light + READ))
        light += sigma * random.standard_normal(light.shape, np.float32)
        yield to_gamma(np.clip(light, 0, 1))


def yuv(
    picture: Floats, colour: Colour, chroma_shift: tuple[int, int] = (1, 1)
) -> list[NDArray[np.uint8]]:
    """The planes of 8 bits of gamma-encoded RGB in [0, 1], of sides that chroma's shift divides."""
    red, blue = LUMA_WEIGHTS[colour.matrix]
    black, span, grey, chroma_span = colour.levels(8)
    luma = picture @ np.array([red, 1 - red - blue, blue], np.float32)
    size = luma.shape[1] >> chroma_shift[0], luma.shape[0] >> chroma_shift[1]
    planes = [black + span * luma]
    for channel, weight in ((2, blue), (0, red)):
        chroma = (picture[..., channel] - luma) / (2 * (1 - weight))
        planes.append(grey + chroma_span * cv2.resize(chroma, size, interpolation=cv2.INTER_AREA))
    return [np.clip(np.rint(p), 0, 255).astype(np.uint8) for p in planes]


def to_frame(picture: Floats, index: int) -> av.VideoFrame:
    """A frame of yuv420p, tagged, at its time."""
    frame = av.VideoFrame(picture.shape[1], picture.shape[0], "yuv420p")
    frame.colorspace, frame.color_range = SWSCALE_MATRIX, 1
    frame.pts, frame.time_base = index, Fraction(1, RATE)
    fill(frame, yuv(picture, Colour(MATRIX)))
    return frame


def fill(frame: av.VideoFrame, planes: Iterable[NDArray[np.uint8]]) -> None:
    """Copy planes into a frame's memory."""
    for target, plane in zip(wrap(frame).planes, planes, strict=True):
        target[:, : plane.shape[1]] = plane


def coded(pictures: Iterator[Floats], how: Input) -> Frames:
    """Encode gamma-encoded RGB in [0, 1], and decode it again."""
    packets: list[av.Packet] = []
    if how.options is None:
        decoder = av.CodecContext.create("mjpeg", "r")
        settings = [
            cv2.IMWRITE_JPEG_QUALITY, how.jpeg,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
        ]  # fmt: skip
        for picture in pictures:
            bgr = np.rint(255 * picture[..., ::-1]).astype(np.uint8)
            packets.append(av.Packet(cv2.imencode(".jpg", bgr, settings)[1].tobytes()))
    else:
        decoder = av.CodecContext.create("h264", "r")
        encoder: Any = av.CodecContext.create("libx264", "w")
        encoder.options, encoder.pix_fmt = how.options, "yuv420p"
        encoder.time_base, encoder.framerate = Fraction(1, RATE), Fraction(RATE)
        encoder.colorspace, encoder.color_range = SWSCALE_MATRIX, 1
        for index, picture in enumerate(pictures):
            if index == 0:
                encoder.height, encoder.width = picture.shape[:2]
            packets += encoder.encode(to_frame(picture, index))
        packets += encoder.encode(None)
    frames: Any = [f for packet in [*packets, None] for f in decoder.decode(packet)]
    for index, frame in enumerate(frames):
        frame.pts, frame.time_base = index, Fraction(1, RATE)
    return list(frames)


def samples(frames: Iterable[av.VideoFrame]) -> Planes:
    """The samples of planar 8-bit frames."""
    luma, chroma = [], []
    for frame in map(wrap, frames):
        shapes = plane_shapes(frame.format, frame.width, frame.height)
        own = [p[:, :width] for p, (_, width) in zip(frame.planes, shapes, strict=True)]
        luma.append(own[0])
        chroma.append(np.stack(own[1:]))
    return Planes(np.stack(luma), np.stack(chroma))


def truth_of(name: str, pictures: NDArray[np.uint8]) -> Truth:
    """What the scores of an input compare with."""
    planes = [yuv(p.astype(np.float32) / 255, Colour(MATRIX, True)) for p in pictures]
    starts = (0, len(pictures) // 2) if name in ("lamp", "cut") else (0,)
    luma, chroma = np.stack([p[0] for p in planes]), np.stack([np.stack(p[1:]) for p in planes])
    return Truth(Planes(luma, chroma), starts)
