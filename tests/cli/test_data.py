"""`welltuned data`: its verbs, and what is looked at without one."""

from __future__ import annotations

import json
from typing import Any


def test_what_is_no_verb_is_looked_at(call: Any, sentiment: str) -> None:
    bare = call("data", sentiment, "--json")
    assert bare[0] == 0 and json.loads(bare[1])["splits"]["train"]["rows"] == 96
    assert call("data", "--json", sentiment) == bare
    assert call("data", "show", sentiment, "--json") == bare


def test_without_anything_the_data_are_missing(call: Any) -> None:
    status, out, err = call("data")
    assert (status, out) == (2, "") and "[config.key_missing]" in err


def test_help_names_the_verbs(call: Any) -> None:
    status, out, _ = call("data", "--help")
    assert status == 0
    assert all(verb in out for verb in ("show", "suspects", "next"))
    status, out, _ = call("data", "suspects", "--help")
    assert status == 0 and "folds=5" in out
