"""Joining a Ray cluster, or starting one on this machine, quietly and without a hang."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from typing import Any

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.names import RAY_HERE

# How long a machine may take to answer at all.
_ANSWER_SECONDS = 10.0
# Ray's head speaks HTTP/2, as all of gRPC: it answers settings with its own.
_SETTINGS = b"\x04"
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + _SETTINGS + b"\0\0\0\0\0"
# The least that Ray takes; only paths and numbers go through it.
_OBJECT_STORE_BYTES = 80 << 20


def connect(address: str) -> bool:
    """Have ``ray`` connected to a cluster.

    Args:
        address: ``HOST:PORT``, ``auto`` for the cluster that this machine belongs to, or
            ``local``.

    Returns:
        Whether this call did it: the program around us may have been connected before.

    Raises:
        ZeroDCEError: Ray is not installed, or there is no cluster.
    """
    ray = _imported()
    if ray.is_initialized():
        return False
    if ":" in address:
        _check_that_it_answers(address)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == RAY_HERE:
        options |= {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    ours = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, **options)
    except Exception as error:
        # What it says of "auto" is what can be done there with Ray itself.
        reason = "" if address == "auto" else f" ({_first_line(error)})"
        raise ZeroDCEError(f"{_no_cluster(address)}{reason}") from error
    finally:
        # Ray's own handler would end the process with what is unfinished left behind.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ours)
    return True


def _imported() -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it would report to its makers
    try:
        import ray
        from ray._private import worker
    except ImportError as error:
        raise ZeroDCEError(
            f"Ray cannot be used here ({error}); pip install 'zerodce-rt[ray]'"
        ) from error
    # Ray prints pages to standard output when a node is lost, even if it is to log nothing.
    worker._worker_logs_enabled = False
    return ray


def _check_that_it_answers(address: str) -> None:
    """Find out within seconds whether there can be a cluster; Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    try:
        place = host.strip("[]"), int(port)
        with socket.create_connection(place, _ANSWER_SECONDS) as connection:
            if not os.environ.get("RAY_USE_TLS"):
                connection.sendall(_GREETING)
                reply = connection.recv(9, socket.MSG_WAITALL)
                if reply[3:4] != _SETTINGS:
                    raise ZeroDCEError(f"{_no_cluster(address)} (something else is there)")
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ZeroDCEError(f"{_no_cluster(address)} ({reason})") from error


def _no_cluster(address: str) -> str:
    if address == RAY_HERE:
        return "Ray cannot be started here"
    if address == "auto":
        return "this machine belongs to no Ray cluster; give its head's HOST:PORT"
    return f"no Ray cluster can be joined at {address}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
