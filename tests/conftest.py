"""Fixtures: tiny random models, made once per session, and data."""

from __future__ import annotations

import atexit
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

import one_thread  # noqa: F401  # before all that imports torch
from comparing import carried_out, values_for, without_processes
from drawing import with_charts, without_charts
from forking import Forks
from support import (
    ENCODERS,
    make_config,
    make_preferences,
    make_ratings,
    make_rows,
    make_thumbs,
    make_tokenizer,
    tune,
    write_rows,
)
from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.locks import holding
from welltuned.schema.plugins import without_plugins

os.fsync = lambda fd: None  # no test pulls the plug, and a disk may take its time

os.environ.setdefault("WELLTUNED_ALLOW_IMPORTS", "1")  # files that tests write are their own word

if "WELLTUNED_CACHE" not in os.environ:  # workers have that of the process that started them
    os.environ["WELLTUNED_CACHE"] = tempfile.mkdtemp(prefix="welltuned-cache-")
    atexit.register(shutil.rmtree, os.environ["WELLTUNED_CACHE"], ignore_errors=True)

SHARED = Path(__file__).resolve().parents[2] / "shared"
REPORTS = Path(__file__).parent / "reports"


LONGEST_FIRST = (
    "contracts/test_strategies.py",
    "rlhf/test_pipeline.py",
    "test_documents.py",
    "contracts/test_engines.py",
    "test_cli.py",
    "contracts/test_judged.py",
    "contracts/test_generation.py",
    "experiments/comparison/test_compare.py",
    "experiments/comparison/test_tasks.py",
    "training/forecast/test_forecast.py",
    "rlhf/test_forecast.py",
    "contracts/test_processes.py",
    "experiments/comparison/test_rlhf_variant.py",
)
"""Files that take longest. Begun last, one would keep one worker busy and leave the other idle."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    ranks = {tests / name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def only_what_is_meant(path: Path) -> AbstractContextManager[None]:
    """What tests expect of welltuned itself holds whatever is installed beside it."""
    hides = not {"plugin", "test_plugins"} & {*path.parts, path.stem}
    return without_plugins() if hides else nullcontext()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """For what a file of tests makes when it is read, such as its parameters."""
    with only_what_is_meant(collector.path):
        return (yield)


@pytest.fixture(autouse=True, scope="module")
def only_our_own(request: pytest.FixtureRequest) -> Iterator[None]:
    with only_what_is_meant(request.path):
        yield


@pytest.fixture(autouse=True, scope="module")
def only_charts_that_are_looked_at(request: pytest.FixtureRequest) -> Iterator[None]:
    """Charts are drawn for the tests of reports, and for files marked so."""
    with pytest.MonkeyPatch.context() as patch:
        if not request.node.get_closest_marker("charts") and REPORTS not in request.path.parents:
            without_charts(patch)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data sets; tests that need it are skipped where it is not."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the real data sets are not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """`tiny("bert")`: the folder of a tiny random model with its tokenizer, made on first use."""
    made: dict[str, str] = {}

    def make(family: str, **changes: Any) -> str:
        key = f"{family}-{json.dumps(changes, sort_keys=True)}"
        if key not in made:
            import torch
            from transformers import AutoModel

            folder = tmp_path_factory.mktemp(family)
            torch.manual_seed(0)
            model = AutoModel.from_config(make_config(family, **changes))
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.ndim > 1:
                        parameter.mul_(4)  # random models start so small that nothing would show
            model.save_pretrained(folder)
            make_tokenizer("encoder" if family in ENCODERS else "decoder", family).save_pretrained(
                folder
            )
            made[key] = str(folder)
        return made[key]

    return make


@pytest.fixture(scope="session")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """`causal("llama")`: the folder of a tiny random language model, made on first use."""
    made: dict[str, str] = {}

    def make(family: str, **sizes: int) -> str:
        key = f"{family}-{json.dumps(sizes, sort_keys=True)}"
        if key not in made:
            import torch
            from transformers import AutoModelForCausalLM

            folder = tmp_path_factory.mktemp(f"causal-{family}")
            torch.manual_seed(0)
            changes = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
            config = make_config(family, **(changes if family == "gpt2" else {}), **sizes)
            AutoModelForCausalLM.from_config(config).save_pretrained(folder)
            make_tokenizer("decoder", family).save_pretrained(folder)
            made[key] = str(folder)
        return made[key]

    return make


@pytest.fixture(scope="session")
def two_sided(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """`two_sided("t5")`: the folder of a tiny random encoder-decoder, made on first use."""
    made: dict[str, str] = {}

    def make(family: str, **changes: Any) -> str:
        key = f"{family}-{json.dumps(changes, sort_keys=True)}"
        if key not in made:
            import torch
            from transformers import AutoModelForSeq2SeqLM

            folder = tmp_path_factory.mktemp(f"two-sided-{family}")
            torch.manual_seed(0)
            model = AutoModelForSeq2SeqLM.from_config(make_config(family, **changes))
            with torch.no_grad():
                for parameter in model.parameters() if family == "bart" else ():
                    if parameter.ndim > 1:
                        parameter.mul_(4)  # it starts so small that no prompt would show
            model.save_pretrained(folder)
            make_tokenizer("encoder-decoder", family).save_pretrained(folder)
            made[key] = str(folder)
        return made[key]

    return make


@pytest.fixture(scope="session")
def instructions(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of 60 questions and answers of unequal lengths, as Alpaca writes them."""
    rows = [
        {"instruction": "was it good", "input": row["text"], "output": f"it was {row['label']}"}
        | ({"output": f"it was {row['label']} and so good the film"} if i % 3 else {})
        for i, row in enumerate(make_rows(60, seed=5))
    ]
    return write_rows(tmp_path_factory.mktemp("data") / "instructions.jsonl", rows)


@pytest.fixture(scope="session")
def preferences(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of 75 pairs of answers to 60 prompts."""
    return write_rows(tmp_path_factory.mktemp("data") / "pairs.jsonl", make_preferences(60))


@pytest.fixture(scope="session")
def thumbs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of 100 answers with thumbs up or down, to 40 prompts."""
    return write_rows(tmp_path_factory.mktemp("data") / "thumbs.jsonl", make_thumbs(40))


@pytest.fixture(scope="session")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of rated answers to 60 prompts."""
    return write_rows(tmp_path_factory.mktemp("data") / "ratings.jsonl", make_ratings(60))


@pytest.fixture(scope="session")
def sentiment(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of 120 labelled texts."""
    return write_rows(tmp_path_factory.mktemp("data") / "sentiment.jsonl", make_rows(120))


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of 60 labelled texts: enough for six steps."""
    return write_rows(tmp_path_factory.mktemp("data") / "few.jsonl", make_rows(60))


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`built_once(name, build)`: a folder that `build` has filled, for all files of a worker.

    Not for all workers: runs name the data and the model of the worker that made them. Without
    plug-ins and with charts, whichever file asks first, and whether it does so before or after
    its own fixtures hide them.
    """
    root = tmp_path_factory.getbasetemp()

    def build(name: str, fill: Callable[[Path], object]) -> Path:
        folder, done = root / f"shared-{name}", root / f"shared-{name}.done"
        with holding(root / f"shared-{name}.lock"):
            if not done.exists():
                folder.mkdir()  # where an earlier attempt has failed this fails too, and says so
                with without_plugins(), with_charts():
                    fill(folder)
                done.touch()
        return folder

    return build


@pytest.fixture(scope="session")
def rewarded(tiny: Callable[..., str], preferences: str, built_once: Callable[..., Path]) -> Run:
    """A finished reward model that has learned its pairs. To be read, not changed."""
    training = {"num_train_epochs": 6, "learning_rate": 3e-3}

    def build(folder: Path) -> None:
        tune(tiny("bert"), preferences, "full", folder / "run", task="reward", training=training)

    return Run(built_once("rewarded", build) / "run")


@pytest.fixture(scope="session")
def directed(causal: Callable[..., str], preferences: str, built_once: Callable[..., Path]) -> Run:
    """A generator that has learned by direct preference. To be read, not changed."""
    strategy, training = {"type": "lora", "r": 4}, {"num_train_epochs": 3, "learning_rate": 3e-3}
    task = {"type": "preference", "scored_examples": 3, "decoding": {"max_new_tokens": 4}}

    def build(folder: Path) -> None:
        model, run = causal("llama"), folder / "run"
        tune(model, preferences, strategy, run, task=task, training=training)

    return Run(built_once("directed", build) / "run")


@pytest.fixture(scope="session")
def finished(tiny: Callable[..., str], sentiment: str, built_once: Callable[..., Path]) -> Run:
    """A finished run with whole weights, its lower blocks frozen. To be read, not changed."""
    strategy, task = {"type": "partial", "num_blocks": 2}, {"pooling": "mean"}

    def build(folder: Path) -> None:
        tune(tiny("bert"), sentiment, strategy, folder / "run", task=task)

    return Run(built_once("finished", build) / "run")


@pytest.fixture(scope="session")
def adapted(tiny: Callable[..., str], sentiment: str, built_once: Callable[..., Path]) -> Run:
    """A finished run with an adapter and the family's own head. To be read, not changed."""
    strategy, task = {"type": "lora", "r": 4}, {"pooling": "model"}

    def build(folder: Path) -> None:
        tune(tiny("bert"), sentiment, strategy, folder / "run", task=task)

    return Run(built_once("adapted", build) / "run")


@pytest.fixture(scope="session")
def compared(
    tiny: Callable[..., str], sentiment: str, built_once: Callable[..., Path]
) -> Comparison:
    """A finished comparison of two strategies with two seeds. To be read, not changed."""

    def build(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            without_processes(patch)
            carried_out(values_for(tiny("bert"), sentiment, folder / "reviews"))

    return Comparison(built_once("compared", build) / "reviews")


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Processes that need not import first: `forks.begin(train_as_rank, …)`."""
    forks = Forks()
    yield forks
    forks.close()


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """`call("train", …)`: (exit status, standard output, standard error), in this process."""
    from welltuned import cli

    def run(*arguments: object, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["welltuned", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        status: Any = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code or 0
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def machine() -> Any:
    """A machine whose every figure is known, so that no test has to measure one."""
    from welltuned.training.forecast.operations import ATTENTION, ATTENTION_BACKWARD
    from welltuned.training.forecast.prices import Machine

    return Machine(
        key={"device": "cpu"},
        matmul=((1e5, 1e-5), (1e9, 1e-2)),
        matmul_half=((1e5, 1e-5), (1e9, 1e-2)),
        thin=1e-10,
        attention={ATTENTION: (1e-9, 1e-11), ATTENTION_BACKWARD: (2e-9, 1e-11)},
        attention_half={ATTENTION: (1e-9, 1e-11), ATTENTION_BACKWARD: (2e-9, 1e-11)},
        functions={"gelu": 1e-9, "bernoulli_": 1e-8},
        light=1e-10,
        fresh=1e-10,
        call=1e-5,
        counting=0.0,
        adam=1e-9,
        complete=True,
    )


@pytest.fixture
def known(machine: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Every plan is made for that machine."""
    for place in ("training.forecast.plan", "training.forecast.accuracy", "rlhf.forecast"):
        monkeypatch.setattr(f"welltuned.{place}.measured", lambda device, progress: machine)
    return machine
