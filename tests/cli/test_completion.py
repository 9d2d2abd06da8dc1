"""`welltuned completion`, `--version`, and the words that a shell completes."""

from __future__ import annotations

from typing import Any

import pytest

import welltuned
from welltuned.cli.completion import OWN_WORDS, configs_of_verbs, words_by_verb

WORDS = words_by_verb()


def test_every_verb_is_completed() -> None:
    assert {"train", "data", "completion", "--version", "--help"} <= set(WORDS[""])
    assert {word for word in WORDS[""] if not word.startswith("-")} <= set(WORDS)
    assert {"suspects", "next", "show"} <= set(WORDS["data"])


def test_what_is_said_of_verbs_is_of_verbs() -> None:
    assert {*OWN_WORDS, *configs_of_verbs()} <= set(WORDS)


@pytest.mark.parametrize(
    ("verb", "word"),
    [
        ("train", "training.learning_rate="),
        ("train", "training.learning_rate=find"),
        ("train", "strategy=lora"),
        ("train", "rl.kl_coef="),
        ("train", "--allow-imports"),
        ("compare", "limits.tolerance="),
        ("tune data", "curve.shares="),
        ("data suspects", "folds="),
        ("migrate", "from=axolotl"),
        ("plan", "--check"),
        ("train", "evaluation.test=true"),
    ],
)
def test_keys_choices_and_options_follow_their_verb(verb: str, word: str) -> None:
    assert word in WORDS[verb]
    assert word not in WORDS["doctor"]


def test_a_shell_that_is_not_known_is_refused(call: Any) -> None:
    status, _, err = call("completion", "tcsh")
    assert status == 2 and "[cli.shell_unknown]" in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed(shell: str, call: Any) -> None:
    status, out, err = call("completion", shell)
    assert (status, err) == (0, "")
    assert f"written by `welltuned completion {shell}`" in out
    assert "training.learning_rate=" in out


def test_the_version_is_told(call: Any) -> None:
    assert call("--version") == (0, f"welltuned {welltuned.__version__}\n", "")
