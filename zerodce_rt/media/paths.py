"""What a file's name says about it, where its output goes, and what must not be overwritten.

Opens no files, so it needs neither PyAV nor libvips.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePath
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from zerodce_rt.errors import ZeroDCEError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".avif"})
"""Suffixes of the pictures that are read and written, in lower case."""

RAW_SUFFIXES = frozenset(
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .gpr .iiq .kdc .mef .mos .mrw .nef .nrw .orf "
    ".pef .raf .rw2 .rwl .sr2 .srf .srw .x3f".split()
)
"""Suffixes of cameras' raw files, which are read and not written, in lower case."""

_OTHER_OUTPUTS = {
    # Photos of phones, which are shown and sent on: every program opens .jpg.
    ".heic": ".jpg", ".heif": ".jpg", ".hif": ".jpg",
    # Without loss, as these are or may be.
    ".bmp": ".png", ".gif": ".png", ".jp2": ".png", ".j2k": ".png", ".jpx": ".png", ".jxl": ".png",
    # PNG holds 16 bits as TIFF does, and the EXIF tags, which libvips does not write to TIFF.
    **dict.fromkeys(RAW_SUFFIXES, ".png"),
}  # fmt: skip

MARK = "_enhanced"
"""What is added to names by default."""

NUMBER = re.compile(r"%(0\d+)?d")
"""Where the number is in the name of numbered pictures."""

PIPE = Path("-")
"""The name of standard input and output."""

READ_SUFFIXES = PICTURE_SUFFIXES | frozenset(_OTHER_OUTPUTS)
"""Suffixes of all pictures that are read or named as what they are, in lower case."""

VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .flv .ts .m2ts .mts .mpg .mpeg .wmv .3gp .ogv .vob".split()
)
"""Suffixes of the videos that are looked for in folders and can be written, in lower case."""

# Containers that keep timestamps exactly; outputs of files in others become Matroska.
MOV_SUFFIXES = frozenset({".mp4", ".m4v", ".mov"})
_FAITHFUL_SUFFIXES = frozenset(".mp4 .m4v .mov .mkv .webm .ts .m2ts .mts .flv".split())


class Named(Protocol):
    """A path of this machine, or of a storage."""

    @property
    def name(self) -> str: ...
    @property
    def stem(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    @property
    def parent(self: P) -> P: ...
    def is_file(self) -> bool: ...
    def with_name(self: P, name: str) -> P: ...
    def relative_to(self: P, folder: P, /) -> PurePath: ...
    def rglob(self: P, pattern: str, /) -> Iterator[P]: ...
    def __truediv__(self: P, other: PurePath | str, /) -> P: ...
    def __lt__(self: P, other: P, /) -> bool: ...


P = TypeVar("P", bound=Named)
Q = TypeVar("Q", bound=Named)


def is_picture(path: Named) -> bool:
    """Whether a file is a picture, by its name."""
    return path.suffix.lower() in READ_SUFFIXES and not is_sequence(path)


def is_still(source: Named, output: Named | None) -> bool:
    """Whether a file is a picture and remains one: an animated GIF may become a video."""
    return is_picture(source) and not (output is not None and is_video(output))


def is_sequence(path: Named) -> bool:
    """Whether a name stands for numbered pictures: ``%d`` or ``%04d`` in it, once.

    >>> is_sequence(Path("shots/frame_%04d.png")), is_sequence(Path("100%.png"))
    (True, False)
    """
    named = path.suffix.lower() in PICTURE_SUFFIXES and len(NUMBER.findall(path.name)) == 1
    return named and not path.is_file()


def is_video(path: Named) -> bool:
    """Whether a file is a video, by its name."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def check_output(
    source: Path | None, output: Path, suffixes: Collection[str], *, overwrite: bool
) -> None:
    """Refuse an output that cannot be written or would destroy a file, before any work is done.

    Args:
        source: the input; None if it is not a file.
        suffixes: those that the output's name may end in.

    Raises:
        ZeroDCEError: missing input, output equal to input, existing output, no such folder, or
            a name that ends in none of ``suffixes``.
    """
    if source is not None and not source.exists():
        raise ZeroDCEError(f"{source}: no such file")
    try:
        _check_place(source, output, overwrite=overwrite)
    except OSError as error:  # a name that is too long, a part of the path that is a file
        raise ZeroDCEError(
            f"{output}: cannot be written ({error.strerror}); choose another `output`"
        ) from error
    check_suffix(output, suffixes)


def check_suffix(output: Named, suffixes: Collection[str]) -> None:
    """Refuse an output whose name ends in none of these.

    Raises:
        ZeroDCEError: for such a one.
    """
    if output.suffix.lower() not in suffixes:
        valid = ", ".join(sorted(suffixes))
        raise ZeroDCEError(f"{output}: unknown kind of output; the name may end in {valid}")


def _check_place(source: Path | None, output: Path, *, overwrite: bool) -> None:
    if output.is_symlink() and not output.exists():
        raise ZeroDCEError(f"{output}: is a link that leads nowhere; choose another `output`")
    if output.exists():
        if output.is_dir():
            raise ZeroDCEError(f"{output}: is a folder; give a file name")
        if source is not None and os.path.samefile(source, output):
            raise ZeroDCEError(f"{output}: is the input itself; choose another `output`")
        if not overwrite:
            raise ZeroDCEError(f"{output}: exists already; use `overwrite=True` to replace it")
    if not output.parent.is_dir():
        raise ZeroDCEError(f"{output.parent}: no such folder")
    if not os.access(output.parent, os.W_OK):
        raise ZeroDCEError(f"{output.parent}: not writable; choose another `output`")


def default_output(source: P) -> P:
    """Where the output goes by default, of the same kind if that can be written.

    A container that cannot keep timestamps exactly becomes .mkv, a raw file .png.

    >>> default_output(Path("night.mp4")).name, default_output(Path("old.avi")).name
    ('night_enhanced.mp4', 'old_enhanced.mkv')
    """
    suffix = source.suffix
    if is_picture(source):
        suffix = _OTHER_OUTPUTS.get(suffix.lower(), suffix)
    elif not is_sequence(source) and suffix.lower() not in _FAITHFUL_SUFFIXES:
        suffix = ".mkv"
    return source.with_name(f"{source.stem}{MARK}{suffix}")


def find_media(folder: P) -> list[P]:
    """Every picture and video below a folder, sorted; without those that are hidden.

    Raises:
        ZeroDCEError: if there is none.
    """
    found = sorted(
        p for p in folder.rglob("*") if (is_picture(p) or is_video(p)) and p.is_file()
        and not any(part.startswith(".") for part in p.relative_to(folder).parts)
    )  # fmt: skip
    if not found:
        kinds = ", ".join(sorted(READ_SUFFIXES - RAW_SUFFIXES | VIDEO_SUFFIXES)) + ", camera raw"
        raise ZeroDCEError(f"{folder}: no pictures or videos in it; looked for {kinds}")
    return found


def output_in_folder(source: P, folder: P, output_folder: Q) -> Q:
    """Where the output of a file goes: the same place below the output folder.

    >>> output_in_folder(Path("in/a/clip.avi"), Path("in"), Path("out")).as_posix()
    'out/a/clip.avi.mkv'
    """
    name, suffix = source.name, default_output(source).suffix
    if suffix != source.suffix:
        name += suffix  # not clip.mkv: the folder may have one of that name, too
    return output_folder / source.relative_to(folder).parent / name


def without_password(url: str) -> str:
    """A URL without user name and password, to be shown and logged."""
    parts = urlsplit(url)
    if not parts.username and not parts.password:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
