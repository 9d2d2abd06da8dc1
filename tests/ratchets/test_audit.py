"""The audit of dependencies: what is found, and what could not be asked."""

from __future__ import annotations

import json
import sys

import audit

VULNERABLE = {"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
SOUND = {"name": "b", "version": "1", "vulns": []}
UNASKED = {"name": "c", "skip_reason": "not found"}


def saying(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_findings_are_told_and_so_is_what_was_not_asked() -> None:
    answer = json.dumps({"dependencies": [VULNERABLE, SOUND, UNASKED]})
    found, told = audit.audit(saying(f"print({answer!r})"))
    assert found == ["a 1: CVE-1, fixed in 2"]
    assert told == "2 of 3 dependencies audited, 1 findings"


def test_where_nobody_can_be_asked_it_says_so_and_finds_nothing() -> None:
    broken = "import sys; sys.exit('No module named pip_audit')"
    assert audit.audit(saying(broken)) == (
        [],
        "dependencies not audited: No module named pip_audit",
    )
    slow = audit.audit(saying("import time; time.sleep(60)"), seconds=0.2)
    assert slow == ([], "dependencies not audited: no answer within 0.2 s")
