"""How this package was installed, and the command that puts another beside it."""

from __future__ import annotations

import json
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import zerodce_rt

_EXTRAS = {
    "bench": "matplotlib", "raw": "rawpy", "ray": "ray", "rtx": "tensorrt_rtx",
    "storage": "fsspec[gcs,s3]", "studio": "aiortc aiohttp", "tensorrt": "torch-tensorrt",
    "vcam": "pyvirtualcam",
}  # fmt: skip


@dataclass(frozen=True)
class Installation:
    """How this package was installed, and so how others are put beside it.

    Attributes:
        kind: ``"checkout"``, ``"pip"``, ``"uv"``, ``"pipx"`` or ``"uv tool"``.
        source: the folder of a checkout; of the others, what to give to the installer for this
            package.
        installer: what puts packages into the environment of a checkout.
    """

    kind: str
    source: str = "zerodce-rt"
    installer: str = "pip"

    @classmethod
    def found(cls) -> Installation:
        """That of the running program."""
        from importlib.metadata import PackageNotFoundError, distribution

        source, installer = "zerodce-rt", "pip"
        try:
            distributed = distribution("zerodce-rt")
            installer = (distributed.read_text("INSTALLER") or "pip").strip()
            source = _source(distributed.read_text("direct_url.json"))
        except PackageNotFoundError:  # run from a folder that was only unpacked
            pass
        installer = "uv" if installer == "uv" else "pip"
        if Path(sys.prefix, "pipx_metadata.json").exists():
            return cls("pipx", source)
        if Path(sys.prefix, "uv-receipt.toml").exists():
            return cls("uv tool", source)
        folder = Path(zerodce_rt.__file__).parents[1]
        if (folder / "pyproject.toml").exists():
            return cls("checkout", str(folder), installer)
        return cls(installer, source)

    @property
    def name(self) -> str:
        """What to say of it."""
        if self.kind == "checkout":
            return f"from the checkout in {self.source}"
        return f"by {self.kind}"

    def command(self, requirement: str, index: str = "") -> str:
        """The command that installs something beside this package.

        >>> Installation("pip").command("zerodce-rt[raw]")
        "pip install 'zerodce-rt[raw]'"
        >>> Installation("pipx").command("zerodce-rt[raw]")
        'pipx inject zerodce-rt rawpy'

        Args:
            requirement: a package, or ``zerodce-rt[EXTRA]``.
            index: address of a further index that it needs.
        """
        extra = re.fullmatch(r"zerodce-rt\[(.*)\]", requirement)
        packages = _EXTRAS[extra[1]].split() if extra else [requirement]
        package = shlex.join(packages)
        at = f" --extra-index-url {index}" if index else ""
        if self.kind == "pipx":
            return f"pipx inject zerodce-rt {package}" + (f" --pip-args='{at[1:]}'" if at else "")
        if self.kind == "uv tool":
            wanted = " ".join(f"--with {shlex.quote(name)}" for name in packages)
            return f"uv tool install {shlex.quote(self.source)} {wanted}{at}"
        program = "uv pip install" if "uv" in (self.kind, self.installer) else "pip install"
        if extra and self.kind == "checkout":
            folder = "." if Path.cwd() == Path(self.source) else self.source
            return f"{program} -e '{folder}[{extra[1]}]'{at}"
        return f"{program} {shlex.quote(requirement)}{at}"

    def fitting(self, text: str) -> str:
        """A text with the commands ``pip install PACKAGE`` in it replaced by those that fit."""
        return re.sub(
            r"\bpip install ('[^']+'|[A-Za-z][\w.-]*\w)(?: --extra-index-url ([^\s,]+))?",
            lambda found: self.command(found[1].strip("'"), found[2] or ""),
            text,
        )


def _source(direct_url: str | None) -> str:
    """What an installer takes for this package, by the note of where it came from (PEP 610)."""
    if direct_url is None:
        return "zerodce-rt"
    note = json.loads(direct_url)
    prefix = f"{note['vcs_info']['vcs']}+" if "vcs_info" in note else ""
    return f"zerodce-rt @ {prefix}{note['url']}"
