"""The addresses of files: sending, looking, enhancing, fetching."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.studio.desk import DESK, Desk, asked, file_response, look_in, number_in, text_in
from zerodce_rt.studio.jobs import Job
from zerodce_rt.studio.library import MediaFile

routes = web.RouteTableDef()

_CHUNK_BYTES = 1 << 20
# What a disk keeps for others.
_SPARE_BYTES = 500_000_000
_LONGEST_SECONDS = 1e7


def _file(file: MediaFile) -> dict[str, Any]:
    """A file as the page knows it: not where it is."""
    names = "id name kind width height seconds fps sent".split()
    return {name: getattr(file, name) for name in names}


def _job(job: Job) -> dict[str, Any]:
    names = "id state frames expected seconds_left fps error".split()
    return {name: getattr(job, name) for name in names} | {
        "file": job.file.id, "name": job.output.name, "kind": job.file.kind,
        "strength": job.look.strength, "denoise": job.look.denoise,
    }  # fmt: skip


@routes.get("/api/files")
async def listed(request: web.Request) -> web.Response:
    return web.json_response([_file(f) for f in request.app[DESK].library.files()])


@routes.put("/api/files")
async def send(request: web.Request) -> web.Response:
    desk, name = request.app[DESK], text_in(request.query, "name")
    path = desk.library.new_upload(name)
    try:
        await _receive(request, path, desk)
        return web.json_response(_file(await desk.work(desk.library.add_upload, path, name)))
    except BaseException:
        path.unlink(missing_ok=True)
        raise


async def _receive(request: web.Request, path: Path, desk: Desk) -> None:
    """Write what the page sends to a file, up to the limit."""
    _check_size(request.content_length or 0, path, desk)
    size = 0
    with path.open("xb") as file:
        async for chunk in request.content.iter_chunked(_CHUNK_BYTES):
            size += len(chunk)
            _check_size(size, path, desk)
            await desk.work(file.write, chunk)


def _check_size(size: int, path: Path, desk: Desk) -> None:
    most = desk.settings.max_upload_bytes
    if size > most:
        raise web.HTTPRequestEntityTooLarge(
            most, size, text=f"this file is too large: at most {most / 1e9:g} GB can be sent"
        )
    if size + _SPARE_BYTES > shutil.disk_usage(path.parent).free:
        raise web.HTTPInsufficientStorage(text="there is no room for this file on the disk")


@routes.delete("/api/files/{id}")
async def forget(request: web.Request) -> web.Response:
    desk, id = request.app[DESK], request.match_info["id"]
    if any(j.file.id == id and j.state in ("waiting", "running") for j in desk.jobs.all()):
        raise ZeroDCEError("this file is being enhanced; stop that first")
    await desk.work(desk.library.remove, id)
    return web.json_response({})


@routes.get("/api/folder")
async def folder(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    return web.json_response(await desk.work(desk.library.listing))


@routes.post("/api/folder")
async def choose(request: web.Request) -> web.Response:
    desk, values = request.app[DESK], await asked(request)
    found = await desk.work(desk.library.add_from_folder, text_in(values, "path"))
    return web.json_response(_file(found))


@routes.get("/api/files/{id}/content")
async def content(request: web.Request) -> web.StreamResponse:
    file = request.app[DESK].library.get(request.match_info["id"])
    return file_response(file.path, file.name, download=False)


@routes.get("/api/files/{id}/{side:before|after}.jpg")
async def preview(request: web.Request) -> web.Response:
    desk, query = request.app[DESK], request.query
    file = desk.library.get(request.match_info["id"])
    at = number_in(query, "at", 0, _LONGEST_SECONDS)
    look = look_in(query) if request.match_info["side"] == "after" else None
    make = partial(desk.previews.picture, file, at, look, nearby="nearby" in query)
    picture = await desk.work(make)
    return web.Response(body=picture, content_type="image/jpeg")


@routes.get("/api/jobs")
async def jobs(request: web.Request) -> web.Response:
    return web.json_response([_job(job) for job in request.app[DESK].jobs.all()])


@routes.post("/api/jobs")
async def enhance(request: web.Request) -> web.Response:
    desk, values = request.app[DESK], await asked(request)
    file = desk.library.get(text_in(values, "file"))
    return web.json_response(_job(desk.jobs.add(file, look_in(values))))


@routes.post("/api/jobs/{id}/{what:stop|resume}")
async def change(request: web.Request) -> web.Response:
    jobs, id = request.app[DESK].jobs, request.match_info["id"]
    (jobs.stop if request.match_info["what"] == "stop" else jobs.resume)(id)
    return web.json_response(_job(jobs.get(id)))


@routes.delete("/api/jobs/{id}")
async def remove(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    await desk.work(desk.jobs.remove, request.match_info["id"])
    return web.json_response({})


@routes.get("/api/jobs/{id}/result")
async def result(request: web.Request) -> web.StreamResponse:
    job = request.app[DESK].jobs.get(request.match_info["id"])
    if job.state != "done":
        raise ZeroDCEError(f"{job.output.name}: is not finished")
    return file_response(job.output, job.output.name, download="download" in request.query)
