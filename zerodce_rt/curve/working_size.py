"""The size at which the network sees a frame."""

from __future__ import annotations

from dataclasses import dataclass

# Sides of thumbnails are multiples of it, so that a folder of pictures has few shapes of them: a
# backend spends time and memory on each shape. Sides below the second number are left as they are.
_STEP, _SMALL = 4, 16
_FEW_PIXELS = 128


@dataclass(frozen=True)
class WorkingSize:
    """The size at which the network sees a frame; by default the frame's own.

    The frame's own size is how the published Zero-DCE works.

    Attributes:
        long_side: longest side of the thumbnail in pixels, 16 or more. Smaller frames are not
            enlarged, larger ones are averaged over areas. Sides are rounded to multiples of 4.
        divisor: the thumbnail is exactly ``1 / divisor`` of the frame, 2 or more. It is sampled
            bilinearly, and its maps are enlarged with aligned corners, as in the published
            Zero-DCE++ program (whose default is 12).

    Raises:
        ValueError: both are given, or one is too small.
    """

    long_side: int | None = None
    divisor: int | None = None

    @property
    def published(self) -> bool:
        """Whether one of the published programs works at this size: full, or divided."""
        return self.long_side is None

    @property
    def small(self) -> bool:
        """Whether thumbnails are so small that starting a network takes longer than running it."""
        return self.long_side is not None and self.long_side <= _FEW_PIXELS

    def __post_init__(self) -> None:
        if self.long_side is not None and self.divisor is not None:
            raise ValueError("give `long_side` or `divisor`, not both")
        if self.long_side is not None and self.long_side < 16:
            raise ValueError(f"`long_side` must be at least 16, not {self.long_side}")
        if self.divisor is not None and self.divisor < 2:
            raise ValueError(f"`divisor` must be at least 2, not {self.divisor}")

    @classmethod
    def parse(cls, value: int | str | WorkingSize) -> WorkingSize:
        """Read ``64``, ``"64"``, ``"full"`` or ``"1/12"``.

        Raises:
            ValueError: for anything else.

        >>> WorkingSize.parse("1/12")
        WorkingSize(long_side=None, divisor=12)
        >>> str(WorkingSize.parse(64)), str(WorkingSize.parse("full"))
        ('64', 'full')
        """
        if isinstance(value, WorkingSize):
            return value
        text = str(value)
        if text == "full":
            return cls()
        if text.isdecimal() and int(text) >= 16:
            return cls(long_side=int(text))
        if text.startswith("1/") and text[2:].isdecimal() and int(text[2:]) > 1:
            return cls(divisor=int(text[2:]))
        raise ValueError(
            "`working_size` must be a long side of 16 pixels or more, 'full', "
            f"or a fraction like '1/12', not {text!r}"
        )

    def __str__(self) -> str:
        """The text that ``parse`` reads back."""
        if self.divisor is not None:
            return f"1/{self.divisor}"
        return "full" if self.long_side is None else str(self.long_side)

    def of(self, height: int, width: int) -> tuple[int, int]:
        """Height and width in pixels of the thumbnail of a frame.

        >>> WorkingSize(long_side=64).of(1080, 1920)
        (36, 64)
        """
        if self.divisor is not None:
            # Rounded as PyTorch's interpolate(scale_factor=1 / divisor) does.
            scale = 1 / self.divisor
            return max(1, int(height * scale)), max(1, int(width * scale))
        most = self.long_side
        if most is None:
            return height, width
        scale = min(1.0, most / max(height, width))
        return _rounded(height * scale, min(height, most)), _rounded(
            width * scale, min(width, most)
        )


def _rounded(side: float, most: int) -> int:
    """A side of a thumbnail."""
    if side < _SMALL:
        return max(1, round(side))
    nearest = _STEP * round(side / _STEP)
    return nearest if nearest <= most else nearest - _STEP
