"""What goes wrong with a storage, in one line that names it and no password."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from zerodce_rt.errors import ZeroDCEError

# Whatever else is odd about a URL must not keep its password from being found.
_PASSWORD = re.compile(r"(?<=://)[^/]*:([^/]*)@")
# Of those that the extra brings what they need for.
_IN_THE_EXTRA = frozenset({"s3", "s3a", "gs", "gcs"})
# They log tracebacks of what they raise as well.
_TALKATIVE = "adlfs aiobotocore botocore fsspec gcsfs google paramiko s3fs".split()


def silence_packages() -> None:
    """Keep the packages of storages from logging: what is wrong is said once, in one line."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def shown(url: str) -> str:
    """A URL as it is shown and logged.

    A name alone is no secret: ``abfs://container@account/`` is a place.

    >>> shown("sftp://me:secret@host/night.mp4")
    'sftp://host/night.mp4'
    """
    return _PASSWORD.sub("", url, count=1)


@contextmanager
def naming_storage(url: str, what: str = "read") -> Iterator[None]:
    """Let errors of a storage say in one line what is wrong with which URL.

    Args:
        what: was being done to it.

    Raises:
        ZeroDCEError: for every error of the block; each storage has its own kinds of them.
    """
    try:
        yield
    except (ZeroDCEError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise ZeroDCEError(f"{shown(url)}: no such bucket, folder or file") from error
    except ImportError as error:
        raise ZeroDCEError(f"{shown(url)}: {_missing(url, error)}") from error
    except Exception as error:
        raise ZeroDCEError(f"{shown(url)}: cannot be {what} ({_reason(url, error)})") from error


def _missing(url: str, error: ImportError) -> str:
    protocol = url.partition("://")[0]
    if protocol in _IN_THE_EXTRA:
        return f"{protocol}:// needs another package; pip install 'zerodce-rt[storage]'"
    return f"{protocol}:// needs another package ({error})"


def _reason(url: str, error: Exception) -> str:
    """What an error says, without the password that may be in it."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, PermissionError):
        text = f"no permission: {text}"
    text = text.replace(url, shown(url))
    found = _PASSWORD.search(url)
    return text.replace(found[1], "***") if found and found[1] else text
