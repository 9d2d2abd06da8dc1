"""Names that can only be paths."""

from __future__ import annotations

import pytest

from welltuned.schema.local_path import is_local_path


@pytest.mark.parametrize("name", ["/a", "./a", "../a", "~/a", ".\\a", "C:\\a", "a/b/c", "runs/x/"])
def test_these_are_paths(name: str) -> None:
    assert is_local_path(name)


@pytest.mark.parametrize("name", ["a", "a-b", "owner/name", "Qwen/Qwen2.5-0.5B", "a.b"])
def test_these_may_be_on_a_hub(name: str) -> None:
    assert not is_local_path(name)
