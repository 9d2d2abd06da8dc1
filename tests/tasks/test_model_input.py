"""Model input: who reads more than token ids says so, and who does not needs to say nothing."""

from __future__ import annotations

from typing import Any

from coding import make_functions
from welltuned.data.records import Records
from welltuned.tasks.classification import Labels, SingleLabel
from welltuned.tasks.dataflow import Dataflow

LABELS = Labels("single_label", ("input", "result"), ("input", "result"))
RECORDS = Records("made", {"text": [row["text"] for row in make_functions(2)]}, [1, 2], ("text",))
ANY_MODEL: Any = object()


def test_texts_are_read_as_they_are() -> None:
    codec = SingleLabel(LABELS).codec
    assert codec.reads_plainly and codec.picture(RECORDS) is None
    assert not list(codec.check_model(ANY_MODEL))
    codec.fit_model(ANY_MODEL)


def test_code_with_its_data_flow_is_read_by_more() -> None:
    codec = SingleLabel(LABELS, encoding=Dataflow(language="java")).codec
    assert not codec.reads_plainly
    picture: Any = codec.picture(RECORDS)
    assert len(picture["nodes"]) == len(picture["sources"]) and "f0" in picture["tokens"]
