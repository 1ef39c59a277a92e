"""torch-tensorrt: its wheels have what is called here, and a failing import gives one line."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import require_gpu
from tests.support.published import random_checkpoint
from zerodce_rt.backends.cuda.cudnn_network import pytorch_model
from zerodce_rt.backends.interfaces import BackendUnavailable
from zerodce_rt.backends.tensorrt import importing
from zerodce_rt.backends.tensorrt.importing import TorchTensorRT, load, matching
from zerodce_rt.backends.tensorrt.torch_tensorrt_network import (
    build_options,
    exported,
    module_options,
)
from zerodce_rt.network.checkpoint import load_bundled
from zerodce_rt.network.light_wiring import CONVOLUTIONS

# The last installs the same module, for GeForce RTX cards.
WHEELS = ("torch-tensorrt==2.11.0", "torch-tensorrt==2.13.0", "torch-tensorrt-rtx==2.13.0")


@pytest.fixture(scope="session")
def wheel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheels")


def unpacked(requirement: str, folder: Path) -> Path:
    """A real wheel of torch-tensorrt, unpacked and not installed."""
    target = folder / requirement
    if not target.exists():
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
            "--only-binary", ":all:", "--dest", str(folder), requirement,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = f"{requirement} cannot be downloaded: {done.stderr.strip()[-200:]}"
            if os.environ.get("ZERODCE_RT_REQUIRE_WHEELS"):
                pytest.fail(reason)
            pytest.skip(reason)
        (wheel,) = folder.glob(requirement.replace("-", "_").replace("==", "-") + "-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
    return target


def definition(file: Path, name: str) -> Any:
    """A function or class in a file, which is not imported."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    (found,) = [n for n in ast.walk(tree) if getattr(n, "name", None) == name]
    return found


def parameters(function: ast.FunctionDef) -> set[str]:
    """Names of a function's own parameters; ``**kwargs`` would accept any."""
    return {a.arg for a in [*function.args.args, *function.args.kwonlyargs]}


def imported_names(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def recorder(made: list[dict[str, Any]]) -> Any:
    def make(**options: Any) -> None:
        made.append(options)

    return make


@pytest.mark.parametrize("requirement", WHEELS)
def test_the_wheel_has_what_is_called_here(requirement: str, wheel_folder: Path) -> None:
    package = unpacked(requirement, wheel_folder) / "torch_tensorrt"
    settings: list[dict[str, Any]] = []
    devices: list[dict[str, Any]] = []
    api = TorchTensorRT(None, None, recorder(settings), recorder(devices), {})

    assert "convert_exported_program_to_serialized_trt_engine" in imported_names(
        package / "dynamo" / "__init__.py"
    )
    convert = definition(
        package / "dynamo" / "_compiler.py", "convert_exported_program_to_serialized_trt_engine"
    )
    options = {*build_options(api, []), "timing_cache_path"}
    assert options <= parameters(convert)
    assert convert.args.args[0].arg == "exported_program"

    assert "TorchTensorRTModule" in imported_names(package / "dynamo" / "runtime" / "__init__.py")
    runner = definition(
        package / "dynamo" / "runtime" / "_TorchTensorRTModule.py", "TorchTensorRTModule"
    )
    (init,) = [n for n in runner.body if getattr(n, "name", None) == "__init__"]
    assert set(module_options(api)) <= parameters(init)
    assert init.args.args[1].arg == "serialized_engine"

    assert "CompilationSettings" in imported_names(package / "dynamo" / "__init__.py")
    (given,) = settings
    fields = {
        n.target.id
        for n in definition(package / "dynamo" / "_settings.py", "CompilationSettings").body
        if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
    }
    assert set(given) <= fields

    # Device takes **kwargs, and looks for its keywords by name.
    text = (package / "_Device.py").read_text(encoding="utf-8")
    assert devices
    for keyword in {name for device in devices for name in device}:
        assert f'"{keyword}"' in text


@pytest.mark.parametrize("model", ["plus", "dcenet"])
def test_the_exported_graph_is_the_whole_network_in_float16(model: str) -> None:
    checkpoint = random_checkpoint(model)
    program, picture = exported(checkpoint, 9, 16, torch.device("cpu"))
    api = TorchTensorRT(None, None, recorder([]), recorder([]), {})
    names = module_options(api)["input_binding_names"]
    assert list(program.graph_signature.user_inputs) == names
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    assert len(calls) == 17, "convolutions, concatenations and activations, nothing else"
    maps = program.module()(picture)
    assert maps.dtype == torch.half
    assert maps.shape == (1, 24 if model == "dcenet" else 3, 9, 16)


def test_the_light_network_is_exported_in_float16() -> None:
    program, picture = exported(load_bundled("light"), 36, 64, torch.device("cpu"))
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    assert sum("conv" in str(node.target) for node in calls) == len(CONVOLUTIONS)
    picture.copy_(torch.rand(picture.shape, generator=torch.Generator().manual_seed(0)))
    expected = pytorch_model(load_bundled("light"))(picture.float())
    maps = program.module()(picture)
    assert maps.dtype == torch.half
    assert maps.shape == expected.shape == (1, 5, 9, 16)
    torch.testing.assert_close(maps.float(), expected, atol=0.02, rtol=0)


# Import


@pytest.fixture(autouse=True)
def not_yet_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_result", None)


def reason() -> str:
    with pytest.raises(BackendUnavailable) as error:
        load()
    text = str(error.value)
    assert len(text.splitlines()) == 1
    return text


def test_a_missing_package_is_reported_with_the_version_that_fits_torch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch_tensorrt", None)
    minor = ".".join(torch.__version__.split(".")[:2])
    text = reason()
    assert f"pip install 'torch-tensorrt=={minor}.*'" in text
    assert "--extra-index-url https://pypi.nvidia.com" in text
    assert "pip install tensorrt_rtx" in text
    assert matching() == f"torch-tensorrt=={minor}.*"


@pytest.mark.parametrize("requirement", WHEELS)
def test_a_real_package_without_tensorrt(requirement: str, wheel_folder: Path) -> None:
    """The wheel itself, in a process of its own: nothing is printed, and PyTorch still works."""
    package = unpacked(requirement, wheel_folder)
    program = (
        "from zerodce_rt.backends.interfaces import BackendUnavailable\n"
        "from zerodce_rt.backends.tensorrt import importing\n"
        "for _ in range(2):\n"
        "    try:\n"
        "        importing.load()\n"
        "    except BackendUnavailable as reason:\n"
        "        print(f'[{reason}]')\n"
        "import torch\n"
        "print(float(torch.ones(2).sum()))\n"
    )
    paths = os.pathsep.join([str(package), os.getcwd()])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": paths},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second, rest = done.stdout.splitlines()
    assert first == second, "the result is kept"
    assert rest == "2.0", "PyTorch still works"
    name, version = requirement.split("==")
    if "==" + version.rsplit(".", 1)[0] not in matching():
        assert f"{name} {version} does not match torch" in first
    elif name == "torch-tensorrt":
        assert "TensorRT's own libraries are missing" in first
        assert "libnvinfer" in first
    else:  # it looks for a card first
        assert "needs a CUDA build of PyTorch" in first or "missing" in first
    assert matching() in first or "CUDA build" in first


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AssertionError("Torch not compiled with CUDA enabled"), "needs a CUDA build of PyTorch"),
        (OSError("undefined symbol: _ZN3c10"), "cannot be imported (OSError: undefined symbol"),
        (Exception("Could not find libnvinfer.so.11\nMore."), "TensorRT's own libraries"),
    ],
)
def test_each_kind_of_failure_has_its_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fail() -> TorchTensorRT:
        print("four lines of noise")
        raise error

    monkeypatch.setattr(importing, "_imported", fail)
    installed = {"torch-tensorrt": torch.__version__.split("+")[0], "torch": torch.__version__}
    monkeypatch.setattr(importing, "_version", installed.get)
    assert words in reason()


def test_what_the_import_prints_is_discarded(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> TorchTensorRT:
        print("four lines of noise")
        raise Exception("no")

    monkeypatch.setattr(importing, "_imported", fail)
    reason()
    assert capfd.readouterr().out == ""


# With a card


def test_an_engine_is_built_and_agrees(tmp_path: Path) -> None:
    require_gpu()
    from zerodce_rt.backends.tensorrt.engines import EngineCache
    from zerodce_rt.backends.tensorrt.torch_tensorrt_network import TensorRTNetwork

    try:
        api = load()
    except BackendUnavailable as missing:
        pytest.skip(str(missing))
    tmp_path.chmod(0o700)
    device = torch.device("cuda")
    network = TensorRTNetwork(load_bundled("plus"), device, api, EngineCache(tmp_path))
    network.prepare(36, 64)  # compares a new engine with PyTorch
