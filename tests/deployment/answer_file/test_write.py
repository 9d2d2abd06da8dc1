"""A file of answers is begun, stopped and gone on with, and never written over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asking import Answering, inputs_of
from faults import refused
from support import write_rows
from welltuned.artifact.answers import Tally
from welltuned.data.config import DataConfig
from welltuned.data.inputs import Inputs
from welltuned.deployment.answer_file import write as module
from welltuned.deployment.answer_file.formats import FORMATS_OUT
from welltuned.deployment.answer_file.write import AnswerFile
from welltuned.runs.locks import Lock


class Stopping(Exception):
    """In place of a signal."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of four texts."""
    monkeypatch.setattr(module, "WINDOW", 2)
    monkeypatch.setattr(module, "BATCH", 2)


@pytest.fixture
def opened(tmp_path: Path) -> Any:
    """`opened("a.csv")`: that file of answers by an exported folder to ten texts."""
    (tmp_path / "export").mkdir()
    (tmp_path / "export/export.json").write_text("{}")
    data = write_rows(tmp_path / "data.jsonl", [{"text": "good"}])

    def make(name: str, **options: Any) -> AnswerFile:
        config = DataConfig(train=data, **options)
        return AnswerFile.of(str(tmp_path / "out" / name), str(tmp_path / "export"), config)

    return make


def stopped_after(rows: Iterable[Any], number: int) -> Iterator[Any]:
    for i, row in enumerate(rows):
        if i == number:
            raise Stopping
        yield row


def answer(file: AnswerFile, inputs: Inputs, stop: int = 10**9) -> tuple[Tally, list[str]]:
    """(what was counted, the texts that were asked)."""
    predictor: Any = Answering()
    tally = Tally()
    with file.owned():
        rest = file.rest(predictor, inputs, tally.add)
        answers = stopped_after(predictor.rows(rest.inputs), stop)
        file.write(answers, rest, tally.add)
    return tally, predictor.asked


def content(file: AnswerFile) -> bytes:
    return file.target.read_bytes() if file.target.suffix != ".parquet" else b""


@pytest.mark.parametrize("suffix", FORMATS_OUT)
def test_a_stopped_file_goes_on_and_ends_as_one_never_stopped(suffix: str, opened: Any) -> None:
    inputs = inputs_of(10, broken=(3,))
    whole = opened(f"whole{suffix}")
    answer(whole, inputs)
    with pytest.raises(Stopping):
        answer(opened(f"a{suffix}"), inputs, stop=6)
    again = opened(f"a{suffix}")
    assert not again.is_finished
    tally, asked = answer(again, inputs)
    assert asked == [f"text {line}" for line in (6, 7, 8, 9, 10)], "from its window on"
    assert (tally.rows, tally.answered, tally.unreadable) == (10, 9, 1)
    assert opened(f"a{suffix}").is_finished and content(again) == content(whole)


@pytest.mark.parametrize("suffix", FORMATS_OUT)
def test_half_a_row_is_no_row(suffix: str, opened: Any) -> None:
    inputs, file = inputs_of(10), opened(f"a{suffix}")
    with pytest.raises(Stopping):
        answer(file, inputs, stop=5)
    gathered = file.format.gathered
    gathered.write_bytes(gathered.read_bytes()[:-3])
    tally, asked = answer(opened(f"a{suffix}"), inputs)
    assert tally.rows == 10 and asked[0] == "text 5"


def test_a_file_killed_between_its_last_row_and_its_end_is_finished(opened: Any) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    inputs, file = inputs_of(4), opened("a.parquet")
    answer(file, inputs)
    rows = b"".join(
        b'{"id": "a.csv:%d", "text": "t", "prediction": "good"}\n' % line for line in range(1, 5)
    )
    file.format.gathered.write_bytes(rows)
    file.origin.write(file.beside, finished=False)
    _, asked = answer(opened("a.parquet"), inputs)
    assert asked == [] and opened("a.parquet").is_finished


def test_a_file_of_another_input_is_refused_with_the_difference(opened: Any) -> None:
    answer(opened("a.csv"), inputs_of(2))
    with refused("predict.out_of_another", key="options.columns"):
        opened("a.csv", columns={"text": "review"})


def test_a_file_that_nobody_knows_is_left_alone(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.csv").write_text("mine\n")
    with refused("predict.out_in_use"):
        opened("a.csv")
    assert (tmp_path / "out/a.csv").read_text() == "mine\n"


def test_what_is_said_of_a_file_that_is_gone_does_not_count(opened: Any) -> None:
    answer(opened("a.csv"), inputs_of(2))
    opened("a.csv").target.unlink()
    file = opened("a.csv", columns={"text": "review"})
    answer(file, inputs_of(3))
    assert opened("a.csv", columns={"text": "review"}).is_finished


@pytest.mark.parametrize("change", ["drop", "double", "spoil"])
def test_rows_that_are_not_the_first_of_the_input_are_refused(change: str, opened: Any) -> None:
    inputs, file = inputs_of(10), opened("a.jsonl")
    with pytest.raises(Stopping):
        answer(file, inputs, stop=5)
    lines = file.target.read_text().splitlines(keepends=True)
    changed = {"drop": lines[1:], "double": lines * 3, "spoil": [*lines[1:], "{}\n"]}
    file.target.write_text("".join(changed[change]))
    with refused("predict.out_changed"):
        answer(opened("a.jsonl"), inputs)


def test_only_one_process_writes(opened: Any) -> None:
    file = opened("a.csv")
    with file.owned(), refused("predict.out_owned"), opened("a.csv").owned():
        pytest.fail("both may write")
    assert Lock(file.target.with_name(".a.csv.lock")).acquire(wait=False)


def test_text_that_is_generated_is_gone_on_with_batch_by_batch(opened: Any) -> None:
    inputs = inputs_of(10)
    with pytest.raises(Stopping):
        answer(opened("a.jsonl"), inputs, stop=5)
    predictor: Any = Answering(responder=object())
    rest = opened("a.jsonl").rest(predictor, inputs, lambda row: None)
    assert rest.again == 1, "of a batch of two, and not of a window of four"
