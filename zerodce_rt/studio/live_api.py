"""The addresses of the live picture."""

from __future__ import annotations

from aiohttp import web

from zerodce_rt.live.captures import capture_named
from zerodce_rt.studio.desk import DESK, asked, file_response, look_in, text_in

routes = web.RouteTableDef()


@routes.get("/api/live")
async def figures(request: web.Request) -> web.Response:
    return web.json_response(request.app[DESK].live.figures())


@routes.post("/api/live")
async def start(request: web.Request) -> web.Response:
    values = await asked(request)
    answer, id = await request.app[DESK].live.start(
        text_in(values, "offer"), text_in(values, "source"), look_in(values),
        text_in(values, "view"),
    )  # fmt: skip
    return web.json_response({"answer": answer, "id": id})


@routes.patch("/api/live")
async def change(request: web.Request) -> web.Response:
    values = await asked(request)
    live = request.app[DESK].live
    live.session.set_look(look_in(values, live.session.look))
    if "view" in values:
        live.session.set_view(text_in(values, "view"))
    return web.json_response({})


@routes.delete("/api/live/{id}")
async def stop(request: web.Request) -> web.Response:
    await request.app[DESK].live.stop(request.match_info["id"])
    return web.json_response({})


@routes.post("/api/live/snapshot")
async def snapshot(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    paths = await desk.work(desk.live.session.snapshot)
    return web.json_response({"files": [path.name for path in paths]})


@routes.post("/api/live/recording/start")
async def start_recording(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    await desk.work(desk.live.session.start_recording)
    return web.json_response({})


@routes.post("/api/live/recording/stop")
async def stop_recording(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    path = await desk.work(desk.live.session.stop_recording)
    return web.json_response({"files": [path.name] if path else []})


@routes.get("/api/captures/{name}")
async def capture(request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    path = capture_named(request.app[DESK].places.results, name)
    return file_response(path, name, download=True)
