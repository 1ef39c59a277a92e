"""The exceptions whose messages are meant for the person at the keyboard, and exit codes."""

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class ZeroDCEError(Exception):
    """What was wrong, with which file or device, and what to do, in one line.

    The command line prints the message and exits with 1; anything else that
    escapes is a defect and shows where it came from with ``--debug``.
    """


class UsageError(ZeroDCEError):
    """An option's value is wrong; ends with exit code 2."""


class DeviceError(ZeroDCEError):
    """A GPU that worked before is out of memory, or lost."""
