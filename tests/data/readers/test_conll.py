"""CoNLL files, and other files with lists of words and tags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faults import full, noted
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import DataSplits, collect
from welltuned.data.sources import read_file
from welltuned.errors import Faults
from welltuned.tasks import TokenClassification

TASK = TokenClassification()


def read(path: Path, content: str) -> Any:
    """(table, faults as places, codes and values)."""
    path.write_text(content, encoding="utf-8")
    faults = Faults()
    table = read_file(str(path), DataConfig(train=str(path)), faults)
    if table is not None:
        table = TASK.convert(table, {}, faults)
    return table, full(faults)


def gather(path: Path, **config: Any) -> tuple[DataSplits | None, list[str]]:
    faults = Faults()
    data = DataConfig(train=str(path), duplicates="keep", **config)
    collected = collect(data, TASK.roles, faults, TASK.convert)
    return collected, full(faults)


@pytest.mark.parametrize("suffix", ["conll", "iob", "bio", "txt", "CONLL"])
@pytest.mark.parametrize("gap", ["\t", " ", "   "], ids=["tab", "space", "spaces"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["unix", "windows"])
def test_sentences_are_parted_by_blank_lines(
    suffix: str, gap: str, newline: str, tmp_path: Path
) -> None:
    lines = ["", f"Ada{gap}B-PER", f"sings{gap}O", "", " \t", f"Oslo{gap}B-LOC"]
    table, faults = read(tmp_path / f"a.{suffix}", newline.join(lines))
    assert not faults
    assert table.columns == {
        "words": [["Ada", "sings"], ["Oslo"]],
        "tags": [["B-PER", "O"], ["B-LOC"]],
    }
    assert table.lines == [2, 6]


@pytest.mark.parametrize("suffix", ["conll", "txt"])
def test_documents_and_comments_are_skipped_and_counted(suffix: str, tmp_path: Path) -> None:
    content = (
        "-DOCSTART- -X- O O\n\n# id = 7\n# lang = en\n# NN I O\nAda NNP I B-PER\n"
        "-DOCSTART- -X- O O\nOslo NNP I B-LOC\n"
    )
    table, faults = read(tmp_path / f"a.{suffix}", content)
    assert not faults
    assert table.columns["words"] == [["#", "Ada"], ["Oslo"]]
    assert table.columns["tags"] == [["O", "B-PER"], ["B-LOC"]]
    assert table.columns["column 2"] == [["NN", "NNP"], ["NNP"]]
    assert noted(table.notes) == [
        f"data.document_lines_skipped source=a.{suffix} number=2",
        f"data.comment_lines_skipped source=a.{suffix} number=2",
    ]


def test_with_tabs_a_word_may_hold_spaces(tmp_path: Path) -> None:
    table, faults = read(tmp_path / "a.conll", "New York\tB-LOC\n\u00a0\tO\n")
    assert not faults and table.columns["words"] == [["New York", "\u00a0"]]


def test_words_alone_are_read_too(tmp_path: Path) -> None:
    table, faults = read(tmp_path / "a.conll", "Ada\nsings\n\nOslo\n")
    assert not faults and table.columns == {"words": [["Ada", "sings"], ["Oslo"]]}


@pytest.mark.parametrize("suffix", ["conll", "txt"])
def test_damaged_lines_are_shown_with_their_numbers(suffix: str, tmp_path: Path) -> None:
    content = "Ada\tB-PER\nsings\n\nin\tO\n\tO\nOslo\t\n"
    _, faults = read(tmp_path / f"a.{suffix}", content)
    assert faults == [
        f"a.{suffix}:2 data.conll_width found=1 first=1 expected=2",
        f"a.{suffix}:5 data.conll_cell_missing cell=word",
        f"a.{suffix}:6 data.conll_cell_missing cell=tag",
    ]


def test_a_column_may_be_chosen_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("\n".join(f"word{i} T{i % 2} O\n" for i in range(40)))
    data, faults = gather(path, columns={"tags": "column 2"})
    assert not faults and data is not None
    assert {tag for tags in data.train["tags"] for tag in tags} == {"T0", "T1"}
    assert data.facts.unused_columns == ["tags"]


WORDS, TAGS = ["Ada", "is", "in", "Oslo"], ["B-PER", "O", "O", "B-LOC"]


@pytest.mark.parametrize(
    "rows",
    [
        {"tokens": WORDS, "ner_tags": TAGS},
        {"words": WORDS, "labels": TAGS},
        {"sentence": "Ada is  in Oslo", "tags": "B-PER O O B-LOC"},
        {"words": repr(WORDS), "tags": json.dumps(TAGS)},
        {"WORDS": WORDS, "anything": TAGS},
    ],
    ids=["tokens", "words", "text", "written lists", "the only column left"],
)
def test_lists_of_words_and_tags_are_found_by_name(rows: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(rows) + "\n" for _ in range(3)))
    for split in ("validation", "test"):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps(rows))
    files = {split: str(tmp_path / f"{split}.jsonl") for split in ("validation", "test")}
    data, faults = gather(path, **files)
    assert not faults and data is not None
    assert data.train["words"] == [WORDS] * 3 and data.train["tags"] == [TAGS] * 3


def test_what_is_no_list_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"words": ["a"], "tags": ["O"]}\n{"words": 7, "tags": {"a": "O"}}\n')
    _, faults = gather(path)
    assert faults == [
        "a.jsonl:2 data.cell_not_a_list_of_words role=words cell=7",
        "a.jsonl:2 data.cell_not_a_list_of_words role=tags cell={'a': 'O'}",
    ]


def test_sentences_without_words_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"words": [f"w{i}", "x"], "tags": ["O", "B-X"]} for i in range(30)]
    rows[4] = {"words": [], "tags": []}
    rows[9] = {"words": ["", " "], "tags": ["O", "O"]}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data, faults = gather(path)
    assert not faults and data is not None
    assert data.facts.splits["train"].empty == 2
    assert "data.empty_left_out source=a.jsonl number=2 lines=5, 10" in noted(data.facts.notes)


def test_equal_sentences_are_found_across_splits(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("Ada B-PER\nsings O\n\nOslo B-LOC\n")
    (tmp_path / "validation.conll").write_text("Oslo B-PER\n\nRome B-LOC\n")
    (tmp_path / "test.conll").write_text("ada B-PER\n, O\nsings O\n")
    config = DataConfig(
        train=str(tmp_path / "a.conll"),
        validation=str(tmp_path / "validation.conll"),
        test=str(tmp_path / "test.conll"),
    )
    collect(config, TASK.roles, faults := Faults(), TASK.convert)
    (fault,) = full(faults)
    assert "data.duplicates_across_splits" in fault
    assert "(train/validation 1, train/test 1;" in fault


def test_class_numbers_in_lists_become_their_names(tmp_path: Path) -> None:
    """In a folder of the `datasets` library, and in a Parquet file that it wrote."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "tokens": datasets.Sequence(datasets.Value("string")),
            "ner_tags": datasets.Sequence(datasets.ClassLabel(names=["O", "B-PER"])),
            "kind": datasets.ClassLabel(names=["news", "chat"]),
        }
    )
    rows = {"tokens": [["Ada", "sings"]], "ner_tags": [[1, 0]], "kind": [1]}
    data = datasets.Dataset.from_dict(rows, features=features)
    data.save_to_disk(tmp_path / "folder")
    data.to_parquet(tmp_path / "a.parquet")
    for name in ("folder", "a.parquet"):
        path = str(tmp_path / name)
        table = read_file(path, DataConfig(train=path), faults := Faults())
        assert not len(faults) and table is not None
        assert table.columns["ner_tags"] == [["B-PER", "O"]]
        assert table.columns["kind"] == ["chat"]
