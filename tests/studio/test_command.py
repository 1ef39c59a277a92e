"""``zerodce-rt studio``: what it needs, how it begins, how it ends."""

from __future__ import annotations

import datetime
import http.client
import json
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import one_line, run
from tests.support.commands import start
from tests.support.media import write_video
from tests.support.studio import require_studio, studio
from zerodce_rt.cli import studio as command
from zerodce_rt.cli.doctor import report


def test_missing_packages_are_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_OLDEST_PYTHON", (3, 0))
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert run("studio") == 1
    assert one_line(capfd.readouterr().err) == (
        "zerodce-rt: studio needs aiohttp and aiortc; pip install 'zerodce-rt[studio]'"
    )
    assert "studio needs aiohttp and aiortc; pip install" in report()


def test_an_older_python_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_OLDEST_PYTHON", (3, 99))
    assert run("studio") == 1
    assert "studio needs Python 3.99 or later" in one_line(capfd.readouterr().err)


def test_nothing_of_it_is_imported_before_it_is_used() -> None:
    code = (
        "import sys; from zerodce_rt.cli.parser import build_parser; build_parser()\n"
        "assert not {'aiohttp', 'aiortc', 'av', 'zerodce_rt.studio'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_in_the_midst_of_work(tmp_path: Path, number: signal.Signals) -> None:
    require_studio()
    media, temporary = tmp_path / "media", tmp_path / "temporary"
    media.mkdir()
    temporary.mkdir()
    write_video(media / "long.mp4", frames=900, size=(320, 180))
    process = start(
        "studio", "--no-browser", "--port", 0, "--folder", media,
        environment={"TMPDIR": str(temporary)},
    )  # fmt: skip
    assert process.stdout is not None
    address = process.stdout.readline().removeprefix("Studio: ").strip()
    parts = urlsplit(address)

    def ask(method: str, path: str, values: object = None) -> object:
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
        connection.request(method, f"{parts.path}api/{path}", json.dumps(values))
        return json.loads(connection.getresponse().read())

    file = ask("POST", "folder", {"path": "long.mp4"})
    assert isinstance(file, dict)
    ask("POST", "jobs", {"file": file["id"]})
    until = time.monotonic() + 240
    while not (isinstance(jobs := ask("GET", "jobs"), list) and jobs[0]["frames"] > 20):
        assert time.monotonic() < until
        time.sleep(0.02)
    began = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - began < 6
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert list(temporary.iterdir()) == []


def test_with_a_certificate_it_is_served_by_https(tmp_path: Path) -> None:
    require_studio()
    write_certificate(tmp_path / "studio.pem")
    with studio("--certificate", tmp_path / "studio.pem") as address:
        parts = urlsplit(address)
        assert parts.scheme == "https"
        context = ssl.create_default_context(cafile=tmp_path / "studio.pem")
        connection = http.client.HTTPSConnection("localhost", parts.port, context=context)
        origin = f"https://localhost:{parts.port}"
        connection.request("GET", f"{parts.path}api/studio", headers={"Origin": origin})
        assert connection.getresponse().status == 200


def write_certificate(path: Path) -> None:
    """Write a key and a certificate for localhost that it has signed itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )  # fmt: skip
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
