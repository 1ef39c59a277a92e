"""The cache of compiled kernels: damaged, full, missing, or in a place where others may write."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# One small kernel, so that it is compiled in a second.
_RUN = """
import sys
import numpy as np
from zerodce_rt.backends.cpu.compiling import compiled

def twice(values):
    for i in range(values.size):
        values[i] *= 2

kernel = compiled(twice)
values = np.ones(3, np.float32)
kernel(values)
assert (values == 2).all()
(hits,) = kernel.stats.cache_hits.values() or (0,)
print("loaded" if hits else "compiled")
"""


def run(folder: Path, cache: Path, **variables: str) -> tuple[str, str]:
    """Run a kernel with a cache folder: what was done, and standard error."""
    script = folder / "script.py"
    if not script.exists():
        script.write_text(_RUN)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment | variables,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def kernels(cache: Path) -> list[Path]:
    return list(cache.glob("script.twice-*.kernel"))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache that holds the kernel."""
    folder = tmp_path / "cache"
    assert run(tmp_path, folder) == ("compiled", "")
    assert run(tmp_path, folder) == ("loaded", "")
    return folder


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:32],
        lambda data: bytes(reversed(data)),
        lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:],
        lambda data: data[:-1] + bytes([data[-1] ^ 128]),
    ],
    ids=["empty", "halved", "only the digest", "random", "a bit of the start", "a bit of the end"],
)
def test_a_damaged_kernel_is_compiled_again(
    damage: Callable[[bytes], bytes], cache: Path, tmp_path: Path
) -> None:
    (kernel,) = kernels(cache)
    kernel.write_bytes(damage(kernel.read_bytes()))
    assert run(tmp_path, cache) == ("compiled", "")
    assert run(tmp_path, cache) == ("loaded", "")


def test_a_changed_source_is_compiled_again_and_replaces_the_old(
    cache: Path, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(_RUN.replace("*= 2", "+= 1"))
    assert run(tmp_path, cache)[0] == "compiled"
    assert run(tmp_path, cache)[0] == "loaded"
    assert len(kernels(cache)) == 1


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_what_others_may_have_put_there_is_not_run(cache: Path, tmp_path: Path) -> None:
    (kernel,) = kernels(cache)

    class Planted:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'planted'}",)

    kernel.write_bytes(pickle.dumps(Planted()))
    cache.chmod(0o777)
    what, error = run(tmp_path, cache)
    assert what == "compiled"
    assert "others may write there" in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("kind", ["file", "no home", "below a file"])
def test_without_a_cache_nothing_is_written_elsewhere(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    before = compiled_files(ROOT / "zerodce_rt")
    cache, variables = tmp_path / "file", {}
    if kind == "below a file":
        cache /= "cache"
    elif kind == "no home":
        variables = {"NUMBA_CACHE_DIR": "", "HOME": "/nonexistent", "XDG_CACHE_HOME": ""}
        if os.name != "posix" or os.access("/", os.W_OK):
            variables["HOME"] = str(tmp_path / "file")
    for _ in range(2):
        what, error = run(tmp_path, cache, **variables)
        assert what == "compiled"
        assert "not used as a cache" in error
        assert len(error.splitlines()) == 1
    assert compiled_files(ROOT / "zerodce_rt") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "script.py"]


def test_a_full_disk_under_the_cache_costs_time_only(small_disk: Path, tmp_path: Path) -> None:
    cache = small_disk / "cache"
    cache.mkdir(mode=0o700)
    fill(small_disk)
    what, error = run(tmp_path, cache)
    assert what == "compiled"
    assert "No space left on device" in error
    assert len(error.splitlines()) == 1
    assert not list(cache.iterdir())
    shutil.rmtree(cache)


def compiled_files(folder: Path) -> set[Path]:
    """Numba's files and ours."""
    return {p for p in folder.rglob("*") if p.suffix in (".nbi", ".nbc", ".kernel")}


def fill(disk: Path) -> None:
    """Take all room of a disk."""
    with open(disk / "fill", "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
