"""Long texts: what is read of those that are longer than a model takes, or than `task.max_length`.

To add a way: a class that says which tokens make rows, and how rows become a text again.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter

from welltuned.tasks.long.base import LongTexts
from welltuned.tasks.long.read import read_texts, require_parts
from welltuned.tasks.long.truncate import TRUNCATE, HeadTail, Truncate
from welltuned.tasks.long.windows import Windows


def _spelled_out(given: Any) -> Any:
    """`windows` means `{type: windows}`, and keys without a type are those of windows."""
    if isinstance(given, str):
        return {"type": given}
    return {"type": "windows", **given} if isinstance(given, dict) else given


AnyLongTexts = Annotated[
    Truncate | HeadTail | Windows, Field(discriminator="type"), BeforeValidator(_spelled_out)
]


def long_texts_memory(long: LongTexts) -> dict[str, Any]:
    """What an artifact has to remember; nothing of what is so by itself."""
    return {} if long == TRUNCATE else {"long": long.to_dict()}


def recalled_long_texts(memory: Mapping[str, Any]) -> LongTexts:
    """What an artifact remembers. Raises `ValueError`."""
    found: LongTexts = TypeAdapter(AnyLongTexts).validate_python(memory.get("long", "truncate"))
    return found


__all__ = [
    "TRUNCATE",
    "AnyLongTexts",
    "HeadTail",
    "LongTexts",
    "Truncate",
    "Windows",
    "long_texts_memory",
    "read_texts",
    "recalled_long_texts",
    "require_parts",
]
