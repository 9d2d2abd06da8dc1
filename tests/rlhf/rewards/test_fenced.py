"""Blocks of code in what models write."""

from __future__ import annotations

from welltuned.rlhf.rewards.fenced import fenced_blocks

SAID = """First:
```python
x = 1
```
then
```bash
ls
```
and `y`, or
  ```
z
  ```
```JSON
[1]
"""


def test_blocks_of_a_language_and_of_none_are_found_in_order() -> None:
    assert fenced_blocks(SAID, ["python"]) == ["x = 1\n", "z\n"]
    assert fenced_blocks(SAID, ["json"]) == ["z\n", "[1]\n"]
    assert fenced_blocks("no block, only `code`", ["python"]) == []
