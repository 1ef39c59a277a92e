"""The application: who may ask, the page's own files, and how errors are answered."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from importlib.resources import files

from aiohttp import web

from zerodce_rt.errors import ZeroDCEError, plain
from zerodce_rt.studio import files_api, live_api
from zerodce_rt.studio.desk import DESK, Desk
from zerodce_rt.studio.security import HEADERS, is_own_host, is_own_page, is_token

log = logging.getLogger(__name__)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
# Of requests that are no files; a browser's offer has some 10 kB.
_MOST_BYTES = 256 * 1024


def make_app(desk: Desk, *, token: str, host: str) -> web.Application:
    """The application of a studio.

    Args:
        token: with which every address begins.
        host: that the server listens at.
    """

    @web.middleware
    async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
        reason = _refusal(request, token, host)
        if reason is not None:
            return web.Response(status=403, text=f"{reason}\n")
        return await handler(request)

    inner = web.Application(middlewares=[_errors])
    inner[DESK] = desk
    inner.add_routes(live_api.routes)
    inner.add_routes(files_api.routes)
    inner.add_routes([web.get("/api/studio", _about), *_page()])
    app = web.Application(middlewares=[guard], client_max_size=_MOST_BYTES)
    app.add_subapp(f"/{token}", inner)
    app.on_response_prepare.append(_add_headers)
    return app


def _refusal(request: web.Request, token: str, host: str) -> str | None:
    """Why a request is refused; None if it is not."""
    headers = request.headers
    if not is_own_host(headers.get("Host"), host):
        return "this address is not one of this machine"
    if not is_token(request.path.split("/")[1], token):
        return "the key in this address is wrong; open the address that zerodce-rt has printed"
    if not is_own_page(headers):
        return "requests of other pages are refused"
    return None


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


@web.middleware
async def _errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Answer errors as JSON, with a line for the person at the page."""
    try:
        return await handler(request)
    except ZeroDCEError as error:
        return web.json_response({"error": plain(str(error))}, status=400)
    except web.HTTPException as error:
        text = error.text or error.reason
        return web.json_response({"error": text}, status=error.status)
    except ConnectionError:  # nobody is there to be answered
        return web.Response(status=400)
    except Exception as error:
        log.exception("%s %s", request.method, request.path.partition("/api/")[2])
        return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=500)


def _page() -> list[web.RouteDef]:
    """The routes of the page's own files, which are few and small."""
    routes = []
    for file in files("zerodce_rt.studio").joinpath("page").iterdir():
        kind = _TYPES[file.name.rpartition(".")[2]]
        content = file.read_bytes()

        async def answer(_: web.Request, body: bytes = content, kind: str = kind) -> web.Response:
            return web.Response(body=body, content_type=kind, charset="utf-8")

        routes.append(web.get("/" if file.name == "index.html" else f"/{file.name}", answer))
    return routes


async def _about(request: web.Request) -> web.Response:
    """What the page must know at its start."""
    desk = request.app[DESK]
    settings = desk.settings
    return web.json_response({
        "sources": desk.live.source_names,
        "folder": desk.library.folder_name, "max_upload_bytes": settings.max_upload_bytes,
        "keeps_results": settings.output is not None,
        "strength": settings.look.strength, "denoise": settings.look.denoise,
    })  # fmt: skip
