"""What kind of picture some bytes are, and what their boxes and chunks say: no decoder sees them.

Names are not to be trusted: phones write JPEG into files that are called .heic.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from zerodce_rt.media.hdr import transfer_of
from zerodce_rt.media.heif import Heif, HeifError, boxes

# In this order: raw files look like TIFF in their first bytes. "+" is the version of BigTIFF.
_SIGNATURES = (
    ("JPEG", rb"\xff\xd8\xff"),
    ("PNG", rb"\x89PNG\r\n"),
    ("WebP", rb"RIFF....WEBP"),
    ("GIF", rb"GIF8[79]a"),
    ("BMP", rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
    ("JPEG XL", rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
    ("JPEG 2000", rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n"),
    # CR2; ORF; RW2; RAF; CRW; MRW; X3F; CR3
    (
        "raw",
        rb"II\*\0....CR|IIR[OS]|MMOR|IIU\0|FUJIFILMCCD-RAW|II....HEAPCCDR|\0MRM|FOVb|....ftypcrx ",
    ),
    ("TIFF", rb"II[*+]\0|MM\0[*+]"),
)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_DNG_VERSION = 50706
# Transfer characteristics of H.273.
_SDR_TRANSFERS = {1, 2, 6, 13, 14, 15}
# Its primaries: BT.709, not specified, and those of SDTV, which nearly are the same; Display P3.
_SRGB_PRIMARIES, _P3 = {1, 2, 5, 6}, 12


@dataclass(frozen=True)
class Colours:
    """Code points of H.273: what numbers in a file mean, besides an ICC profile."""

    primaries: int
    transfer: int

    @property
    def is_p3(self) -> bool:
        return self.primaries == _P3

    @property
    def unknown(self) -> str | None:
        """What cannot be kept: a few words, or None if all can."""
        if transfer_of(self.transfer) != "gamma":
            return f"HDR ({transfer_of(self.transfer).upper()})"
        if self.transfer not in _SDR_TRANSFERS or not (
            self.primaries in _SRGB_PRIMARIES or self.is_p3
        ):
            return f"colours of a rare kind (CICP {self.primaries}/{self.transfer})"
        return None


def kind_of(data: bytes) -> str | None:
    """The kind of a picture by its content, such as ``"JPEG"`` or ``"raw"``; None for others.

    A raw file that is built as a TIFF is one only if it is a DNG; of others, the name decides.
    """
    for kind, signature in _SIGNATURES:
        if re.match(signature, data, re.DOTALL):
            return "raw" if kind == "TIFF" and _is_dng(data) else kind
    if data[4:8] == b"ftyp":
        brands = _brands(data)
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if brands & _HEIC_BRANDS:
            return "HEIC"
    return None


def is_avif_animation(data: bytes) -> bool:
    """Whether an AVIF is a sequence of frames."""
    return data[8:12] == b"avis"


def header_size(data: bytes, kind: str) -> tuple[int, int] | None:
    """Width and height as the header of a BMP or JPEG 2000 says; None if it is cut short."""
    try:
        if kind == "BMP":
            (length,) = struct.unpack_from("<I", data, 14)
            width, height = struct.unpack_from("<HH" if length == 12 else "<ii", data, 18)
            return abs(width), abs(height)
        start = data.find(b"\xff\x4f\xff\x51")
        right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
    except struct.error:
        return None
    return (right - left, bottom - top) if start >= 0 else None


def colours_of(data: bytes, kind: str) -> Colours | None:
    """The code points that an AVIF, HEIC or PNG carries; None if it says nothing."""
    if kind == "PNG":
        return _colours_of_png(data)
    if kind not in ("AVIF", "HEIC"):
        return None
    try:
        heif = Heif(data)
    except HeifError:  # the decoder will say so
        return None
    for name, value in heif.properties(heif.primary):
        if name == b"colr" and value[:4] == b"nclx" and len(value) >= 8:
            return Colours(*struct.unpack_from(">HH", value, 4))
    return None


def jp2_colours(data: bytes) -> tuple[int | None, bytes | None]:
    """Of a JPEG 2000: the number of its colour space and its ICC profile, where it has them."""
    for name, header in boxes(data):
        if name == b"jp2h":
            for inner, value in boxes(header):
                if inner == b"colr" and value[:1] == b"\x01" and len(value) >= 7:
                    return int.from_bytes(value[3:7], "big"), None
                if inner == b"colr" and value[:1] == b"\x02":
                    return None, value[3:]
    return None, None


def has_gain_map(data: bytes, kind: str) -> bool:
    """Whether an AVIF or HEIC holds a second picture that makes HDR of the first."""
    if kind not in ("AVIF", "HEIC"):
        return False
    try:
        meta = Heif(data).meta
    except HeifError:
        return False
    return b"tmap" in meta or b"hdrgainmap" in meta


def _brands(data: bytes) -> set[bytes]:
    end = min(int.from_bytes(data[:4], "big"), 256)
    return {data[8:12]} | {data[at : at + 4] for at in range(16, end, 4)}


def _is_dng(data: bytes) -> bool:
    """Whether the first directory of a TIFF has the tag that makes it a DNG."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        (offset,) = struct.unpack_from(order + "I", data, 4)
        (entries,) = struct.unpack_from(order + "H", data, offset)
        return any(
            struct.unpack_from(order + "H", data, offset + 2 + 12 * n)[0] == _DNG_VERSION
            for n in range(entries)
        )
    except struct.error:
        return False


def _colours_of_png(data: bytes) -> Colours | None:
    at = 8
    while at + 12 <= len(data):
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if name == b"cICP" and length >= 2:
            return Colours(data[at + 8], data[at + 9])
        if name == b"IDAT":
            break
        at += 12 + length
    return None
