"""The exceptions whose messages are meant for the person at the keyboard, and exit codes."""

from numbers import Real

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class ZeroDCEError(Exception):
    """What was wrong, with which file or device, and what to do, in one line.

    Messages name settings as in Python, in backquotes: "exists already; use `overwrite=True` to
    replace it". The command line shows them as its options, prints the message, and exits with 1,
    as it does for ValueError, OSError and MemoryError; any other exception is a defect. With
    ``--debug``, all show where they came from.
    """


class UsageError(ZeroDCEError):
    """An option's value is wrong; the command line exits with 2."""


class DeviceError(ZeroDCEError):
    """A ``ZeroDCEError``: a GPU is out of memory, was lost, or computes wrong results."""


def check_numbers(**settings: object) -> None:
    """Say which setting is of a wrong type, before Python fails to compare it.

    Args:
        settings: values by name; None is passed over.

    Raises:
        TypeError: for the first that is not a real number.
    """
    for name, value in settings.items():
        if value is not None and not isinstance(value, Real):
            raise TypeError(f"`{name}` must be a number, not {value!r}")


def plain(message: str) -> str:
    """A message without the backquotes around settings, for where nobody can type these."""
    return message.replace("`", "")
