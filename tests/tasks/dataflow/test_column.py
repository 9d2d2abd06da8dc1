"""A column of languages: names as people write them, and rows that name none."""

from __future__ import annotations

from welltuned.data.records import Records
from welltuned.data.table import Table
from welltuned.errors import Faults
from welltuned.tasks.dataflow import Dataflow
from welltuned.tasks.dataflow.column import ROLE, languages_of, with_languages

COLUMN = Dataflow(language_column="lang")


def table(*languages: str | None) -> Table:
    columns: dict[str, list[str | None]] = {"text": ["x"] * len(languages), "lang": [*languages]}
    return Table("codes.csv", columns, [*range(2, 2 + len(languages))])


def test_names_are_brought_under_one() -> None:
    faults = Faults()
    found = with_languages(table("C++", "Py", "java"), COLUMN, {}, faults)
    assert found.columns[ROLE.name] == ["cpp", "python", "java"] and not len(faults)
    assert "lang" not in found.columns, "it is used, though by no role of that name"
    assert "lang" in with_languages(table("c"), COLUMN, {"group": "lang"}, faults).columns


def test_rows_in_a_language_nobody_knows_are_faults_with_their_lines() -> None:
    faults = Faults()
    with_languages(table("java", "cobol", None), COLUMN, {}, faults)
    unknown, missing = faults
    assert str(unknown.place) == "codes.csv:3" and "'cobol'" in unknown.what
    assert str(missing.place) == "codes.csv:4" and "is missing" in missing.what
    assert "c_sharp" in unknown.remedy and "'lang'" in unknown.remedy


def test_a_column_that_is_not_there_is_a_fault() -> None:
    faults = Faults()
    with_languages(table("java"), Dataflow(language_column="language"), {}, faults)
    (fault,) = faults
    assert fault.code == "data.language_column_missing" and "text, lang" in fault.remedy


def test_without_a_column_nothing_changes() -> None:
    given = table("java")
    assert with_languages(given, Dataflow(language="java"), {}, Faults()) is given
    assert with_languages(given, None, {}, Faults()) is given


def test_each_record_has_its_language() -> None:
    records = Records("made", {"text": ["x", "y"], ROLE.name: ["go", "c"]}, [1, 2], ("text",))
    assert languages_of(records, COLUMN) == ["go", "c"]
    assert languages_of(records, Dataflow(language="php")) == ["php", "php"]


def test_rows_that_name_none_have_the_language_of_all_others() -> None:
    faults = Faults()
    encoding = Dataflow(language="java", language_column="lang")
    read = with_languages(table("py", None, ""), encoding, {}, faults)
    assert not faults and read.columns[ROLE.name] == ["python", "java", "java"]
