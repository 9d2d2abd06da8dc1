"""Every label and message of every report has its translation, with the same values in it."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
import yaml
from jinja2 import Environment, nodes

import welltuned
from error_codes import faults, messages
from welltuned.experiments.comparison.chosen_models import SPOKEN
from welltuned.metrics import FAMILIES, every_metric
from welltuned.models.available import PLACES
from welltuned.reports.forgetting import HOW, KINDS
from welltuned.reports.page import OF_POLICIES
from welltuned.reports.rl import CHARTS, WATCHED
from welltuned.reports.translations import ENGLISH, Translator, catalogue
from welltuned.runs.phases import MEANING
from welltuned.runs.results_schema.checks import Pathology
from welltuned.schema.messages import message
from welltuned.training.diagnosis import HEALTHY

ROOT = Path(welltuned.__file__).parent
LANGUAGES = sorted(file.stem for file in (ROOT / "reports/translations").glob("*.yaml"))
NAMES = (
    "tf-idf", "static", "untouched", "majority", "untrained", "train", "validation", "test",
    "finished", "pruned", "failed", "running", "waiting", "repeated", HEALTHY, *get_args(Pathology),
    "before", "after", "embeddings", "head", "everything below the head", "the head alone trains",
    "memory: policy", "memory: gradients and optimizer",
    "memory: reference", "memory: value", "memory: reward", " and ",
    "usual for classification", "usual for generation", "linear head", "word counts",
)  # fmt: skip
"""Words that templates translate without knowing them: baselines, splits, states, pathologies,
when, parts of a network, roles."""


def read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def in_templates() -> Iterator[str]:
    for file in (ROOT / "reports/templates").glob("*.j2"):
        tree = Environment().parse(read(file))
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "_":
                yield from (n.value for n in call.args[0].find_all(nodes.Const))
                if isinstance(call.args[0], nodes.Const):
                    yield call.args[0].value


def in_code() -> Iterator[str]:
    for file in (ROOT / "reports").rglob("*.py"):
        for call in ast.walk(ast.parse(read(file))):
            named = isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
            if named and call.func.id == "_" and call.args:  # type: ignore[attr-defined]
                first = call.args[0]  # type: ignore[attr-defined]
                if isinstance(first, ast.Constant):
                    yield str(first.value)


OF_METRICS = {
    *(metric.title for metric in every_metric()),
    *(family.counted for family in FAMILIES.values()),
    *OF_POLICIES.values(),
}
OF_MEASURES = {*KINDS.values(), *HOW.values(), *WATCHED.values(), *(title for _, title in CHARTS)}
REASONS = set(yaml.safe_load(read(ROOT / "strategies/defaults.yaml"))["sources"].values())
OF_PHASES = {*MEANING.values()}
PROPOSED = yaml.safe_load(read(ROOT / "models/proposals.yaml"))["reasons"].values()
OF_MODELS = {*SPOKEN.values(), *PLACES, *PROPOSED}
OF_OURS = {*OF_METRICS, *OF_MEASURES, *OF_PHASES, *OF_MODELS}
LABELS = sorted({*REASONS, *in_templates(), *in_code(), *OF_OURS, *NAMES})
DIVERGED = re.compile(r'DivergedError\(\s*Fault\(\s*"([\w.]+)"')


@cache
def explosions() -> set[str]:
    """Faults that end the training of a policy: its report tells them as messages."""
    return {
        *(found.code for found in faults() if "rlhf/safeguards.py" in found.place),
        *(code for file in (ROOT / "rlhf").rglob("*.py") for code in DIVERGED.findall(read(file))),
    }


@cache
def sentences() -> dict[str, str]:
    """What reports say in sentences, by code."""
    told = {found.code: found.text for found in faults() if found.code in explosions()}
    return {found.code: found.text for found in messages()} | told


def fields(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_there_is_a_second_language_and_much_to_translate() -> None:
    assert "zh" in LANGUAGES and len(LABELS) > 100 and len(sentences()) > 30
    assert "Which strategy for {data}?" in LABELS, "templates are read"
    assert "compare.no_finished_strategy" in sentences(), "reasons are read"
    assert len(explosions()) == 6, "faults that end a policy's training are read"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_label_is_missing_and_none_is_left_over(language: str) -> None:
    known = set(catalogue(language)["labels"])
    assert sorted(set(LABELS) - known) == []
    assert sorted(known - set(LABELS) - {"loss", "perplexity"}) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_is_missing_and_none_is_left_over(language: str) -> None:
    assert catalogue(language)["messages"].keys() == sentences().keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_values_of_its_english(language: str) -> None:
    texts = catalogue(language)
    english = {label: label for label in texts["labels"]} | sentences()
    for key, translation in (texts["labels"] | texts["messages"]).items():
        assert fields(english[key]) == fields(translation), key
        assert translation.strip() == translation != ""


def test_values_are_put_in_and_never_read_as_patterns() -> None:
    assert ENGLISH("{a} of {b}", a="{b}", b=2) == "{b} of 2"
    assert ENGLISH("a name with {braces}") == "a name with {braces}"
    assert Translator("zh")("the best") == "最佳"
    assert Translator("zh")("not a known label") == "not a known label"


def test_a_message_is_found_by_its_code_whatever_its_english() -> None:
    said = message("compare.only_one_left", "Whatever it said then: {name}.", name="lora")
    assert Translator("zh").message(said) == "剩下的是 lora。"
    assert ENGLISH.message(said) == "Whatever it said then: lora."


def test_splits_have_their_names_in_every_language_and_values_of_users_have_not() -> None:
    values = {"splits": "validation and test", "source": "train", "seed": 0, "sizes": "test 6"}
    said = message("data.cut_off", "{splits}, {source}, {seed}, {sizes}", **values)
    assert ENGLISH.message(said) == "validation and test, train, 0, test 6"
    assert Translator("zh").message(said).startswith("验证和测试 没有单独的文件，从 train 中")
    assert "测试 6" in Translator("zh").message(said)


def test_a_message_of_a_run_before_it_had_one_more_value_is_told_in_its_own_words() -> None:
    code, values = "data.empty_left_out", {"source": "a.csv", "number": 3}
    older = message(code, "{source}: {number} empty rows", **values)
    assert Translator("zh").message(older) == "a.csv: 3 empty rows"


def test_a_message_without_a_code_is_told_in_its_own_words() -> None:
    """As older run folders hold them."""
    said = {"say": "{name} is best", "values": {"name": "{lora}"}}
    assert Translator("zh").message(said) == ENGLISH.message(said) == "{lora} is best"
