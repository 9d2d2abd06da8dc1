"""Names of languages as people write them."""

from __future__ import annotations

from typing import get_args

import pytest

from welltuned.data.dataflow.tables import LANGUAGES, LanguageName, language_named


def test_each_language_of_the_config_has_a_table() -> None:
    assert set(get_args(LanguageName)) == set(LANGUAGES)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("Java", "java"), (" C++ ", "cpp"), ("C#", "c_sharp"), ("py", "python"), ("c", "c")),
        *(("brainfuck", None), (None, None), ("", None), (3, None)),
    ],
)
def test_a_cell_names_a_language(written: object, meant: str | None) -> None:
    assert language_named(written) == meant
