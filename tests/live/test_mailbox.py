"""What waits for an output comes out in the order of its own times."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest

from zerodce_rt.live.mailbox import ImageItem, Mailbox
from zerodce_rt.live.sound import Sound, SoundPacket

IMAGE = np.zeros((2, 2, 3), np.uint8)


def put(mail: Mailbox, *, images: Sequence[float] = (), sounds: Sequence[float] = ()) -> None:
    """Sound first: it is read ahead, and waits for nothing on its way."""
    for seconds in sounds:
        mail.put_sound(SoundPacket(cast("Sound", None), b"", seconds, 0.02))
    for seconds in images:
        mail.put(IMAGE, seconds)


def everything(mail: Mailbox) -> list[str]:
    mail.end()
    found = []
    while (item := mail.get()) is not None:
        found.append(f"{'image' if isinstance(item, ImageItem) else 'sound'} {item.seconds:g}")
    assert mail.get() is None
    return found


def test_sound_goes_with_the_images_of_its_time() -> None:
    mail = Mailbox()
    put(mail, sounds=[0.0, 0.1, 0.2, 0.3, 0.4], images=[0.0, 0.2])
    assert everything(mail) == [
        "image 0", "sound 0", "sound 0.1", "sound 0.2", "sound 0.3", "image 0.2", "sound 0.4",
    ]  # fmt: skip


def test_the_newest_image_and_what_follows() -> None:
    mail = Mailbox()
    assert mail.newest() is None
    put(mail, images=[0.0, 0.1, 0.2], sounds=[0.0, 0.2, 0.4])
    newest = mail.newest()
    assert newest is not None
    assert newest.seconds == 0.2
    assert mail.newest() is None
    put(mail, images=[0.3])
    assert everything(mail) == ["sound 0", "sound 0.2", "sound 0.4", "image 0.3"]


def test_sound_alone_is_nothing() -> None:
    mail = Mailbox()
    put(mail, sounds=[0.0, 0.1])
    assert everything(mail) == []


def test_sound_waits_for_images_but_not_for_ever() -> None:
    mail = Mailbox()
    put(mail, images=[0.0], sounds=[0.0, 0.2, 0.4, 0.6])
    assert isinstance(mail.get(), ImageItem)
    assert [item.seconds for item in (mail.get(), mail.get()) if item] == [0.0, 0.2]
    thread = threading.Thread(target=mail.get)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive(), "the rest spans no half a second"
    put(mail, sounds=[1.0])
    thread.join(10)
    assert not thread.is_alive()
    assert everything(mail) == ["sound 0.6", "sound 1"]


def test_what_does_not_fit_is_left_out() -> None:
    mail = Mailbox()
    put(mail, images=range(20), sounds=range(300))
    found = everything(mail)
    assert mail.dropped == 5
    assert [text for text in found if "image" in text] == [f"image {n}" for n in range(15)]
    assert [text for text in found if "sound" in text] == [f"sound {n}" for n in range(50, 300)]


@pytest.mark.parametrize("begun", [False, True])
def test_it_begins_anew(begun: bool) -> None:
    mail = Mailbox()
    put(mail, images=[0.0, 0.1], sounds=[0.0, 0.1])
    if begun:
        assert isinstance(mail.get(), ImageItem)
    mail.clear()
    put(mail, sounds=[5.0])
    put(mail, images=[5.0], sounds=[5.1])
    assert everything(mail) == ["image 5", "sound 5", "sound 5.1"]
