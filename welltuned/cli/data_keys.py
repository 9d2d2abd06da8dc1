"""`data=FILE` and keys of `data:` on the line, such as `data.columns.text=review`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from welltuned.data.config import DataConfig

_KEY = re.compile(r"data(\.\w+)*=")


def is_data_key(argument: str) -> bool:
    """Whether an argument is one of these."""
    return _KEY.match(argument) is not None


def data_config(arguments: list[str]) -> DataConfig:
    """All of them as a DataConfig. Raises `InputError` with all faults found."""
    from welltuned.data import config as module
    from welltuned.schema.part import Part
    from welltuned.schema.validation import read_settings

    class Request(Part):
        data: module.DataConfig

    return read_settings(Request, arguments).data
