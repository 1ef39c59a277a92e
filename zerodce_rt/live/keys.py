"""The keys of the live window: one table for the program, its help and its tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """A key, or several that do the same.

    Attributes:
        characters: each of those that the key may give.
        action: the method ``key_<action>`` of ``Viewer`` is called.
        label: name of the key in the help.
        help: what it does.
    """

    characters: str
    action: str
    label: str
    help: str


ESCAPE, LEFT, RIGHT = "\x1b", "←", "→"

KEYS = (
    Key("v", "view", "V", "next view: enhanced, original, split, side by side"),
    Key("1234", "choose_view", "1 2 3 4", "one of these views"),
    Key(" ", "toggle", "Space", "enhancement on / off"),
    Key("+=", "stronger", "+", "more strength"),
    Key("-_", "weaker", "-", "less strength"),
    Key("n", "denoise", "N", "remove noise: on / off"),
    Key("p", "freeze", "P", "freeze the picture"),
    Key("s", "snapshot", "S", "snapshot: before and after, as PNG"),
    Key("r", "record", "R", "start / stop recording"),
    Key("o", "overlay", "O", "figures on / off"),
    Key("m", "mirror", "M", "mirror the picture"),
    Key("f", "full_screen", "F", "full screen"),
    Key(LEFT + RIGHT, "seek", "Left  Right", "5 s back / on in a file"),
    Key("h?", "help", "H", "this help"),
    Key("q" + ESCAPE, "quit", "Q  Esc", "quit; Esc leaves full screen first"),
)

ACTIONS = {character: key.action for key in KEYS for character in key.characters}


def help_lines() -> list[tuple[str, str]]:
    """Label and meaning of each key, and of the mouse and its wheel."""
    mouse = ("Mouse", "drag the divider of the split view")
    wheel = ("Wheel", "more / less strength")
    return [(key.label, key.help) for key in KEYS] + [mouse, wheel]
