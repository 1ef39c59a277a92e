"""What the handlers of a studio's addresses work with, and how they read what the page asks."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from aiohttp import web

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.studio.jobs import Jobs
from zerodce_rt.studio.library import Library
from zerodce_rt.studio.live import Live
from zerodce_rt.studio.places import Places
from zerodce_rt.studio.previews import Previews
from zerodce_rt.studio.settings import Look, StudioSettings

T = TypeVar("T")


@dataclass(frozen=True)
class Desk:
    """The parts of a studio.

    Attributes:
        pool: for what would keep the loop waiting. Not the loop's own threads: those encode.
    """

    settings: StudioSettings
    places: Places
    library: Library
    previews: Previews
    jobs: Jobs
    live: Live
    pool: ThreadPoolExecutor

    async def work(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, function, *arguments)


DESK = web.AppKey("desk", Desk)
"""Where an application keeps it."""


async def asked(request: web.Request) -> dict[str, Any]:
    """What a request says in its body.

    Raises:
        ZeroDCEError: if that is no JSON object.
    """
    try:
        found = json.loads(await request.text())
    except (ValueError, RecursionError) as error:
        raise ZeroDCEError("the request is not JSON") from error
    if not isinstance(found, dict):
        raise ZeroDCEError("the request is not a JSON object")
    return found


def text_in(values: Mapping[str, Any], name: str) -> str:
    """A text that a request must have.

    Raises:
        ZeroDCEError: if it has none.
    """
    value = values.get(name)
    if not isinstance(value, str):
        raise ZeroDCEError(f"{name} must be a text")
    return value


def number_in(values: Mapping[str, Any], name: str, default: float, most: float) -> float:
    """A number of a request, 0 to ``most``.

    Raises:
        ZeroDCEError: if it is another one, or none.
    """
    value = values.get(name, default)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= most:
        raise ZeroDCEError(f"{name} must be a number from 0 to {most:g}")
    return number


def look_in(values: Mapping[str, Any], default: Look | None = None) -> Look:
    """How pictures are to be enhanced."""
    default = default or Look()
    return Look(
        number_in(values, "strength", default.strength, 1),
        number_in(values, "denoise", default.denoise, 1),
    )


def file_response(path: Path, name: str, *, download: bool) -> web.StreamResponse:
    """A file, or the part of it that is asked for.

    Args:
        name: for people.
        download: let the browser save it.

    Raises:
        ZeroDCEError: if there is none.
    """
    if not path.is_file():
        raise ZeroDCEError(f"{name}: there is no such file any more")
    kind = "attachment" if download else "inline"
    disposition = f"{kind}; filename*=UTF-8''{quote(name, safe='')}"
    return web.FileResponse(path, headers={"Content-Disposition": disposition})
