"""Who may ask a studio what: everybody else is refused, and nothing is left behind."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.support.commands import command
from tests.support.media import write_video
from tests.support.studio import require_studio, studio

SMALL_GB = 0.0005


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)


class Client:
    """Sends what browsers would not."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        assert parts.hostname is not None
        assert parts.port is not None
        self.host, self.port, self.base = parts.hostname, parts.port, parts.path

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Ask for a path after the token; or for any, if it begins with a slash."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        whole = path if path.startswith("/") else self.base + path
        connection.request(method, whole, body, names)
        answer = connection.getresponse()
        found = Answer(answer.status, dict(answer.headers), answer.read())
        connection.close()
        return found

    def json(self, method: str, path: str, values: object = None, **headers: str) -> Answer:
        body = None if values is None else json.dumps(values).encode()
        return self.ask(method, path, body, Content_Type="application/json", **headers)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Media in a folder that the studio gets, and others beside it."""
    root = tmp_path_factory.mktemp("media")
    inside, outside = root / "inside", root / "outside"
    (inside / "sub").mkdir(parents=True)
    outside.mkdir()
    write_video(inside / "sub" / "night.mp4")
    write_video(outside / "secret.mp4")
    (inside / "notes.mp4").write_text("this is text")
    (inside / ".hidden.mp4").write_bytes((outside / "secret.mp4").read_bytes())
    (inside / "link.mp4").symlink_to(outside / "secret.mp4")
    (inside / "linked").symlink_to(outside, target_is_directory=True)
    return inside


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def client(folder: Path, temporary: Path) -> Iterator[Client]:
    require_studio()
    options = ("--folder", folder, "--max-upload", SMALL_GB)
    with studio(*options, environment={"TMPDIR": str(temporary)}) as address:
        yield Client(address)
    assert list(temporary.iterdir()) == [], "something was left behind"


def test_the_page_and_its_files_are_served(client: Client) -> None:
    page = client.ask("GET", "")
    assert page.status == 200
    assert b"<title>zerodce-rt studio</title>" in page.body
    assert client.ask("GET", "main.js").headers["Content-Type"].startswith("text/javascript")
    assert client.ask("GET", "api/studio").data["folder"] == "inside"


def test_every_answer_tells_the_browser_what_it_may_do(client: Client) -> None:
    for path in ("", "studio.css", "api/studio", "api/nothing"):
        headers = client.ask("GET", path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/studio.css", "/api/studio", "/wrong/", "//", "/%00/"])
def test_without_the_token_nothing_is_answered(client: Client, path: str) -> None:
    answer = client.ask("GET", path)
    assert answer.status in (400, 403)
    assert b"studio</title>" not in answer.body


def test_a_token_that_is_nearly_right_is_wrong(client: Client) -> None:
    token = client.base.strip("/")
    for wrong in (token[:-1], token + "A", token.swapcase(), token[::-1]):
        assert client.ask("GET", f"/{wrong}/api/studio").status == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "10.1.2.3:{port}",
                                  "127.0.0.1.evil.example", "", "[::ffff:10.1.2.3]"])  # fmt: skip
def test_names_that_are_not_this_machine_s_are_refused(client: Client, host: str) -> None:
    """DNS rebinding: a site's name that leads to our address."""
    assert client.ask("GET", "api/studio", Host=host.format(port=client.port)).status == 403


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}"])
def test_names_of_this_machine_are_taken(client: Client, host: str) -> None:
    assert client.ask("GET", "api/studio", Host=host.format(port=client.port)).status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1",
                                    "http://localhost:{port}", "file://"])  # fmt: skip
def test_other_pages_are_refused(client: Client, origin: str) -> None:
    given = origin.format(port=client.port)
    for method, path in (("POST", "api/jobs"), ("DELETE", "api/live/x"), ("GET", "api/studio")):
        assert client.json(method, path, {}, Origin=given).status == 403
    own = f"http://{client.host}:{client.port}"
    assert client.json("GET", "api/studio", Origin=own).status == 200


def test_what_a_browser_says_of_another_site_is_believed(client: Client) -> None:
    for site, mode, status in (
        ("cross-site", "no-cors", 403), ("same-site", "cors", 403), ("cross-site", "navigate", 200),
        ("none", "navigate", 200), ("same-origin", "cors", 200),
    ):  # fmt: skip
        answer = client.ask("GET", "", Sec_Fetch_Site=site, Sec_Fetch_Mode=mode)
        assert answer.status == status, (site, mode)


def test_only_what_is_in_the_folder_is_listed(client: Client) -> None:
    assert client.ask("GET", "api/folder").data == ["notes.mp4", "sub/night.mp4"]


@pytest.mark.parametrize("path", [
    "../outside/secret.mp4", "sub/../../outside/secret.mp4", "link.mp4", "linked/secret.mp4",
    ".hidden.mp4", "/etc/passwd", "{outside}/secret.mp4", "sub", "", ".", "..", "sub\0/night.mp4",
    "..\\outside\\secret.mp4", "C:\\secret.mp4", "no_such.mp4", "~/secret.mp4",
])  # fmt: skip
def test_no_path_leads_out_of_the_folder(client: Client, folder: Path, path: str) -> None:
    given = path.format(outside=folder.parent / "outside")
    answer = client.json("POST", "api/folder", {"path": given})
    assert answer.status == 400
    assert answer.data == {"error": "there is no such file in the folder"}


@pytest.mark.parametrize("path", [
    "../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "api/captures/..%2f..%2fetc%2fpasswd",
    "api/captures/x.png", "api/files/..%2f..%2fx/content", "api/jobs/../result",
])  # fmt: skip
def test_no_address_leads_to_a_file(client: Client, path: str) -> None:
    answer = client.ask("GET", path)
    assert answer.status in (400, 403, 404)
    assert b"root:" not in answer.body


def test_a_file_of_the_folder_is_chosen_and_seen(client: Client, folder: Path) -> None:
    found = client.json("POST", "api/folder", {"path": "sub/night.mp4"}).data
    assert (found["name"], found["kind"], found["width"]) == ("night.mp4", "video", 96)
    assert not {"path", "folder"} & found.keys()
    assert str(folder) not in json.dumps(found)
    again = client.json("POST", "api/folder", {"path": "sub/night.mp4"}).data
    assert again["id"] == found["id"]
    content = client.ask("GET", f"api/files/{found['id']}/content", Range="bytes=4-7")
    assert (content.status, content.body) == (206, b"ftyp")
    client.ask("DELETE", f"api/files/{found['id']}")
    assert (folder / "sub" / "night.mp4").exists(), "it was not ours to delete"


def test_what_is_no_video_is_refused_in_a_line(client: Client, folder: Path) -> None:
    answer = client.json("POST", "api/folder", {"path": "notes.mp4"})
    assert answer.status == 400
    assert answer.data["error"].startswith("notes.mp4: ")
    assert str(folder) not in answer.data["error"]


def uploads(temporary: Path) -> list[Path]:
    (private,) = temporary.iterdir()
    return list((private / "uploads").iterdir())


def test_uploads_are_private_and_deleted(client: Client, folder: Path, temporary: Path) -> None:
    data = (folder / "sub" / "night.mp4").read_bytes()
    name = quote("../../a\u202e<b>.mp4")
    found = client.ask("PUT", f"api/files?name={name}", data).data
    assert found["name"] == "a__b_.mp4"
    (stored,) = uploads(temporary)
    assert stored.read_bytes() == data
    if os.name == "posix":
        assert stat.S_IMODE(stored.parents[1].stat().st_mode) == 0o700
    picture = client.ask("GET", f"api/files/{found['id']}/after.jpg?at=0.1&strength=1")
    assert (picture.status, picture.headers["Content-Type"]) == (200, "image/jpeg")
    assert client.ask("DELETE", f"api/files/{found['id']}").status == 200
    assert uploads(temporary) == []
    assert client.ask("GET", f"api/files/{found['id']}/content").status == 400


def test_uploads_that_are_too_large_are_refused(client: Client, temporary: Path) -> None:
    """By their header, before anything is read; and without one, when they have come so far."""
    large = bytes(round(SMALL_GB * 1e9) + 1)
    answer = client.ask("PUT", "api/files?name=a.mp4", large)
    assert answer.status == 413
    assert "too large" in answer.data["error"]
    assert uploads(temporary) == []
    with socket.create_connection((client.host, client.port), timeout=20) as raw:
        head = (
            f"PUT {client.base}api/files?name=a.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        )
        raw.sendall(head.encode())
        for _ in range(8):
            raw.sendall(b"20000\r\n" + bytes(0x20000) + b"\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 413")
    assert uploads(temporary) == []


def test_an_upload_that_breaks_off_leaves_nothing(client: Client, temporary: Path) -> None:
    with socket.create_connection((client.host, client.port), timeout=20) as raw:
        head = f"PUT {client.base}api/files?name=a.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        raw.sendall(head.encode() + b"Content-Length: 100000\r\n\r\n" + bytes(1000))
        wait(lambda: uploads(temporary))
    wait(lambda: not uploads(temporary))


def wait(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("name", ["a.txt", "a.svg", "a.html", "a", "", "a.mp4.exe", "%00.mp4x"])
def test_other_kinds_of_file_are_refused(client: Client, temporary: Path, name: str) -> None:
    assert client.ask("PUT", f"api/files?name={name}", b"data").status == 400
    assert uploads(temporary) == []


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b"7", b'{"offer": 1}', b"\xff", b"[" * 90_000])
def test_what_is_no_request_is_refused(client: Client, body: bytes) -> None:
    for method, path in (("POST", "api/live"), ("POST", "api/jobs"), ("PATCH", "api/live")):
        answer = client.ask(method, path, body)
        assert answer.status == 400, answer
        assert answer.data["error"]


@pytest.mark.parametrize("values", [
    {"offer": "v=0", "source": "browser", "view": "split"},
    {"offer": "", "source": "0", "view": "split"},
    {"offer": "v=0", "source": "rtsp://10.0.0.1/x", "view": "split"},
    {"offer": "v=0", "source": "browser", "view": "split", "strength": 7},
    {"offer": "v=0", "source": "browser", "view": "split", "strength": "NaN"},
])  # fmt: skip
def test_a_session_that_cannot_be_is_refused(client: Client, values: dict[str, Any]) -> None:
    answer = client.json("POST", "api/live", values)
    assert answer.status == 400
    assert client.ask("GET", "api/live").data["state"] == "off"


def test_large_requests_are_refused(client: Client) -> None:
    assert client.ask("POST", "api/jobs", bytes(300_000)).status == 413


def test_a_port_in_use_is_said_in_a_line(client: Client) -> None:
    code, said = command("studio", "--no-browser", "--port", client.port)
    assert code == 1
    assert said == (
        f"zerodce-rt: 127.0.0.1:{client.port}: is in use by another program; choose another "
        "--port\n"
    )


@pytest.mark.parametrize(("options", "said"), [
    (["--port", "70000"], "--port must be 0 to 65535"),
    (["--folder", "/no/such"], "/no/such: no such folder"),
    (["--key", "x.pem"], "--key needs --certificate"),
    (["no_such.mp4"], "no_such.mp4: no such file"),
    (["ftp://example.org/x"], "unknown kind of stream"),
    (["--backend", "none"], "unknown backend 'none'"),
    (["--strength", "7"], "must be between 0 and 1"),
    (["--certificate", __file__], "cannot be used as a certificate"),
    (["--host", "10.255.255.1", "--port", "0"], "cannot be used"),
])  # fmt: skip
def test_settings_that_cannot_be_are_said_in_a_line(options: list[str], said: str) -> None:
    require_studio()
    code, error = command("studio", "--no-browser", *options)
    assert code in (1, 2)
    last = error.strip().splitlines()[-1]
    assert said in last
    assert "Traceback" not in error


def test_another_host_says_what_it_means() -> None:
    require_studio()
    with studio("--host", "0.0.0.0", stderr=None) as address:
        client = Client(address)
        assert client.ask("GET", "api/studio", Host=f"192.0.2.7:{client.port}").status == 200
        assert client.ask("GET", "api/studio", Host="evil.example").status == 403


@pytest.mark.parametrize(("host", "own"), [
    ("127.0.0.1", ["127.0.0.1"]), ("studio.local", ["studio.local"]), ("0.0.0.0", ["127.0.0.1"]),
    ("::", ["::1"]),
])  # fmt: skip
def test_addresses_can_be_opened(host: str, own: list[str]) -> None:
    """None is that of all interfaces, which leads nowhere from another machine."""
    require_studio()
    from zerodce_rt.studio.server import _reached_at

    found = _reached_at(host)
    assert found[:1] == own
    for address in found[1:]:
        assert not ipaddress.ip_address(address).is_unspecified
        assert not ipaddress.ip_address(address).is_loopback
