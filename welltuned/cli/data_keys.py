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
    from welltuned.errors import Faults
    from welltuned.schema.document import Document, apply_overrides
    from welltuned.schema.part import Part
    from welltuned.schema.validation import validate

    class Request(Part):
        data: module.DataConfig

    faults = Faults()
    document = Document()
    apply_overrides(document, arguments, Request, faults)
    request = validate(Request, document, faults)
    faults.raise_if_any()
    assert request is not None
    return request.data
