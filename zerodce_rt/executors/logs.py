"""Log records of workers, which the process that speaks to the user shows."""

from __future__ import annotations

import logging
from collections.abc import Callable


class Forwarding(logging.Handler):
    """Hands records on in a form that can be pickled; a worker has nothing else to say.

    Args:
        take: gets each.
    """

    def __init__(self, take: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        # The arguments may be anything.
        text = record.getMessage()
        record = logging.LogRecord(
            record.name, record.levelno, record.pathname, record.lineno, text, None, None
        )
        try:
            self._take(record)
        except OSError:
            self.handleError(record)


def forward(take: Callable[[logging.LogRecord], None], level: int) -> None:
    """Have all that this process logs handed on, and nothing shown.

    Args:
        level: of the records that are handed on.
    """
    log = logging.getLogger("zerodce_rt")
    log.setLevel(level)
    log.addHandler(Forwarding(take))
    log.propagate = False


class Said:
    """Logs what workers say, once: all segments of a video have the same to say."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text not in self._said:
            self._said.add(text)
            logging.getLogger(record.name).handle(record)
