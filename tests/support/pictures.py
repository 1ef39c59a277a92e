"""What tests of pictures ask again and again."""

from __future__ import annotations

from pathlib import Path

import pytest

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.media.pictures import read_picture


def refused(path: Path) -> str:
    """The error of reading a file: one line that begins with its name."""
    with pytest.raises(ZeroDCEError) as caught:
        read_picture(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 400
    return message
