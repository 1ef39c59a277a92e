"""The keys of the live window: one table for the program, its help and its tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """Characters that all do the same.

    Attributes:
        action: the method of ``Viewer`` that is called, without its ``key_``.
        label: how the key is called in the help.
    """

    characters: str
    action: str
    label: str
    help: str


ESCAPE = "\x1b"

KEYS = (
    Key("v", "view", "V", "next view: enhanced, original, split, side by side"),
    Key("1234", "choose_view", "1 2 3 4", "one of these views"),
    Key(" ", "toggle", "Space", "enhancement on / off"),
    Key("+=", "stronger", "+", "more strength"),
    Key("-_", "weaker", "-", "less strength"),
    Key("p", "freeze", "P", "freeze the picture"),
    Key("s", "snapshot", "S", "snapshot: before and after, as PNG"),
    Key("r", "record", "R", "start / stop recording"),
    Key("o", "overlay", "O", "figures on / off"),
    Key("m", "mirror", "M", "mirror the picture"),
    Key("f", "full_screen", "F", "full screen"),
    Key("h?", "help", "H", "this help"),
    Key("q" + ESCAPE, "quit", "Q  Esc", "quit"),
)

ACTIONS = {character: key.action for key in KEYS for character in key.characters}


def help_lines() -> list[tuple[str, str]]:
    """What the help shows: label and meaning of each key."""
    mouse = ("Mouse", "drag the divider of the split view")
    return [(key.label, key.help) for key in KEYS] + [mouse]
