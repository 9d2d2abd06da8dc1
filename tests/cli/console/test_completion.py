"""Scripts that complete lines, tried in the shell that is there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from welltuned.cli.console.completion import SHELLS, bash_script, fish_script, zsh_script

WORDS = {
    "": ("train", "data", "--help"),
    "train": ("--json", "strategy=", "strategy=full", "strategy=lora", "data.train=",
              "training.seed="),
    "data": ("next", "show", "data.train="),
    "data next": ("n=",),
}  # fmt: skip
TRY = """
source "$1"
COMP_WORDBREAKS="="; COMP_LINE="$2"; COMP_POINT=${#COMP_LINE}
_welltuned
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(line: str, folder: Path) -> list[str]:
    """What bash would offer at the end of a line."""
    script = folder / "script.bash"
    script.write_text(bash_script(WORDS), encoding="utf-8")
    command = ["bash", "--norc", "-c", TRY, "bash", str(script), line]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=30)
    assert done.returncode == 0, done.stderr
    return sorted(filter(None, done.stdout.splitlines()))


OF_ZSH = """
# What completion widgets alone may call, as they would answer; words are offered one a line.
compdef() { :; }
compadd() {
  while [[ $1 != -- ]]; do shift; done
  local one
  for one in "${@:2}"; do [[ $one == $PREFIX* ]] && print -r -- $one; done
}
compset() { PREFIX="${PREFIX#*=}"; }
_files() { local one; for one in ${PREFIX}*(N); do print -r -- $one; done; }
source $1
words=(${(z)2}); [[ $2 == *" " ]] && words+=("")
CURRENT=$#words PREFIX=$words[-1]
_welltuned
"""
OF_FISH = 'source $argv[1]; complete -C "$argv[2]"'


@pytest.mark.parametrize(
    ("shell", "start", "program"),
    [
        pytest.param(name, start, program, marks=pytest.mark.skipif(
            shutil.which(name) is None, reason=f"there is no {name}"))
        for name, start, program in (
            ("zsh", ["zsh", "-f", "-c", OF_ZSH, "zsh"], zsh_script),
            ("fish", ["fish", "--no-config", "-c", OF_FISH], fish_script),
        )
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("welltuned ", {"--help", "data", "train"}),
        ("welltuned tr", {"train"}),
        ("welltuned train strategy=l", {"strategy=lora"}),
        ("welltuned train data.train=re", {"reviews.csv"}),
        ("welltuned train rev", {"reviews.csv"}),
        ("welltuned train strategy=lora tr", {"training.seed="}),
        ("welltuned data ", {"data.train=", "next", "show", "reviews.csv", "script"}),
        ("welltuned data next ", {"n=", "reviews.csv", "script"}),
    ],
)
def test_zsh_and_fish_offer_them_too(
    shell: str, start: list[str], program: Any, line: str, offered: set[str], tmp_path: Path
) -> None:
    (tmp_path / "reviews.csv").write_text("", encoding="utf-8")
    script = tmp_path / "script"
    script.write_text(program(WORDS), encoding="utf-8")
    command = [*start, str(script), line]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=30)
    assert done.stderr == ""
    found = {one.partition("\t")[0].removeprefix("data.train=") or one
             for one in done.stdout.splitlines()}  # fmt: skip
    assert found == offered


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("welltuned ", ["--help", "data", "train"]),
        ("welltuned tr", ["train"]),
        ("welltuned train st", ["strategy="]),
        ("welltuned train strategy=", ["full", "lora"]),
        ("welltuned train strategy=l", ["lora"]),
        ("welltuned train data.train=re", ["reviews.csv"]),
        ("welltuned train rev", ["reviews.csv"]),
        ("welltuned train strategy=lora tr", ["training.seed="]),
        ("welltuned data ", ["data.train=", "next", "show"]),
        ("welltuned data next ", ["n="]),
        ("welltuned data rev", ["reviews.csv"]),
    ],
)
def test_bash_offers_verbs_keys_choices_and_files(
    line: str, offered: list[str], tmp_path: Path
) -> None:
    (tmp_path / "reviews.csv").write_text("", encoding="utf-8")
    assert completed(line, tmp_path) == offered


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_one_that_its_shell_can_read(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    file = tmp_path / "script"
    file.write_text(SHELLS[shell](WORDS), encoding="utf-8")
    done = subprocess.run([shell, "-n", str(file)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_words_are_quoted_whatever_is_in_them() -> None:
    assert "'it'\\''s'" in zsh_script({"train": ("it's",)})


def test_fish_has_a_line_for_each_verb() -> None:
    lines = fish_script(WORDS).splitlines()
    assert "complete -c welltuned -n '__fish_use_subcommand' -f -a 'train data --help'" in lines
    below = "__fish_seen_subcommand_from data; and __fish_seen_subcommand_from next"
    assert f"complete -c welltuned -n '{below}' -a 'n='" in lines
