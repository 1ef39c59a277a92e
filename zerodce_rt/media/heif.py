"""HEIF files: which items are in them, and the pictures of phones (HEIC), decoded by FFmpeg.

libvips' wheel has no decoder for HEVC; FFmpeg has one, but does not put tiles together.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from zerodce_rt.media.hdr import transfer_of

# Shares of red and blue in luma by matrix coefficients of H.273; 2 is not specified.
_SHARES = {
    1: (0.2126, 0.0722), 2: (0.299, 0.114), 5: (0.299, 0.114), 6: (0.299, 0.114),
    9: (0.2627, 0.0593),
}  # fmt: skip


class HeifError(ValueError):
    """What is wrong with a file, in a few words."""


@dataclass(frozen=True)
class Grid:
    """A picture that is put together from tiles, row by row."""

    columns: int
    width: int
    height: int
    tiles: list[int]


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the boxes of an ISO file; ends where they make no sense."""
    at = 0
    while at + 8 <= len(data):
        length, start = int.from_bytes(data[at : at + 4], "big"), at + 8
        if length == 1:
            length, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        end = at + length if length else len(data)
        if end < start:
            return
        yield data[at + 4 : at + 8], data[start:end]
        at = end


class Heif:
    """The items of a HEIF file, by their numbers.

    Raises:
        HeifError: its tables make no sense or are cut short.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.meta = next((value[4:] for name, value in boxes(data) if name == b"meta"), b"")
        tables = dict(boxes(self.meta))
        inner = dict(boxes(tables.get(b"iprp", b"")))
        self._idat = tables.get(b"idat", b"")
        self._properties = list(boxes(inner.get(b"ipco", b"")))
        try:
            start = tables[b"pitm"]
            (self.primary,) = struct.unpack_from(">I" if start[0] else ">H", start, 4)
            self._links = _associations(inner[b"ipma"])
            self.kinds = _kinds(tables[b"iinf"])
            self._places = _places(tables[b"iloc"])
            self._references = _references(tables.get(b"iref", bytes(4)))
        except (KeyError, IndexError, struct.error) as error:
            raise HeifError("its tables make no sense") from error

    def properties(self, item: int) -> list[tuple[bytes, bytes]]:
        """Of an item, in the order in which they are applied."""
        numbers = self._links.get(item, [])
        return [self._properties[n - 1] for n in numbers if 0 < n <= len(self._properties)]

    def value_of(self, item: int, name: bytes) -> bytes | None:
        """The first of a name."""
        return next((value for n, value in self.properties(item) if n == name), None)

    def sources(self, item: int, relation: bytes) -> list[int]:
        """The items that an item points to."""
        return [to for kind, start, to in self._references if (kind, start) == (relation, item)]

    def about(self, item: int, relation: bytes) -> list[int]:
        """The items that point to an item."""
        return [start for kind, start, to in self._references if (kind, to) == (relation, item)]

    def content(self, item: int) -> bytes:
        """The bytes of an item."""
        in_idat, parts = self._places.get(item, (False, []))
        whole, found = self._idat if in_idat else self._data, b""
        for offset, length in parts:
            part = whole[offset : offset + length] if length else whole[offset:]
            if len(part) < length:
                raise HeifError("it ends too early")
            found += part
            if len(found) > len(self._data):  # one part may be named many times
                raise HeifError("an item is larger than the file")
        return found

    def metadata(self) -> tuple[bytes, bytes]:
        """The EXIF block of the main picture (a TIFF) and its XMP; empty where it has none."""
        exif = xmp = b""
        for item in self.about(self.primary, b"cdsc"):
            kind, data = self.kinds.get(item), self.content(item)
            if kind == b"Exif":
                exif = data[4 + int.from_bytes(data[:4], "big") :]
            elif kind == b"mime" and b"xmpmeta" in data:
                xmp = data
        return exif, xmp

    @property
    def has_alpha(self) -> bool:
        """Whether a picture of its transparency goes with the main picture."""
        items = self.about(self.primary, b"auxl")
        return any(
            b"alpha" in (self.value_of(item, b"auxC") or b"")
            or b"hevc:2015:auxid:1" in (self.value_of(item, b"auxC") or b"")
            for item in items
        )

    @property
    def profile(self) -> bytes | None:
        """The ICC profile of the main picture."""
        colours = [v for name, v in self.properties(self.primary) if name == b"colr"]
        return next((v[4:] for v in colours if v[:4] in (b"prof", b"rICC")), None)

    def grid(self, item: int) -> Grid:
        """How an item of the kind ``grid`` is put together."""
        data = self.content(item)
        try:
            rows, columns = data[2] + 1, data[3] + 1
            width, height = struct.unpack_from(">II" if data[1] & 1 else ">HH", data, 4)
        except (IndexError, struct.error) as error:
            raise HeifError("its grid of tiles is cut short") from error
        tiles = self.sources(item, b"dimg")
        if len(tiles) != rows * columns:
            raise HeifError(f"it has {len(tiles)} of {rows * columns} tiles")
        return Grid(columns, width, height, tiles)

    def size(self) -> tuple[int, int]:
        """Width and height of the main picture as it is stored."""
        if self.kinds.get(self.primary) == b"grid":
            grid = self.grid(self.primary)
            return grid.width, grid.height
        return self.tile_size(self.primary)

    def decoded_size(self) -> tuple[int, int]:
        """The same of all that has to be decoded: tiles may reach beyond the picture."""
        if self.kinds.get(self.primary) != b"grid":
            return self.size()
        grid = self.grid(self.primary)
        width, height = self.tile_size(grid.tiles[0])
        return grid.columns * width, len(grid.tiles) // grid.columns * height

    def tile_size(self, item: int) -> tuple[int, int]:
        """Width and height of an item."""
        extent = self.value_of(item, b"ispe")
        if extent is None or len(extent) < 12:
            raise HeifError("it does not say how large it is")
        width, height = struct.unpack_from(">II", extent, 4)
        return width, height


def read_heic(heif: Heif) -> tuple[NDArray[Any], int | None]:
    """Decode the main picture of a HEIC, and turn it upright.

    Returns:
        ``(H, W, 3)`` uint8, or uint16 that fills all 16 bits; and how many bits it had, if more
        than 8.

    Raises:
        HeifError: it is damaged, or built in a way that is not read.
    """
    item = heif.primary
    is_grid = heif.kinds.get(item) == b"grid"
    grid = heif.grid(item) if is_grid else Grid(1, *heif.size(), [item])
    width, height = heif.tile_size(grid.tiles[0])
    rows = len(grid.tiles) // grid.columns
    # Few bytes can announce many tiles.
    if (grid.columns - 1) * width >= grid.width or (rows - 1) * height >= grid.height:
        raise HeifError("it has tiles outside the picture")
    if grid.columns * width < grid.width or rows * height < grid.height:
        raise HeifError("its tiles do not cover it")
    frames = _decoded(heif, grid.tiles, width, height)
    first = frames[0]
    if transfer_of(int(first.color_trc)) != "gamma":
        raise HeifError("it is HDR, which only videos can keep")
    shares, full = _coding(heif, item, first)
    bits = first.format.components[0].bits
    rgb = np.empty((grid.height, grid.width, 3), np.uint16 if bits > 8 else np.uint8)
    for index, frame in enumerate(frames):
        row, column = divmod(index, grid.columns)
        y, x = row * height, column * width
        tile = _rgb(frame, shares, full=full)
        part = rgb[y : y + tile.shape[0], x : x + tile.shape[1]]
        part[:] = tile[: part.shape[0], : part.shape[1]]
    return _upright(heif, item, rgb), bits if bits > 8 else None


def _decoded(heif: Heif, items: list[int], width: int, height: int) -> list[av.VideoFrame]:
    """Frames of one size and format."""
    if any(heif.kinds.get(item) != b"hvc1" for item in items):
        raise HeifError("its codec is not HEVC")
    settings = heif.value_of(items[0], b"hvcC")
    if settings is None or any(heif.value_of(item, b"hvcC") != settings for item in items):
        raise HeifError("its tiles are encoded in different ways")
    decoder: Any = av.CodecContext.create("hevc", "r")
    decoder.extradata = settings
    decoder.options = {
        "err_detect": "explode",
        "max_pixels": str(min((width + 256) * (height + 256), 2**31 - 1)),
    }
    frames: list[av.VideoFrame] = []
    try:
        for item in [*items, None]:
            packet = None if item is None else av.Packet(heif.content(item))
            frames += decoder.decode(packet)
            if any((f.width, f.height) != (width, height) for f in frames[-1:]):
                raise HeifError("a tile has another size than the header says")
    except av.FFmpegError as error:
        raise HeifError(error.strerror or str(error)) from error
    if len(frames) != len(items):
        raise HeifError(f"{len(frames)} of its {len(items)} tiles can be decoded")
    if len({frame.format.name for frame in frames}) > 1:
        raise HeifError("its tiles have different formats")
    return frames


def _coding(heif: Heif, item: int, frame: av.VideoFrame) -> tuple[tuple[float, float], bool]:
    """The shares of red and blue in luma, and whether the range is full."""
    matrix, full = int(frame.colorspace), int(frame.color_range) == int(ColorRange.JPEG)
    for name, value in heif.properties(item):
        if name == b"colr" and value[:4] == b"nclx" and len(value) >= 11:
            (matrix,) = struct.unpack_from(">H", value, 8)
            full = bool(value[10] & 0x80)
    if matrix not in _SHARES or not frame.format.name.startswith(("yuv", "gray")):
        raise HeifError("its colours are encoded in a rare way")
    return _SHARES[matrix], full


def _rgb(frame: av.VideoFrame, shares: tuple[float, float], *, full: bool) -> NDArray[Any]:
    """Exact, unlike FFmpeg's scaler, which makes dark pictures darker by up to one level."""
    bits = frame.format.components[0].bits
    step = 1 << (bits - 8)
    black, white, swing = (0, 256 * step - 1, 256 * step - 1) if full else (
        16 * step, 235 * step, 224 * step
    )  # fmt: skip
    planes = [_samples(plane, frame, bits) for plane in frame.planes]
    luma = (planes[0] - black) / (white - black)
    rgb = np.repeat(luma[..., None], 3, axis=2)
    if len(planes) > 1:
        red, blue = shares
        b, r = ((plane - 128 * step) / swing for plane in planes[1:3])
        rgb[..., 0] += 2 * (1 - red) * r
        rgb[..., 2] += 2 * (1 - blue) * b
        green = 1 - red - blue
        rgb[..., 1] -= (2 * red * (1 - red) * r + 2 * blue * (1 - blue) * b) / green
    most = 65535 if bits > 8 else 255
    scaled = np.clip(rgb, 0, 1) * most + 0.5
    return scaled.astype(np.uint16 if bits > 8 else np.uint8)


def _samples(plane: Any, frame: av.VideoFrame, bits: int) -> NDArray[np.float32]:
    """A plane, with each sample of colour repeated to the size of luma."""
    kind = np.dtype("<u2" if bits > 8 else "u1")
    rows = np.frombuffer(plane, kind).reshape(-1, plane.line_size // kind.itemsize)
    samples = rows[: plane.height, : plane.width].astype(np.float32)
    for axis, size in ((0, frame.height), (1, frame.width)):
        if samples.shape[axis] < size:
            samples = np.repeat(samples, 2, axis=axis).take(range(size), axis=axis)
    return samples


def _upright(heif: Heif, item: int, rgb: NDArray[Any]) -> NDArray[Any]:
    """Apply the turns and mirrors that a file asks for, in their order."""
    for name, value in heif.properties(item):
        if name == b"irot" and value:
            rgb = np.rot90(rgb, value[0] & 3)  # to the left, as the file means it
        elif name == b"imir" and value:
            rgb = rgb[:, ::-1] if value[0] & 1 else rgb[::-1]
        elif name == b"clap":
            raise HeifError("it is cropped by its header")
    return np.ascontiguousarray(rgb)


def _associations(links: bytes) -> dict[int, list[int]]:
    """Of each item in a box ``ipma``, the numbers of its properties, from 1."""
    long_ids, long_numbers = links[0] > 0, links[3] & 1
    (count,) = struct.unpack_from(">I", links, 4)
    at, found = 8, dict[int, list[int]]()
    for _ in range(count):
        (item,) = struct.unpack_from(">I" if long_ids else ">H", links, at)
        at += 4 if long_ids else 2
        number, at = links[at], at + 1
        kind, size, mask = (">H", 2, 0x7FFF) if long_numbers else (">B", 1, 0x7F)
        found[item] = [
            struct.unpack_from(kind, links, at + size * n)[0] & mask for n in range(number)
        ]
        at += size * number
    return found


def _kinds(table: bytes) -> dict[int, bytes]:
    """The kinds of the items in a box ``iinf``."""
    found = {}
    for name, entry in boxes(table[8 if table[0] else 6 :]):
        if name == b"infe" and entry[0] >= 2:
            long = entry[0] > 2
            (item,) = struct.unpack_from(">I" if long else ">H", entry, 4)
            start = 10 if long else 8
            found[item] = entry[start : start + 4]
    return found


def _places(table: bytes) -> dict[int, tuple[bool, list[tuple[int, int]]]]:
    """Of each item in a box ``iloc``: whether in ``idat``, and its parts (offset, length)."""
    version = table[0]
    offset_size, length_size = table[4] >> 4, table[4] & 15
    base_size, index_size = table[5] >> 4, table[5] & 15 if version else 0
    at = 6

    def number(size: int) -> int:
        nonlocal at
        if at + size > len(table):
            raise IndexError
        at += size
        return int.from_bytes(table[at - size : at], "big")

    found = {}
    for _ in range(number(4 if version > 1 else 2)):
        item = number(4 if version > 1 else 2)
        method = number(2) & 15 if version else 0
        number(2)  # another file, if it is not 0
        base = number(base_size)
        parts = []
        for _ in range(number(2)):
            number(index_size)
            offset = base + number(offset_size)
            parts.append((offset, number(length_size)))
        if method < 2:
            found[item] = (method == 1, parts)
    return found


def _references(table: bytes) -> list[tuple[bytes, int, int]]:
    """Of a box ``iref``: kind, item that points, item that it points to."""
    kind = ">I" if table[0] else ">H"
    size = struct.calcsize(kind)
    found = []
    for name, entry in boxes(table[4:]):
        (item,) = struct.unpack_from(kind, entry, 0)
        (count,) = struct.unpack_from(">H", entry, size)
        for n in range(count):
            (to,) = struct.unpack_from(kind, entry, size + 2 + n * size)
            found.append((name, item, to))
    return found
