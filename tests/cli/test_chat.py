"""`chat` says when it has not read all that was said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from welltuned.runs import Run


def test_what_is_too_long_to_be_read_is_said(answering: Callable[[str], Run], call: Any) -> None:
    run = answering("chat")
    status, _, err = call("chat", run.folder, stdin="was it good\n")
    assert status == 0 and "not read" not in err
    status, _, err = call("chat", run.folder, stdin="was it good " * 40 + "\n")
    assert status == 0 and "not read" in err
