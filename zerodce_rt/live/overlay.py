"""Text on the picture: figures, messages, help; drawn on the window's copy only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Place = Literal["top left", "top right", "centre", "bottom"]

# Share of the picture's height that a line of text takes, and its smallest height in pixels.
_LINE_SHARE, _SMALLEST_LINE = 1 / 30, 15
_WHITE, _RED = (255, 255, 255), (70, 70, 255)
# Weights of the font as OpenCV numbers them.
_NORMAL, _BOLD = 420, 640


def draw_text(
    image: NDArray[np.uint8],
    lines: Sequence[str] | Sequence[tuple[str, str]],
    place: Place,
    *,
    alarm: bool = False,
) -> None:
    """Draw lines of text on a darkened panel, in place.

    Args:
        image: ``(H, W, 3)`` uint8 BGR.
        lines: text; pairs are set in two columns, strings are wrapped to the image's width.
        alarm: draw in red.
    """
    height, width = image.shape[:2]
    line = max(_SMALLEST_LINE, round(min(height, width * 9 / 16) * _LINE_SHARE))
    rows = tuple((row,) if isinstance(row, str) else tuple(row) for row in lines)
    text = _text(rows, line, width, _RED if alarm else _WHITE)
    text = text[:height, :width]
    rows_high, wide = text.shape[:2]
    margin = line // 2
    left = {"top left": margin, "top right": width - wide - margin}.get(place, (width - wide) // 2)
    top = {"centre": (height - rows_high) // 2, "bottom": height - rows_high - 2 * margin}.get(
        place, margin
    )
    left, top = min(max(0, left), width - wide), min(max(0, top), height - rows_high)
    area = image[top : top + rows_high, left : left + wide]
    area[:] = np.maximum(area // 4, text)


@lru_cache(maxsize=16)
def _text(
    rows: tuple[tuple[str, ...], ...], line: int, width: int, colour: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Lines of text on black.

    Cached: drawing letters takes longer than everything else in the window.
    """
    pad = line // 2
    sizes = [[_size(cell, line, bold=n == 0 and len(row) > 1) for n, cell in enumerate(row)]
             for row in rows]  # fmt: skip
    column = max((s[0] + line for s in sizes if len(s) > 1), default=0)
    if column == 0:
        rows = tuple((part,) for row in rows for part in _wrapped(row[0], line, width - 2 * pad))
        wide = max(_size(row[0], line, bold=False) for row in rows)
    else:
        wide = column + max(s[-1] for s in sizes)
    step = round(1.35 * line)
    patch = np.zeros((step * len(rows) + pad, wide + 2 * pad, 3), np.uint8)
    for number, row in enumerate(rows):
        for n, cell in enumerate(row):
            cv2.putText(
                patch, cell, (pad + n * column, round((number + 1) * step - 0.1 * line)), colour,
                _font(), round(0.8 * line), _BOLD if n == 0 and len(row) > 1 else _NORMAL,
            )  # fmt: skip
    return patch


def _wrapped(text: str, line: int, width: int) -> list[str]:
    """The text in lines of at most that width, if its words allow."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip() if lines[-1] else word
        if lines[-1] and _size(longer, line, bold=False) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _size(text: str, line: int, *, bold: bool) -> int:
    """Width of a line of text in pixels."""
    box = cv2.getTextSize(
        (1, 1), text, (0, 0), _font(), round(0.8 * line), _BOLD if bold else _NORMAL
    )
    return int(box[0] + box[2])


@lru_cache(maxsize=1)
def _font() -> cv2.FontFace:
    return cv2.FontFace("sans")
