"""Who calls `wt.train` sees at once that something happens, unless logging is set up already."""

from __future__ import annotations

import subprocess
import sys

import pytest

SETUPS = {
    "": ["checking config and data", "training: 3 steps"],
    "logging.basicConfig(level=logging.WARNING)": [],
    "logging.getLogger('welltuned').addHandler(logging.NullHandler())": [],
}


@pytest.mark.parametrize("setup", SETUPS)
def test_progress_is_printed_where_no_logging_is_set_up(setup: str) -> None:
    code = (
        f"import logging\n{setup}\n"
        "from welltuned.schema.progress import show_progress\n"
        "show_progress('train', 'checking config and data')\n"
        "show_progress('train', 'training: 3 steps')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert [line.partition(" ")[2] for line in done.stderr.splitlines()] == SETUPS[setup]
    assert done.stdout == ""


@pytest.mark.parametrize(("given", "seen"), [("", True), ("observer=wt.Observer()", False)])
def test_a_call_says_at_once_that_it_has_begun(given: str, seen: bool) -> None:
    code = (
        "import welltuned as wt\n"
        f"try: wt.train(model='./none', data='none.jsonl', {given})\n"
        "except wt.InputError: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ("checking config and data" in done.stderr) == seen
