"""Working sizes as text."""

from __future__ import annotations

import pytest

from zerodce_rt.curve.working_size import WorkingSize


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (WorkingSize(long_side=64), "64"),
        (WorkingSize(), "full"),
        (WorkingSize(divisor=12), "1/12"),
    ],
)
def test_the_text_of_a_size_is_read_back(size: WorkingSize, text: str) -> None:
    assert str(size) == text
    assert WorkingSize.parse(text) == size


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"long_side": 15}, "`long_side` must be at least 16, not 15"),
        ({"divisor": 1}, "`divisor` must be at least 2, not 1"),
        ({"long_side": 64, "divisor": 12}, "not both"),
    ],
)
def test_sizes_are_validated(bad: dict[str, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        WorkingSize(**bad)
