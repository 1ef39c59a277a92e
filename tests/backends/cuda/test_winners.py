"""Which network was fastest, kept from run to run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zerodce_rt.backends.cuda.winners import Winners


def test_names_are_kept_by_size_and_circumstances(tmp_path: Path) -> None:
    Winners(tmp_path, "H100", "2.11").put(1080, 1920, "cuDNN")
    Winners(tmp_path, "H100", "2.11").put(36, 640, "Triton")
    again = Winners(tmp_path, "H100", "2.11")
    assert again.get(1080, 1920) == "cuDNN"
    assert again.get(36, 640) == "Triton"
    assert again.get(1920, 1080) is None
    assert Winners(tmp_path, "H100", "2.12").get(1080, 1920) is None


@pytest.mark.parametrize("content", [b"", b"[]", b'{"4x5": 7}', b"\xff\xfe"])
def test_a_damaged_file_counts_as_none(tmp_path: Path, content: bytes) -> None:
    winners = Winners(tmp_path, "H100")
    winners.put(4, 5, "cuDNN")
    [file] = tmp_path.iterdir()
    file.write_bytes(content)
    assert winners.get(4, 5) is None
    winners.put(4, 5, "Triton")
    assert winners.get(4, 5) == "Triton"


def test_a_folder_that_cannot_be_used_is_no_harm(tmp_path: Path) -> None:
    Winners(None, "H100").put(4, 5, "cuDNN")
    assert Winners(None, "H100").get(4, 5) is None
    file = tmp_path / "file"
    file.write_bytes(b"")
    Winners(file, "H100").put(4, 5, "cuDNN")
    assert os.listdir(tmp_path) == ["file"]
