"""The cache of engines: hits, damaged and rejected engines, two processes that want the same."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import one_line, run
from tests.support.published import random_checkpoint
from zerodce_rt.backends.tensorrt.engines import (
    EngineCache,
    EngineKey,
    EngineRejected,
    weights_digest,
)

KEY = EngineKey(
    backend="tensorrt-rtx", model="plus", weights="ab12", height=36, width=64,
    types="float16 to float16", target="sm89", gpu="RTX 4090", driver="580.1",
    versions={"tensorrt_rtx": "1.7"},
)  # fmt: skip


class Factory:
    """Builds engines and counts them."""

    def __init__(self, engine: bytes = b"an engine") -> None:
        self.engine, self.built = engine, 0

    def __call__(self) -> bytes:
        self.built += 1
        return self.engine


def unchanged(engine: bytes, new: bool) -> tuple[bytes, bool]:
    """What ``use`` gets."""
    return engine, new


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    tmp_path.chmod(0o700)
    return EngineCache(tmp_path)


def engine_file(cache: EngineCache) -> Path:
    assert cache.folder is not None
    (file,) = cache.folder.glob("*.engine")
    return file


def test_an_engine_is_built_once(cache: EngineCache) -> None:
    factory = Factory()
    assert cache.load(KEY, factory, unchanged) == (b"an engine", True)
    assert cache.load(KEY, factory, unchanged) == (b"an engine", False)
    assert EngineCache(cache.folder).load(KEY, factory, unchanged) == (b"an engine", False)
    assert factory.built == 1


@pytest.mark.parametrize("field", [f.name for f in fields(EngineKey)])
def test_another_value_in_any_field_of_the_key_is_another_engine(
    cache: EngineCache, field: str
) -> None:
    value: Any = getattr(KEY, field)
    if isinstance(value, dict):
        changed: Any = {name: f"{version}x" for name, version in value.items()}
    else:
        changed = value + (1 if isinstance(value, int) else "x")
    other = replace(KEY, **{field: changed})
    factory = Factory()
    cache.load(KEY, factory, unchanged)
    assert cache.load(other, factory, unchanged)[1]
    assert factory.built == 2
    assert not cache.load(KEY, factory, unchanged)[1]


def test_other_weights_have_another_digest() -> None:
    checkpoint = random_checkpoint("plus")
    same = replace(checkpoint, weights={n: w.copy() for n, w in checkpoint.weights.items()})
    assert weights_digest(checkpoint) == weights_digest(same)
    name = next(iter(same.weights))
    same.weights[name].flat[0] = np.nextafter(same.weights[name].flat[0], 9)
    assert weights_digest(checkpoint) != weights_digest(same)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "is damaged"),
        (lambda file: file.write_bytes(b""), "is damaged"),
        (lambda file: file.with_suffix(".json").unlink(), "cannot be read"),
        (lambda file: file.with_suffix(".json").write_text("{"), "cannot be read"),
        (lambda file: file.with_suffix(".json").write_text("[]"), "cannot be read"),
    ],
)
def test_a_damaged_engine_is_built_again(
    cache: EngineCache, spoil: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    factory = Factory()
    cache.load(KEY, factory, unchanged)
    spoil(engine_file(cache))
    assert cache.load(KEY, factory, unchanged) == (b"an engine", True)
    assert factory.built == 2
    (record,) = caplog.records
    assert reason in record.getMessage()
    assert "building it again" in record.getMessage()
    assert not cache.load(KEY, factory, unchanged)[1]


def test_an_engine_whose_facts_differ_is_built_again(cache: EngineCache) -> None:
    factory = Factory()
    cache.load(KEY, factory, unchanged)
    facts = engine_file(cache).with_suffix(".json")
    facts.write_text(facts.read_text().replace("RTX 4090", "RTX 3060"))
    assert cache.load(KEY, factory, unchanged)[1]
    assert factory.built == 2


def test_an_engine_that_does_not_run_is_built_again_once(
    cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.load(KEY, Factory(b"old"), unchanged)

    def use(engine: bytes, new: bool) -> bytes:
        if engine == b"old":
            raise EngineRejected("made by another version")
        return engine

    assert cache.load(KEY, Factory(b"new"), use) == b"new"
    assert "made by another version" in caplog.text
    assert cache.load(KEY, Factory(b"never"), use) == b"new"
    with pytest.raises(EngineRejected, match="another version"):
        cache.load(replace(KEY, driver="581"), Factory(b"old"), use)
    assert len(list(cache)) == 1, "a rejected engine is not kept"


def test_an_engine_that_cannot_be_kept_is_used_all_the_same(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert cache.load(KEY, Factory(), unchanged) == (b"an engine", True)
    (record,) = caplog.records
    assert "cannot be kept in the cache ([Errno 28] No space left" in record.getMessage()
    assert list(cache) == []


def test_a_build_that_fails_leaves_nothing(cache: EngineCache) -> None:
    def fail() -> bytes:
        raise RuntimeError("no such layer")

    with pytest.raises(RuntimeError, match="no such layer"):
        cache.load(KEY, fail, unchanged)
    assert list(cache) == []
    assert cache.load(KEY, Factory(), unchanged)[1], "the lock is free again"


def test_two_processes_build_once(cache: EngineCache) -> None:
    program = f"""
import sys, time
sys.path.insert(0, {os.getcwd()!r})
from pathlib import Path
from tests.backends.tensorrt.test_engines import KEY, unchanged
from zerodce_rt.backends.tensorrt.engines import EngineCache

def build():
    print("building", flush=True)
    time.sleep(1.5)
    return b"an engine"

print(EngineCache(Path({str(cache.folder)!r})).load(KEY, build, unchanged)[1])
"""
    both = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = "".join(process.communicate(timeout=60)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert printed.count("building") == 1
    assert sorted(printed.split()) == ["False", "True", "building"]


def test_waiting_for_another_process_is_logged(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("zerodce_rt.backends.tensorrt.engines._PATIENCE_SECONDS", 0.1)
    building = threading.Event()

    def build() -> bytes:
        building.set()
        time.sleep(0.5)
        return b"an engine"

    first = threading.Thread(target=cache.load, args=(KEY, build, unchanged))
    first.start()
    assert building.wait(10)
    with caplog.at_level(logging.INFO, logger="zerodce_rt"):
        assert not EngineCache(cache.folder).load(KEY, Factory(), unchanged)[1]
    first.join()
    assert "waiting for another process" in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_folder_that_others_may_write_to_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.chmod(0o777)
    cache, factory = EngineCache(tmp_path), Factory()
    assert "others may write" in caplog.text
    for _ in range(2):
        assert cache.load(KEY, factory, unchanged)[1]
    assert factory.built == 2
    assert list(tmp_path.iterdir()) == []


def test_companions_are_deleted_with_their_engine(cache: EngineCache) -> None:
    cache.load(KEY, Factory(), unchanged)
    other = replace(KEY, target="sm120")
    cache.load(other, Factory(), unchanged)
    for key in (KEY, other):
        companion = cache.companion(key, "RTX-4090.jit")
        assert companion is not None
        companion.write_bytes(b"compiled")
    assert cache.folder is not None
    damaged = cache.folder / f"{KEY.stem}.engine"
    damaged.write_bytes(b"")
    cache.load(KEY, Factory(), unchanged)
    left = sorted(p.name for p in cache.folder.glob("*.jit"))
    assert left == [f"{other.stem}.RTX-4090.jit"]
    assert cache.clear() == 2
    assert list(cache.folder.iterdir()) == []


def test_the_cache_lists_complete_engines(cache: EngineCache) -> None:
    cache.load(KEY, Factory(), unchanged)
    cache.load(replace(KEY, target="sm120"), Factory(b"a longer engine"), unchanged)
    assert cache.folder is not None
    (cache.folder / "other.engine").write_bytes(b"no JSON beside it")
    engines = {engine.key["target"]: engine for engine in cache}
    assert set(engines) == {"sm89", "sm120"}
    assert engines["sm120"].bytes == len(b"a longer engine")
    assert json.loads(engines["sm89"].path.with_suffix(".json").read_text())["key"]["width"] == 64


@pytest.mark.parametrize("terminal", [True, False])
def test_a_long_build_shows_progress(
    cache: EngineCache,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
) -> None:
    def build() -> bytes:
        time.sleep(2.5)
        return b"an engine"

    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with caplog.at_level(logging.INFO, logger="zerodce_rt"):
        cache.load(KEY, Factory(), unchanged)
        assert capsys.readouterr().err + caplog.text == ""
        cache.load(replace(KEY, width=65), build, unchanged, usually_seconds=30)
    printed = capsys.readouterr().err
    shown = printed if terminal else caplog.text
    assert "compiling plus at 65x36 for RTX 4090 (usually 30 s)" in shown
    assert ("00:02" in shown) == terminal
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="zerodce_rt"):  # --quiet
        cache.load(replace(KEY, width=66), build, unchanged)
    assert capsys.readouterr().err + caplog.text == ""


# The command


@pytest.fixture
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command's cache folder, for one test."""
    folder = tmp_path / "engines"
    folder.mkdir(mode=0o700)
    monkeypatch.setattr("zerodce_rt.backends.tensorrt.engines.cache_folder", lambda _: str(folder))
    return folder


def test_the_command_lists_and_clears(
    user_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("engines", "list", "--quiet") == 0
    assert capsys.readouterr().out == "no engines yet\n"
    EngineCache().load(KEY, Factory(), unchanged)
    assert run("engines", "list") == 0
    shown = capsys.readouterr()
    for word in ("tensorrt-rtx", "plus", "64x36", "sm89", "RTX 4090"):
        assert word in one_line(shown.out)
    assert str(user_folder) in shown.err
    assert run("engines", "clear") == 0
    assert capsys.readouterr().out == "1 engine deleted\n"
    assert list(user_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["build", "--target", "sm90"], 1, "sm75, sm80"),
        (["build", "--target", "sm89", "--backend", "tensorrt"], 2, "--target"),
        (["build", "--target", "sm89", "--working-size", "huge"], 2, "--working-size must be"),
        (["build", "--target", "sm89", "--working-size", "full", "--model", "light"], 2,
         "--working-size full is for plus and dcenet"),
        (["burn"], 2, "invalid choice"),
    ],
)  # fmt: skip
def test_wrong_usage_is_reported(
    user_folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    assert run("engines", *arguments) == code
    assert words in capsys.readouterr().err
    assert list(user_folder.iterdir()) == []
