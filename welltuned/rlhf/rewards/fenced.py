"""Blocks of code in a response, between ``` and ```, as models write them in Markdown."""

from __future__ import annotations

import re
from collections.abc import Collection

_FENCE = re.compile(r"^[ \t]*```([^\n`]*)\n(.*?)(?:^[ \t]*```[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)


def fenced_blocks(text: str, languages: Collection[str]) -> list[str]:
    """What stands in the blocks of these languages, and in those that name none.

    >>> fenced_blocks("So:\\n```python\\nx = 1\\n```\\n```bash\\nls\\n```", ["python"])
    ['x = 1\\n']
    """
    known = {"", *languages}
    return [block for name, block in _FENCE.findall(text) if name.strip().lower() in known]
