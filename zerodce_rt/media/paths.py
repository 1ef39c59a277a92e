"""What a file's name says about it, where its output goes, and what must not be overwritten.

Opens no files, so it needs neither PyAV nor libvips.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from zerodce_rt.errors import ZeroDCEError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})
"""Suffixes of the pictures that are read and written, in lower case."""

VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .flv .ts .m2ts .mts .mpg .mpeg .wmv .3gp .ogv .vob".split()
)
"""Suffixes of the videos that are looked for in folders and can be written, in lower case."""

# Containers that keep timestamps exactly; outputs of files in others become Matroska.
_FAITHFUL_SUFFIXES = frozenset(".mp4 .m4v .mov .mkv .webm .ts .m2ts .mts .flv".split())


def is_picture(path: Path) -> bool:
    """Whether a file is a picture, by its name."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def is_video(path: Path) -> bool:
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


def default_output(source: Path) -> Path:
    """Where the output goes by default; .mkv if the container cannot keep timestamps exactly.

    >>> default_output(Path("night.mp4")).name, default_output(Path("old.avi")).name
    ('night_enhanced.mp4', 'old_enhanced.mkv')
    """
    suffix = source.suffix
    if not is_picture(source) and suffix.lower() not in _FAITHFUL_SUFFIXES:
        suffix = ".mkv"
    return source.with_name(f"{source.stem}_enhanced{suffix}")


def find_media(folder: Path) -> list[Path]:
    """Every picture and video below a folder, sorted.

    Raises:
        ZeroDCEError: if there is none.
    """
    found = sorted(
        p for p in folder.rglob("*") if p.is_file() and (is_picture(p) or is_video(p))
        and not p.name.startswith(".")
    )  # fmt: skip
    if not found:
        kinds = ", ".join(sorted(PICTURE_SUFFIXES | VIDEO_SUFFIXES))
        raise ZeroDCEError(f"{folder}: no pictures or videos in it; looked for {kinds}")
    return found


def output_in_folder(source: Path, folder: Path, output_folder: Path) -> Path:
    """Where the output of a file goes: the same place below the output folder.

    >>> output_in_folder(Path("in/a/clip.avi"), Path("in"), Path("out")).as_posix()
    'out/a/clip.avi.mkv'
    """
    name, suffix = source.name, default_output(source).suffix
    if suffix != source.suffix:
        name += suffix  # not clip.mkv: the folder may have one of that name, too
    return output_folder / source.relative_to(folder).parent / name
