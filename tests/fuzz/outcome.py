"""What became of a case, and how to see it again."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

RIGHT = "right"
REFUSED = "refused"
UNEXPECTED = "unexpected error"
POOR_MESSAGE = "poor message"
BROKEN = "broken output"
OTHER_FILE_READ = "other file read"
FILE_LEFT = "file left"
INPUT_CHANGED = "input changed"
THREAD_LEFT = "thread left"
DESCRIPTOR_LEFT = "descriptor left"
MEMORY = "too much memory"
HANG = "hang"
CRASH = "crash"

FAULTS = (
    UNEXPECTED, POOR_MESSAGE, BROKEN, OTHER_FILE_READ, FILE_LEFT, INPUT_CHANGED, THREAD_LEFT,
    DESCRIPTOR_LEFT, MEMORY, HANG, CRASH,
)  # fmt: skip
VERDICTS = (RIGHT, REFUSED, *FAULTS)

_LONGEST_MESSAGE = 1000
# Names of files that are not finished (see ``zerodce_rt.atomic``).
_PARTIAL = re.compile(r"\.part(\.|\b)")
# Every output can be written to, so this would hide what is wrong with the input.
_BLAMES_OUTPUT = ("cannot be written", "cannot be finished")
_LINE_ENDS = "\u2028\u2029"


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        kind, number: what repeats it.
        seed: name of the file that was damaged.
        mode: what was done with it.
        verdict: one of ``VERDICTS``.
        detail: the message, or what was wrong and where.
        seconds: it took.
    """

    kind: str
    number: int
    seed: str
    mode: str
    verdict: str
    detail: str
    seconds: float

    @property
    def is_fault(self) -> bool:
        return self.verdict in FAULTS

    @property
    def repeat(self) -> str:
        """The command that runs the case again."""
        return f"python scripts/fuzz.py --kind {self.kind} --first {self.number} --cases 1"

    def __str__(self) -> str:
        return f"{self.verdict}: {self.detail}\n    {self.seed}, {self.mode}: {self.repeat}"


class Fault(Exception):
    """Something is wrong with what the program did.

    Attributes:
        verdict: one of ``FAULTS``.
    """

    def __init__(self, verdict: str, detail: str) -> None:
        super().__init__(detail)
        self.verdict = verdict


def complaint_about(message: str) -> str | None:
    """Why a message is no good for the person at the keyboard; None if it is."""
    if not message.strip():
        return "no message"
    if len(message.splitlines()) > 1:
        return f"{len(message.splitlines())} lines"
    bad = [c for c in message if unicodedata.category(c) in ("Cc", "Cs") or c in _LINE_ENDS]
    if bad:
        return f"control character {bad[0]!a}"
    if len(message) > _LONGEST_MESSAGE:
        return f"{len(message)} characters"
    if _PARTIAL.search(message):
        return "names a temporary file"
    if any(words in message for words in _BLAMES_OUTPUT):
        return "blames the output"
    return None
