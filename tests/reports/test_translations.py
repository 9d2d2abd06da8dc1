"""Every sentence of every report has its translation, with the same values in it."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

import welltuned
from welltuned.metrics import FAMILIES, every_metric
from welltuned.reports.page import OF_POLICIES
from welltuned.reports.translations import ENGLISH, catalogue, translator
from welltuned.training.diagnosis import HEALTHY
from welltuned.training.diagnosis.checks import WHEN_OVER

ROOT = Path(welltuned.__file__).parent
LANGUAGES = sorted(file.stem for file in (ROOT / "reports/translations").glob("*.yaml"))
NAMES = (
    "tf-idf", "untouched", "majority", "untrained", "train", "validation", "test",
    "finished", "pruned", "failed", "running", "waiting", "repeated", HEALTHY, *WHEN_OVER,
)  # fmt: skip
"""Words that templates translate without knowing them: baselines, splits, states, faults."""

SPEAKING = ("reports", "experiments", "training", "engines")
"""Where sentences for reports are put together."""


def in_templates() -> Iterator[str]:
    for file in (ROOT / "reports/templates").glob("*.j2"):
        tree = Environment().parse(file.read_text(encoding="utf-8"))
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "_":
                yield from (n.value for n in call.args[0].find_all(nodes.Const))
                if isinstance(call.args[0], nodes.Const):
                    yield call.args[0].value


def in_code() -> Iterator[str]:
    for file in (file for folder in SPEAKING for file in (ROOT / folder).rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            named = isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
            if named and call.func.id in ("_", "message") and call.args:  # type: ignore[attr-defined]
                first = call.args[0]  # type: ignore[attr-defined]
                if isinstance(first, ast.Constant):
                    yield str(first.value)


OF_METRICS = {
    *(metric.title for metric in every_metric()),
    *(family.counted for family in FAMILIES.values()),
    *OF_POLICIES.values(),
}
SENTENCES = sorted({*in_templates(), *in_code(), *OF_METRICS, *NAMES})


def fields(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_there_is_a_second_language_and_much_to_say() -> None:
    assert "zh" in LANGUAGES and len(SENTENCES) > 100
    assert "Which strategy for {data}?" in SENTENCES, "templates are read"
    assert "No strategy has a finished run." in SENTENCES, "reasons are read"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_missing_and_none_is_left_over(language: str) -> None:
    known = set(catalogue(language))
    assert sorted(set(SENTENCES) - known) == []
    assert sorted(known - set(SENTENCES) - {"loss", "perplexity"}) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_values_of_its_sentence(language: str) -> None:
    for sentence, translation in catalogue(language).items():
        assert fields(sentence) == fields(translation), sentence
        assert translation.strip() == translation != ""


def test_values_are_put_in_and_never_read_as_patterns() -> None:
    assert ENGLISH("{a} of {b}", a="{b}", b=2) == "{b} of 2"
    assert ENGLISH("a name with {braces}") == "a name with {braces}"
    assert translator("zh")("the best") == "最佳"
    assert translator("zh")("not a known sentence") == "not a known sentence"
