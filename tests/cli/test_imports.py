"""What each verb imports: seconds are lost on a library that it does not need, or not yet."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from welltuned.cli import app

HEAVY = {
    "torch",
    "transformers",
    "peft",
    "numpy",
    "sklearn",
    "scipy",
    "pandas",
    "pyarrow",
    "datasets",
    "accelerate",
    "optuna",
    "matplotlib",
    "pydantic",
    "rich",
    "wrapt",
    "fastapi",
    "uvicorn",
}
CONFIG = {"numpy", "pydantic"}
"""Configs are read, and their data: nothing else until both are right."""
FAULTY = "data=/no/such.jsonl model=/no/such sead=1"
LIGHT: tuple[tuple[str, set[str]], ...] = (
    ("--help", set()),
    ("train --help", {"pydantic"}),  # typer asks for it
    ("--version", {"pydantic"}),
    ("help strategy", CONFIG),
    ("completion bash", CONFIG),
    ("migrate /no/such.yaml", CONFIG),
    (f"data {FAULTY}", CONFIG),
    ("init /no/such.csv", CONFIG),
    ("evaluate /no/such data=/no/such.jsonl", CONFIG),
    ("predict /no/such text", CONFIG),
    ("chat /no/such", CONFIG),
    ("serve /no/such", CONFIG),
    ("push /no/such me/model license=mit --dry-run", CONFIG),
    (f"sweep {FAULTY}", {*CONFIG, "rich"}),
    (f"tune data {FAULTY}", {*CONFIG, "rich"}),
    (f"data suspects {FAULTY}", {*CONFIG, "rich"}),
    ("data next /no/such /no/such.csv n=0", {*CONFIG, "rich"}),
    (f"train {FAULTY}", {*CONFIG, "rich"}),
    (f"train pipeline=rlhf {FAULTY}", {*CONFIG, "rich"}),
    (f"train pipeline=adapt {FAULTY}", {*CONFIG, "rich"}),
    (f"plan {FAULTY}", {*CONFIG, "rich"}),
    (f"tune lr {FAULTY}", {*CONFIG, "rich"}),
    (f"probe {FAULTY}", {*CONFIG, "rich"}),
    (f"compare {FAULTY}", {*CONFIG, "rich"}),
    ("demo sead=1", {*CONFIG, "rich"}),
    ("runs /no/such", {*CONFIG, "rich"}),
    ("report /no/such", {*CONFIG, "rich"}),
    ("resume /no/such", {*CONFIG, "rich"}),
    ("export /no/such to=/no/such", {*CONFIG, "rich"}),
    ("doctor --help", {*CONFIG, "rich"}),  # it tells of torch, and so must import it
)
"""Arguments, from the lightest on, and the heavy libraries that may have been imported by then."""

CALL = """
import json, sys
from welltuned.cli import main
heavy, lines = json.loads(sys.argv[1])
found = []
for line in lines:
    sys.argv = ["welltuned", *line.split()]
    try:
        main()
    except SystemExit:
        pass
    found.append(sorted(set(heavy) & set(sys.modules)))
print(json.dumps(found), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What has been imported after each line, one after the other in one process."""
    asked = json.dumps([sorted(HEAVY), [line for line, _ in LIGHT]])
    done = subprocess.run(
        [sys.executable, "-c", CALL, asked],
        capture_output=True, text=True, timeout=120, check=True,
        cwd=tmp_path_factory.mktemp("imports"),
    )  # fmt: skip
    found = json.loads(done.stderr.splitlines()[-1])
    return {line: set(modules) for (line, _), modules in zip(LIGHT, found, strict=True)}


def test_no_verb_is_left_out() -> None:
    there = {one.name for one in app.registered_commands}
    there |= {one.name for one in app.registered_groups}
    assert there == {line.split()[0] for line, _ in LIGHT} - {"--help", "--version"}


@pytest.mark.parametrize(("line", "may"), LIGHT)
def test_a_verb_imports_no_more_than_it_needs(
    line: str, may: set[str], imported: dict[str, set[str]]
) -> None:
    assert imported[line] <= may, "imported too early, or by a line before"


def test_training_and_predicting_import_what_they_use_alone() -> None:
    """PEFT for strategies that inject, matplotlib for a report, scikit-learn for its scores."""
    code = (
        "import sys, welltuned.artifact.predictor, welltuned.training.train\n"
        "print(*{'peft', 'matplotlib', 'sklearn', 'scipy.stats', 'pandas', 'optuna',"
        "'pyarrow', 'datasets', 'transformers.trainer'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == [], done.stderr


def test_a_comparison_is_led_and_reported_without_torch() -> None:
    """Its cells are carried out, and its feasibility is tried, in processes of their own."""
    code = (
        "import json, sys\n"
        "import welltuned.experiments.comparison.compare, welltuned.reports.comparison\n"
        "print(*set(json.loads(sys.argv[1])) & set(sys.modules))"
    )
    asked = [sys.executable, "-c", code, json.dumps(sorted(HEAVY))]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=120)
    assert set(done.stdout.split()) <= CONFIG, done.stderr
