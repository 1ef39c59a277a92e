"""Whole files to damage, made on the spot: each is made once in a process, when it is needed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np

from tests.fuzz.clips import CLIPS, Clip, made
from tests.support.dng import dng
from tests.support.heif import heic
from tests.support.media import dark_scene
from zerodce_rt.backends.tensorrt.engines import EngineKey
from zerodce_rt.media import vips
from zerodce_rt.network.checkpoint import BUNDLED

ENGINE = b"an engine, as far as the cache is concerned" * 8
ENGINE_FILES = ("tensorrt.json", "tensorrt.engine")
ENGINE_KEY = EngineKey(
    backend="tensorrt-rtx", model="plus", weights="ab" * 32, height=36, width=64, target="sm89",
    versions={"tensorrt_rtx": "1.6.0"},
)  # fmt: skip
"""What the engine of the manifests was built for."""

NEIGHBOUR = "neighbour.mkv"
"""A video that the playlists name, and that lies beside them."""

PLAYLIST_SUFFIX = ".m3u8"
"""Of the only files that may make other files be read."""


@dataclass(frozen=True)
class Seed:
    """A whole file.

    Attributes:
        name: of the file; the suffix counts.
        data: its content.
    """

    name: str
    data: bytes


Maker = Callable[[], bytes]


def libvips() -> Any:
    """``pyvips`` as the program sets it up: what imports it first decides what it prints."""
    return vips.library()


@cache
def seed(kind: str, index: int) -> Seed:
    """One of the files of a kind of ``KINDS``."""
    name, make = _MAKERS[kind][index]
    return Seed(name, make())


def count(kind: str) -> int:
    """How many files of a kind there are."""
    return len(_MAKERS[kind])


def named(kind: str, name: str) -> Seed:
    """The file of a kind that has a name."""
    return seed(kind, [n for n, _ in _MAKERS[kind]].index(name))


def _clips() -> list[tuple[str, Maker]]:
    def maker(clip: Clip) -> Maker:
        return lambda: made(clip)

    return [(clip.name, maker(clip)) for clip in CLIPS]


def _picture(suffix: str, *, bits: int = 8, bands: int = 3, **options: Any) -> Maker:
    """A picture of a dark scene; ``exif`` adds a camera's tags, the rest goes to libvips."""

    def make() -> bytes:
        vips = libvips()
        samples = dark_scene(0, 64, 48)
        if bands < 3:
            samples = samples[..., :1]
        if bands % 2 == 0:
            alpha = np.full((*samples.shape[:2], 1), 200, np.uint8)
            samples = np.concatenate([samples, alpha], axis=2)
        scaled = samples.astype(np.uint16) * 257 if bits == 16 else samples
        space = {(1, 8): "b-w", (1, 16): "grey16", (3, 8): "srgb", (3, 16): "rgb16"}
        colours = 1 if bands < 3 else 3
        image = vips.Image.new_from_array(
            np.ascontiguousarray(scaled), interpretation=space[colours, bits]
        )
        settings = dict(options)
        if settings.pop("cmyk", False):
            image = image.colourspace("cmyk")
        if settings.pop("exif", False):
            image = image.copy()
            image.set_type(vips.GValue.gstr_type, "exif-ifd0-Make", "Camera")
            image.set_type(vips.GValue.gint_type, "orientation", 6)
        if pages := settings.pop("pages", 0):
            image = vips.Image.arrayjoin([image] * pages, across=1).copy()
            image.set_type(vips.GValue.gint_type, "page-height", 48)
        return bytes(image.write_to_buffer(suffix, **settings))

    return make


def _by_pillow(kind: str, *, frames: int = 1) -> Maker:
    """A picture of a kind that libvips does not write."""

    def make() -> bytes:
        from PIL import Image

        first, *more = [Image.fromarray(dark_scene(n, 64, 48)) for n in range(frames)]
        file = io.BytesIO()
        first.save(file, kind, **({"save_all": True, "append_images": more} if more else {}))
        return file.getvalue()

    return make


def _weights(model: str, *, legacy: bool | None = None, wrapped: bool = False) -> Maker:
    """One of our networks: as it is, or as PyTorch writes it now (a zip) or wrote it once."""

    def make() -> bytes:
        data = (BUNDLED / f"{model}.safetensors").read_bytes()
        if legacy is None:
            return data
        import torch  # it takes seconds, and only these need it
        from safetensors.torch import load

        state: Any = dict(sorted(load(data).items()))
        if wrapped:
            inside = {f"module.{name}": tensor for name, tensor in state.items()}
            state = {"epoch": 3, "loss": torch.tensor(0.25), "state_dict": inside}
        file = io.BytesIO()
        torch.save(state, file, _use_new_zipfile_serialization=not legacy)
        return file.getvalue()

    return make


def _engine_facts() -> bytes:
    facts = {
        "key": asdict(ENGINE_KEY), "sha256": sha256(ENGINE).hexdigest(),
        "built": "2026-01-31T12:00:00+0100", "seconds": 3.25,
    }  # fmt: skip
    return json.dumps(facts, indent=1).encode() + b"\n"


def _playlist(text: str) -> Maker:
    return lambda: text.encode()


_HLS = (
    "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.267,\n"
    f"{NEIGHBOUR}\n#EXT-X-ENDLIST\n"
)
_CONCAT = f"ffconcat version 1.0\nfile {NEIGHBOUR}\nduration 0.267\nfile {NEIGHBOUR}\n"
_SUBTITLES = "1\n00:00:00,050 --> 00:00:00,150\nhello dark\n\n"
_DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
    f"<BaseURL>{NEIGHBOUR}</BaseURL></Representation></AdaptationSet></Period></MPD>\n"
)
_SESSION = (
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
)

_MAKERS: dict[str, list[tuple[str, Maker]]] = {
    "video": _clips(),
    "picture": [
        ("photo.jpg", _picture(".jpg", exif=True)),
        ("grey.jpg", _picture(".jpg", bands=1)),
        ("ink.jpg", _picture(".jpg", cmyk=True, keep="none")),
        ("waves.jpeg", _picture(".jpg", interlace=True, profile="srgb")),
        ("plain.png", _picture(".png")),
        ("alpha.png", _picture(".png", bands=4, exif=True)),
        ("deep.png", _picture(".png", bits=16)),
        ("grey16.png", _picture(".png", bits=16, bands=2)),
        ("palette.png", _picture(".png", palette=True)),
        ("interlaced.png", _picture(".png", interlace=True, profile="srgb")),
        ("plain.tif", _picture(".tif")),
        ("lzw.tif", _picture(".tif", compression="lzw", bits=16)),
        ("tiles.tif", _picture(".tif", tile=True, tile_width=16, tile_height=16)),
        ("deflate.tiff", _picture(".tif", compression="deflate", predictor="horizontal", bands=4)),
        ("jpeg.tiff", _picture(".tif", compression="jpeg")),
        ("big.tiff", _picture(".tif", bigtiff=True, bands=1, bits=16)),
        ("bilevel.tiff", _picture(".tif", bitdepth=1, bands=1)),
        ("photo.webp", _picture(".webp", exif=True)),
        ("alpha.webp", _picture(".webp", lossless=True, bands=4)),
        ("animation.webp", _picture(".webp", pages=3)),
        ("photo.avif", _picture(".avif", exif=True)),
        ("deep.avif", _picture(".avif", bits=16, bitdepth=10)),
        ("plain.bmp", _by_pillow("BMP")),
        ("animation.gif", _by_pillow("GIF", frames=3)),
        ("plain.jp2", _by_pillow("JPEG2000")),
        ("IMG_1.HEIC", lambda: heic("yuv420p")),
        ("negative.dng", dng),
    ],
    "weights": [
        ("light.safetensors", _weights("light")),
        ("plus.safetensors", _weights("plus")),
        ("dcenet.safetensors", _weights("dcenet")),
        ("plus.pth", _weights("plus", legacy=False)),
        ("old.pth", _weights("plus", legacy=True)),
        ("dcenet.pt", _weights("dcenet", legacy=False)),
        ("wrapped.pth", _weights("plus", legacy=False, wrapped=True)),
        ("wrapped.tar", _weights("plus", legacy=True, wrapped=True)),
    ],
    "manifest": [
        ("tensorrt.json", _engine_facts),
        ("tensorrt.engine", lambda: ENGINE),
        ("hls.mp4", _playlist(_HLS)),
        ("hls.m3u8", _playlist(_HLS)),
        ("concat.mp4", _playlist(_CONCAT)),
        ("concat.mkv", _playlist(_CONCAT)),
        ("dash.mp4", _playlist(_DASH)),
        ("session.mp4", _playlist(_SESSION)),
        ("subtitles.mp4", _playlist(_SUBTITLES)),
    ],
}

KINDS = tuple(_MAKERS)
"""What is damaged: videos, pictures, weights, and the small text files that are read."""
