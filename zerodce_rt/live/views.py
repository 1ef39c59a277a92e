"""What the window shows of a picture before and after: one, the other, or both."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.frame import from_array
from zerodce_rt.media.compare import compose, width_of
from zerodce_rt.names import VIEWS


def view_of(
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
    view: str,
    *,
    divider: float = 0.5,
    mirror: bool = False,
) -> NDArray[np.uint8]:
    """The picture to show; one of the two themselves where nothing is changed.

    Args:
        before, after: ``(H, W, 3)`` uint8 BGR.
        view: one of ``VIEWS``; ``"side"`` is twice as wide.
        divider: where the split view's line is, 0 to 1 of the width.
        mirror: swap left and right in each picture; before stays on the left.
    """
    if view not in VIEWS:
        raise ValueError(f"view must be one of {', '.join(VIEWS)}, not {view!r}")
    if view in ("enhanced", "original"):
        picture = after if view == "enhanced" else before
        return np.asarray(cv2.flip(picture, 1), np.uint8) if mirror else picture
    if mirror:
        before, after = (np.asarray(cv2.flip(p, 1), np.uint8) for p in (before, after))
    height, width = before.shape[:2]
    out = np.empty((height, width_of(view, width), 3), np.uint8)
    compose(
        from_array(before, order="bgr"), from_array(after, order="bgr"), view,
        from_array(out, order="bgr"), divider=divider,
    )  # fmt: skip
    return out
