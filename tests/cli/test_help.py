"""`welltuned help`, without a model's libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def test_the_verb_imports_no_library_of_models() -> None:
    code = (
        "import sys\nfrom welltuned.cli import main\n"
        "sys.argv = ['welltuned', 'help', 'training.learning_rate']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted({'torch', 'transformers', 'peft', 'scipy', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_facts_may_be_had_as_json(call: Any) -> None:
    status, out, _ = call("help", "training.seed", "--json")
    [facts] = json.loads(out)
    assert status == 0
    assert facts["accepts"] == "whole number ≥ 0" and facts["example"] == ["training.seed=1"]


def test_an_unknown_key_is_one_line_and_the_status_is_two(call: Any) -> None:
    status, out, err = call("help", "nothing.like.this")
    assert (status, out) == (2, "")
    [line] = err.splitlines()
    assert "`welltuned help` lists all" in line


def test_a_verb_is_told_as_one(call: Any) -> None:
    status, out, _ = call("help", "compare")
    assert status == 0 and "welltuned compare --help" in out
    assert call("help", "data")[1].startswith("data"), "which is a key as well"
