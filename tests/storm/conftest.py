"""The storm: what its tests share, and how many faults were tried, survived and lost."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from forking import Forks
from pipelines import generation, values_of
from resuming import left_by
from storming import SEED, Lives, Pipeline, Storm, Whole, lived
from suffering import save_every_second
from supervised import stories
from support import STRATEGIES, config_values
from welltuned.config import run_config_from
from welltuned.schema.plugins import without_plugins
from welltuned.training.train import run_training

__all__ = ["stories"]

_COUNTED = "tried", "survived", "controls"
_TALLY: dict[str, dict[str, int]] = {}
"""By group, in the process that reports."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--figures", help="A JSON file for the figures of the storm.")


@pytest.fixture
def storm(request: pytest.FixtureRequest) -> Iterator[Storm]:
    """Counts faults; their group is what the module says in `GROUP`."""
    storm = Storm(request.module.GROUP, request.node.name)
    yield storm
    counts = {name: getattr(storm, name) for name in ("group", *_COUNTED)}
    request.node.user_properties.append(("storm", counts))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for name, value in report.user_properties:
        if name == "storm" and report.when == "teardown":
            counts: Any = value
            told = _TALLY.setdefault(counts["group"], dict.fromkeys(_COUNTED, 0))
            for counted in _COUNTED:
                told[counted] += counts[counted]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not _TALLY:
        return
    terminalreporter.section(f"storm of seed {SEED}: faults tried, survived, lost")
    for group, told in sorted(_TALLY.items()):
        lost = told["tried"] - told["survived"]
        controls = f"{told['controls']} negative controls failed as they should"
        line = f"{group:<55} {told['tried']:>4} {told['survived']:>4} {lost:>4}   {controls}"
        terminalreporter.write_line(line)
    if file := config.getoption("--figures", None):
        figures = {"seed": SEED, "machine": _machine(), "groups": dict(sorted(_TALLY.items()))}
        Path(file).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _machine() -> dict[str, str]:
    import torch
    import transformers

    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    return {"python": platform.python_version(), "system": platform.system(), **versions}


@pytest.fixture(scope="session")
def asked(tiny: Callable[..., str], few: str) -> Callable[..., dict[str, Any]]:
    """`asked(folder, …)`: the values of a run of nine steps that is saved at every second one."""

    def make(folder: Path, strategy: str = "full", **parts: Any) -> dict[str, Any]:
        steps = {"num_train_epochs": 3, "gradient_accumulation_steps": 2}
        training = {**steps, "save_steps": 2, "logging_steps": 1, **parts.pop("training", {})}
        parts = {"task": {"pooling": "mean"}, **parts, "training": training}
        return config_values(tiny("bert"), few, STRATEGIES[strategy], folder, **parts)

    return make


@pytest.fixture(scope="session")
def whole(forks: Forks, asked: Any, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """What such a run leaves in a process of its own that is never interrupted."""
    return lived(Lives(forks, asked(tmp_path_factory.mktemp("whole") / "run")))


@pytest.fixture(scope="session")
def pipelines(
    forks: Forks,
    tiny: Callable[..., str],
    causal: Callable[..., str],
    sentiment: str,
    stories: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Pipeline]:
    """`pipelines("generator")`: one whose policy that is, saved at every second batch."""
    ppo = {"kl_target": 1.0, "eval_steps": 3}

    def make(policy: str, folder: Path) -> Lives:
        if policy == "generator":
            values = generation(causal("llama"), stories, folder, ppo=ppo)
        else:
            values = values_of(tiny("bert"), sentiment, folder, ppo=ppo)
        return Lives(forks, values, "stages/rl", suffers=save_every_second)

    @cache
    def made(policy: str) -> Pipeline:
        whole = lived(make(policy, tmp_path_factory.mktemp(policy) / "run"))
        return partial(make, policy), whole

    return made


@pytest.fixture(scope="session")
def unharmed(asked: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one leaves in this process that meets no fault."""
    values = asked(tmp_path_factory.mktemp("unharmed") / "run")
    with without_plugins():
        return left_by(run_training(run_config_from(values)))
