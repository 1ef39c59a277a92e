"""What a studio is started with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from zerodce_rt.errors import UsageError, ZeroDCEError
from zerodce_rt.live.camera import CameraSettings
from zerodce_rt.live.feeds import open_feed
from zerodce_rt.names import DEFAULT_DENOISE

DEFAULT_PORT = 8765
GIGABYTE = 10**9


@dataclass(frozen=True)
class Look:
    """How pictures are to be enhanced.

    Attributes:
        strength, denoise: 0 to 1, as for ``Enhancer``.
    """

    strength: float = 1.0
    denoise: float = DEFAULT_DENOISE


@dataclass(frozen=True, kw_only=True)
class StudioSettings:
    """Where a studio listens, and what its page may reach.

    Attributes:
        host: address to listen at; other machines reach it only if it is not a loopback one.
        port: 0: one that is free.
        sources: cameras, streams and files of this machine that the page may show live, as
            ``live.open_feed`` takes them.
        folder: whose pictures and videos the page may open; None: of none.
        output: where results, snapshots and recordings stay; made if missing. None: in a private
            folder, which is deleted at the end.
        max_upload_bytes: a larger file is refused.
        look: where the page's sliders begin.
        camera: what to ask of a camera in ``sources``.
        certificate, key: PEM files, with which the page is served by https.

    Raises:
        UsageError: a setting outside its range.
        ZeroDCEError: a folder or file that does not exist, or a source that is none.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    sources: tuple[str, ...] = ()
    folder: Path | None = None
    output: Path | None = None
    max_upload_bytes: int = 4 * GIGABYTE
    look: Look = field(default_factory=Look)
    camera: CameraSettings = field(default_factory=CameraSettings)
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UsageError(f"`port` must be 0 to 65535, not {self.port}")
        if self.max_upload_bytes <= 0:
            raise UsageError("`max_upload` must be above 0")
        if self.key is not None and self.certificate is None:
            raise UsageError("`key` needs `certificate`")
        if self.folder is not None and not self.folder.is_dir():
            raise ZeroDCEError(f"{self.folder}: no such folder; choose another `folder`")
        for source in self.sources:
            open_feed(source)  # which opens nothing yet, but looks at its name
        for file in (self.certificate, self.key):
            if file is not None and not file.is_file():
                raise ZeroDCEError(f"{file}: no such file")
