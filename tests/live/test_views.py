"""What the window shows: views, fitted into it, with text, and the table of its keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live import viewer
from zerodce_rt.live.keys import ACTIONS, KEYS, help_lines
from zerodce_rt.live.outputs import Recordings
from zerodce_rt.live.overlay import draw_text
from zerodce_rt.live.sources import Feed
from zerodce_rt.live.viewer import Viewer
from zerodce_rt.live.views import view_of
from zerodce_rt.live.window import fitted


def two_pictures() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Before and after, 64 pixels wide, each with a mark on its left."""
    before, after = np.full((36, 64, 3), 20, np.uint8), np.full((36, 64, 3), 120, np.uint8)
    before[:, :8], after[:, :8] = 40, 180
    return before, after


def test_views() -> None:
    before, after = two_pictures()
    assert np.array_equal(view_of(before, after, "enhanced"), after)
    assert np.array_equal(view_of(before, after, "original"), before)
    side = view_of(before, after, "side")
    assert np.array_equal(side, np.concatenate([before, after], axis=1))
    split = view_of(before, after, "split", divider=0.25)
    assert np.array_equal(split[:, :16], before[:, :16])
    assert np.all(split[:, 16:18] == 255), "the divider"
    assert np.array_equal(split[:, 18:], after[:, 18:])
    with pytest.raises(ValueError, match="enhanced, original, split, side"):
        view_of(before, after, "both")


@pytest.mark.parametrize("divider", [0.0, 1.0])
def test_the_divider_at_the_edge(divider: float) -> None:
    before, after = two_pictures()
    split = view_of(before, after, "split", divider=divider)
    assert np.array_equal(split[:, 4:60], (after if divider == 0 else before)[:, 4:60])


def test_mirrored_views_keep_before_on_the_left() -> None:
    before, after = two_pictures()
    assert np.array_equal(view_of(before, after, "enhanced", mirror=True), after[:, ::-1])
    side = view_of(before, after, "side", mirror=True)
    assert np.array_equal(side[:, :64], before[:, ::-1])
    split = view_of(before, after, "split", mirror=True)
    assert np.all(split[:, 40:56] == 120)
    assert np.all(split[:, 56:] == 180)
    assert np.all(split[:, :32] == 20)


@pytest.mark.parametrize(
    ("window", "place"),
    [
        ((64, 36), (0, 0, 64, 36)),
        ((128, 72), (0, 0, 128, 72)),
        ((128, 100), (0, 14, 128, 72)),
        ((100, 36), (18, 0, 64, 36)),
        ((33, 21), (0, 1, 33, 19)),
        ((1, 1), (0, 0, 1, 1)),
    ],
)
def test_a_picture_is_fitted_into_the_window(
    window: tuple[int, int], place: tuple[int, int, int, int]
) -> None:
    _, after = two_pictures()
    canvas, where = fitted(after, *window)
    assert canvas.shape == (window[1], window[0], 3)
    assert where == place
    left, top, width, height = where
    inside = np.zeros(canvas.shape[:2], bool)
    inside[top : top + height, left : left + width] = True
    assert np.all(canvas[inside] >= 118)
    assert np.all(canvas[~inside] == 0)
    canvas[:] = 0  # a copy, even where nothing was scaled
    assert after.min() == 120


@pytest.mark.parametrize("place", ["top left", "top right", "centre", "bottom"])
def test_text_is_drawn_in_its_place(place: Any) -> None:
    image = np.full((360, 640, 3), 100, np.uint8)
    draw_text(image, ["25.0 fps"], place)
    changed = np.argwhere((image != 100).any(axis=2))
    top, left = changed.min(axis=0)
    bottom, right = changed.max(axis=0)
    assert image.max() > 240, "white letters"
    assert image.min() < 30, "on a dark panel"
    assert bottom - top < 60
    middle = (left + right) / 2
    assert {"top left": middle < 120, "top right": middle > 520}.get(
        place, abs(middle - 320) < 5
    ), (left, right)
    assert {"centre": abs((top + bottom) / 2 - 180) < 5, "bottom": bottom > 330}.get(
        place, top < 20
    )


def test_long_text_is_wrapped() -> None:
    image = np.full((360, 640, 3), 100, np.uint8)
    message = "a recording that broke off has a long message " * 3
    draw_text(image, [message], "bottom")
    rows = np.flatnonzero((image != 100).any(axis=(1, 2)))
    assert rows.max() - rows.min() > 30, "more than one line"
    assert np.all(image[:, :4] == 100)


@pytest.mark.parametrize("size", [(16, 16), (40, 600), (600, 40), (120, 160)])
def test_text_fits_into_the_smallest_picture(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 100, np.uint8)
    places: tuple[Any, ...] = ("top left", "top right", "centre", "bottom")
    for place in places:
        draw_text(image, help_lines(), place)
        draw_text(image, ["word " * 30, "unbreakable" * 30], place, alarm=True)
    assert image.shape == (*size, 3)


def test_every_key_does_something_and_none_does_two_things() -> None:
    characters = [c for key in KEYS for c in key.characters]
    assert len(characters) == len(set(characters))
    for action in ACTIONS.values():
        assert callable(getattr(Viewer, f"key_{action}"))


class NoWindow:
    """Stands in for a window: lets text be drawn, and has no keys."""

    closed = False

    def fit(self, width: int, height: int) -> None:
        pass

    def show(self, image: NDArray[np.uint8], draw: Any) -> None:
        draw(image.copy())

    def take_keys(self) -> list[str]:
        return []

    def take_notches(self) -> int:
        return 0


def test_messages_in_the_window_have_no_backquotes(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(viewer, "draw_text", lambda _, lines, *args, **options: drawn.extend(lines))
    recordings, nothing = Recordings(30), cast("Any", None)
    feed = Feed("camera 0", lambda: nothing)
    feed.status = "camera 0 cannot be opened; see whether `list_cameras` shows it"
    recordings.failure = ZeroDCEError("live.mp4: choose another `record`")
    window: Any = NoWindow()
    Viewer(
        window, feed, nothing, recordings,
        figures=list, dropped=int, folder=Path(), view="enhanced", mirror=False, overlay=False,
    ).update(None)  # fmt: skip
    assert drawn == [
        "camera 0 cannot be opened; see whether list_cameras shows it",
        "live.mp4: choose another record",
    ]
