"""The views of the window: an image before enhancement, after it, or both."""

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
    """What a view shows.

    Args:
        before, after: ``(H, W, 3)`` uint8 BGR.
        view: one of ``VIEWS``; ``"side"`` is twice as wide.
        divider: where the line of the split view is, 0 to 1 of the width.
        mirror: swap left and right in each image; ``before`` stays on the left.

    Returns:
        uint8 BGR of the same height; ``before`` or ``after`` itself where nothing has to be
        changed.

    Raises:
        ValueError: for another view.
    """
    if view not in VIEWS:
        raise ValueError(f"`view` must be one of {', '.join(VIEWS)}, not {view!r}")
    if view in ("enhanced", "original"):
        image = after if view == "enhanced" else before
        return np.asarray(cv2.flip(image, 1), np.uint8) if mirror else image
    if mirror:
        before, after = (np.asarray(cv2.flip(p, 1), np.uint8) for p in (before, after))
    height, width = before.shape[:2]
    out = np.empty((height, width_of(view, width), 3), np.uint8)
    compose(
        from_array(before, order="bgr"), from_array(after, order="bgr"), view,
        from_array(out, order="bgr"), divider=divider,
    )  # fmt: skip
    return out
