"""Every fault has a code of one meaning, words that fit its values, and a line in the reference."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

import error_codes


def test_the_reference_lists_every_fault() -> None:
    assert error_codes.PAGE.read_text(encoding="utf-8") == error_codes.page(), "run `make errors`"
    assert len(error_codes.faults()) > 150, "the source is read"


def test_a_code_has_one_meaning() -> None:
    """Where a fault is made in two places, it says the same in both."""
    said: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for one in (*error_codes.faults(), *error_codes.messages()):
        said[one.code].add((one.text, one.remedy))
    assert {code: words for code, words in said.items() if len(words) > 1} == {}


def test_no_message_has_the_code_of_a_fault() -> None:
    messages = {one.code for one in error_codes.messages()}
    assert not messages & {one.code for one in error_codes.faults()}


def test_nothing_is_without_a_code() -> None:
    assert list(error_codes.uncoded()) == []


@pytest.mark.parametrize(
    "made",
    [
        'Fault(f"no {thing}", place, "give one")',
        "Fault(what, place, remedy)",
        'Fault("the file is empty", None, "give a file with rows")',
        'Fault("the file is empty")',
        'Fault("data.empty", what, None, "give a file with rows")',
        'Fault("data.empty", f"{name} is empty")',
        "Fault()",
        'faults.add("the file is empty", None, "give a file with rows")',
        "self.faults.add(code, what)",
        'faults.add_counted("data.empty", what, place)',
        'PluginError(plugin, "it is broken", "mend it")',
        'PluginError("plugin.broken", plugin, reason, "mend it")',
        'message("It is slow.")',
        'schema.Fault(code, "the file is empty")',
    ],
)
def test_what_is_without_a_code_is_noticed(made: str, tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    good = 'Fault("data.empty", "{name} is empty", name=name)'
    (package / "read.py").write_text(f"def check(code, what):\n    {good}\n    {made}\n")
    assert list(error_codes.uncoded(package)) == ["package/read.py:3"]


def test_a_helper_may_pass_on_a_code_and_a_set_may_add(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "read.py").write_text(
        "class Unreadable(Exception):\n"
        "    def __init__(self, code, what): self.fault = Fault(code, what)\n"
        "def check(seen, word, translator, sentence):\n"
        "    seen.add(word)\n"
        "    translator.message(sentence)\n"
    )
    assert list(error_codes.uncoded(package)) == []


def test_words_show_the_values_that_are_given() -> None:
    """None is asked for that is not there, which would fail when the fault is told."""
    wrong = {
        one.place: one.fields ^ one.values
        for one in (*error_codes.faults(), *error_codes.messages())
        if (one.fields - one.values and not one.open) or one.values - one.fields
    }
    # These put the name of their protection or model family in front of the words.
    assert wrong == {}
