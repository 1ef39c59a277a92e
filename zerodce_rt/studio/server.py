"""Serving a studio until somebody ends it."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from aiohttp import web

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.studio.app import make_app
from zerodce_rt.studio.desk import Desk
from zerodce_rt.studio.jobs import Jobs
from zerodce_rt.studio.library import Library
from zerodce_rt.studio.live import Live
from zerodce_rt.studio.places import open_places
from zerodce_rt.studio.previews import Previews
from zerodce_rt.studio.security import new_token
from zerodce_rt.studio.settings import StudioSettings
from zerodce_rt.studio.webrtc import configure

log = logging.getLogger(__name__)

_THREADS = 4
# How long requests that are being answered may take at the end.
_END_SECONDS = 1.0


def run_studio(
    settings: StudioSettings,
    make_enhancer: Callable[[], Enhancer],
    *,
    ready: Callable[[list[str]], None],
) -> None:
    """Serve the page until Ctrl-C or a polite kill; then end what runs, delete what is private.

    Args:
        make_enhancer: makes an enhancer for video; called for live pictures, for frames to look
            at, and for the queue, in their threads.
        ready: called once the page can be opened: with its address, and with the one for other
            machines if that is another.

    Raises:
        ZeroDCEError: if the port is in use, or the address or the certificate cannot be used.
    """
    configure()
    context = _tls(settings)
    with open_desk(settings, make_enhancer) as desk:
        asyncio.run(_serve(settings, desk, context, ready))


@contextmanager
def open_desk(settings: StudioSettings, make_enhancer: Callable[[], Enhancer]) -> Iterator[Desk]:
    """The parts of a studio; what runs is ended at the end of the block, files are deleted."""
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="zerodce-studio")
    with open_places(settings.output) as places:
        jobs = Jobs(make_enhancer, places.results)
        try:
            yield Desk(
                settings=settings, places=places, library=Library(places.uploads, settings.folder),
                previews=Previews(make_enhancer), jobs=jobs,
                live=Live(make_enhancer, settings.sources, places.results, settings.camera),
                pool=pool,
            )  # fmt: skip
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            jobs.close()


async def _serve(
    settings: StudioSettings, desk: Desk, context: ssl.SSLContext | None,
    ready: Callable[[list[str]], None],
) -> None:  # fmt: skip
    token = new_token()
    app = make_app(desk, token=token, host=settings.host)
    # Its log would show the token.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_END_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            raise _why_not(settings, error) from error
        port = runner.addresses[0][1]
        scheme = "http" if context is None else "https"
        ended = _ended_by_signal()
        hosts = map(_shown, _reached_at(settings.host))
        ready([f"{scheme}://{host}:{port}/{token}/" for host in hosts])
        await ended.wait()
    finally:
        await desk.live.stop()
        await runner.cleanup()


def _why_not(settings: StudioSettings, error: OSError) -> ZeroDCEError:
    """What to say of an address at which one cannot listen."""
    where = f"{_shown(settings.host)}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return ZeroDCEError(f"{where}: is in use by another program; choose another `port`")
    if error.errno == errno.EACCES:
        return ZeroDCEError(f"{where}: is not allowed; choose a `port` above 1023")
    return ZeroDCEError(f"{where}: cannot be used ({error.strerror}); choose another `host`")


def _reached_at(host: str) -> list[str]:
    """Addresses that lead to what listens there: from this machine, and from the network."""
    if host not in ("0.0.0.0", "::"):
        return [host]
    # A datagram socket that is connected knows its own address; nothing is sent.
    family, own, elsewhere = (
        (socket.AF_INET, "127.0.0.1", "192.0.2.1")
        if host == "0.0.0.0"
        else (socket.AF_INET6, "::1", "2001:db8::1")
    )
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as there:
            there.connect((elsewhere, 9))
            return [own, there.getsockname()[0]]
    except OSError:  # there is no network now
        return [own]


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _ended_by_signal() -> asyncio.Event:
    """An event that Ctrl-C, a polite kill or a closed terminal sets."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # ``nohup`` has a hang-up ignored. Windows' loop takes no signals: there, Ctrl-C raises.
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, ended.set)
    return ended


def _tls(settings: StudioSettings) -> ssl.SSLContext | None:
    if settings.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except (ssl.SSLError, OSError) as error:
        raise ZeroDCEError(
            f"{settings.certificate}: cannot be used as a certificate ({error.strerror}); "
            "it must be PEM, and its private key in the same file or in that of `key`"
        ) from error
    return context
