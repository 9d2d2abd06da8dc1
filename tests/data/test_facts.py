"""Facts about data: their fingerprint, and their plain form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gathering import good


def test_the_fingerprint_follows_content_and_split_alone(tmp_path: Path, three: Any) -> None:
    first = good(**three(["a", "b"], ["c"], ["d"])).facts.fingerprint
    again = good(**three(["a", "b"], ["c"], ["d"])).facts.fingerprint
    changed = good(**three(["a", "b"], ["c"], ["D"])).facts.fingerprint
    moved = good(**three(["a", "b"], ["d"], ["c"])).facts.fingerprint
    assert first == again
    assert len({first, changed, moved}) == 3


def test_the_facts_are_plain_values(three: Any) -> None:
    facts = good(**three(["a", "b"], ["c"], ["d"])).facts
    plain = json.loads(json.dumps(facts.as_dict()))
    assert plain["splits"]["train"]["rows"] == 2
    assert plain["fingerprint"] == facts.fingerprint
