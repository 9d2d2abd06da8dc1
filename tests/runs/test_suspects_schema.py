"""suspects.json and its version."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from faults import refused
from welltuned.runs.folder import write_json
from welltuned.runs.suspects_schema import SuspectsFile, read_suspects, stamped


def test_what_is_stamped_is_read_and_a_newer_version_is_refused(tmp_path: Path) -> None:
    found = cast(SuspectsFile, {"data": "reviews.csv", "suspects": []})
    write_json(tmp_path / "suspects.json", stamped(found))
    assert read_suspects(tmp_path)["data"] == "reviews.csv"
    write_json(tmp_path / "suspects.json", {**stamped(found), "schema_version": 99})
    with refused("schema.newer_version", written=99):
        read_suspects(tmp_path)
