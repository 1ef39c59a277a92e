"""How large the copy of a frame is that the network sees."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WorkingSize:
    """How large the copy is that the network sees.

    Attributes:
        long_side: at most that many pixels, by area averaging. None: the frame's own size, the
            published Zero-DCE.
        divisor: exactly ``1 / divisor`` of the frame, sampled bilinearly, with maps laid
            corner on corner: the published Zero-DCE++ program (its default is 12).
    """

    long_side: int | None = None
    divisor: int | None = None

    @property
    def published(self) -> bool:
        """Whether this is how one of the published programs works."""
        return self.long_side is None

    def __post_init__(self) -> None:
        if self.long_side is not None and self.divisor is not None:
            raise ValueError("a working size has a long side or a divisor, not both")
        if self.long_side is not None and self.long_side < 16:
            raise ValueError(f"long_side must be at least 16, not {self.long_side}")
        if self.divisor is not None and self.divisor < 2:
            raise ValueError(f"divisor must be at least 2, not {self.divisor}")

    @classmethod
    def parse(cls, value: int | str | WorkingSize) -> WorkingSize:
        """Read ``64``, ``"64"``, ``"full"`` or ``"1/12"``.

        Raises:
            ValueError: for anything else.
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
            "working size must be a long side of 16 pixels or more, 'full', "
            f"or a fraction like '1/12', not {text!r}"
        )

    def of(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the network's input for a frame."""
        if self.divisor is not None:
            # The rounding of torch's interpolate(scale_factor=1 / divisor).
            scale = 1 / self.divisor
            return max(1, int(height * scale)), max(1, int(width * scale))
        long_side = max(height, width)
        if self.long_side is None or self.long_side >= long_side:
            return height, width
        scale = self.long_side / long_side
        return max(1, round(height * scale)), max(1, round(width * scale))
