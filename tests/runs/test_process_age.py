"""How long this process has been at work."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from welltuned.runs import process_age


def test_a_process_grows_older() -> None:
    before = process_age.process_age()
    if before == 0.0:
        pytest.skip("this system does not say")
    wall, started = time.time(), Path("/proc/self").stat().st_mtime
    assert 0 < before <= wall - started + 60
    assert process_age.process_age() >= before


def test_where_the_system_does_not_say_it_is_zero(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for content in (None, "", "12 (a name) S 1"):
        file = tmp_path / "stat"
        if content is not None:
            file.write_text(content)
        monkeypatch.setattr(process_age, "_STAT", file)
        assert process_age.process_age() == 0.0
