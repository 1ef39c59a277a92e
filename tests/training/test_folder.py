"""Which photographs are trained on, and how often each is drawn."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.training.folder import balanced_shares, load_photographs, split_folder


def shares_by_group(*names: str) -> list[float]:
    return [round(float(s), 4) for s in balanced_shares([Path(n) for n in names])]


def test_groups_count_by_the_square_root_of_their_size() -> None:
    names = [f"shirt_{i}.jpg" for i in range(900)] + [f"town_{i}.jpg" for i in range(100)]
    shares = balanced_shares([Path(n) for n in names])
    assert shares.shape == (1000,)
    assert shares.sum() == pytest.approx(1)
    assert shares[:900].sum() == pytest.approx(0.75)
    assert shares[0] == pytest.approx(shares[899])


def test_folders_and_beginnings_of_names_make_groups() -> None:
    # Four of one kind: each half as often as the one that is alone.
    four = [1 / 6, 1 / 6, 1 / 6, 1 / 6, 1 / 3]
    expected = [round(share, 4) for share in four]
    assert shares_by_group("a/1.jpg", "a/2.jpg", "a/3.jpg", "a/4.jpg", "b/1.jpg") == expected
    assert shares_by_group("a_1.jpg", "a_2_x.jpg", "a_3.jpg", "a_4.jpg", "b_1.jpg") == expected
    # Names without a _ say nothing.
    assert shares_by_group("1.jpg", "2.jpg", "3.jpg", "4.jpg", "b_1.jpg") == expected
    assert shares_by_group("1.jpg", "2.jpg") == [0.5, 0.5]


def test_every_nth_is_held_out(tmp_path: Path) -> None:
    for index in range(5):
        (tmp_path / f"{index}.png").touch()
    training, held_out = split_folder(tmp_path, 2)
    assert [p.stem for p in training] == ["1", "3"]
    assert [p.stem for p in held_out] == ["0", "2", "4"]
    assert [p.stem for p in split_folder(tmp_path, 0)[0]] == ["0", "1", "2", "3", "4"]
    assert split_folder(tmp_path, 0)[1] == []


def test_photographs_that_cannot_be_decoded_have_no_share(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a_1", "a_2", "a_3", "b_1"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((20, 30, 3), 9, np.uint8))
    (tmp_path / "a_3.png").write_bytes(b"no picture")
    paths = sorted(tmp_path.iterdir())
    with caplog.at_level(logging.WARNING):
        photos = load_photographs(tmp_path, paths[1:], paths[:1], short_side=10, progress=False)
    assert [p.shape for p in photos.training] == [(10, 15, 3)] * 2
    assert photos.shares.tolist() == [0.5, 0.5]
    assert len(photos.held_out) == 1
    assert str(tmp_path / "a_3.png") in caplog.text
    with pytest.raises(ZeroDCEError, match="none of the 1 photographs can be decoded"):
        load_photographs(tmp_path, paths[2:3], paths, short_side=10, progress=False)
