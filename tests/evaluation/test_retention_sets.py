"""The texts that forgetting is measured on: which they are, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from faults import full, noted, refused
from support import write_rows
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import DataSplits, collect
from welltuned.errors import Faults, InputError
from welltuned.evaluation.config import EvaluationConfig
from welltuned.evaluation.retention_sets import (
    MOST_TEXTS,
    LabelledSet,
    collect_sets,
    embedded_text,
    language_of,
)
from welltuned.tasks import Classification, Generation

DEMO = Path(__file__).parents[2] / "welltuned" / "data" / "demo"


def task_data(file: str, has_lm_head: bool = False) -> DataSplits:
    faults = Faults()
    task: Any = Generation() if has_lm_head else Classification()
    data = collect(DataConfig(train=file), task.roles, faults, task.convert)
    faults.raise_if_any()
    assert data is not None
    return data


def sets_for(file: str, retention: Any = "auto", has_lm_head: bool = False) -> Any:
    faults = Faults()
    evaluation = EvaluationConfig(retention=retention)
    data = task_data(file, has_lm_head)
    found = collect_sets(evaluation, data, DataConfig(train=file), faults, has_lm_head)
    faults.raise_if_any()
    return found


def names(found: Any) -> tuple[list[str], list[str]]:
    return [one.name for one in found.labelled], [one.name for one in found.texts]


# --- The embedded texts ---------------------------------------------------------


def rows_of(name: str) -> list[dict[str, str]]:
    lines = (DEMO / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(("language", "passages", "topics"), [("en", 200, 40), ("zh", 60, 20)])
def test_the_embedded_texts_are_what_their_licence_says(
    language: str, passages: int, topics: int
) -> None:
    general, labelled = rows_of(f"general_{language}"), rows_of(f"topics_{language}")
    assert len({row["text"] for row in general}) == len(general) == passages
    assert len({row["text"] for row in labelled}) == len(labelled)
    assert Counter(Counter(row["label"] for row in labelled).values()) == {topics: 6}
    assert not {row["text"] for row in general} & {row["text"] for row in labelled}
    licence = (DEMO / "LICENSE").read_text(encoding="utf-8")
    assert f"general_{language}.jsonl     {passages} " in licence
    assert f"topics_{language}.jsonl      {len(labelled)} " in licence


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_topic_is_given_away_by_single_words(language: str) -> None:
    """Counting words tells little more than chance: what is measured is understanding."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    from welltuned.evaluation.linear_probe import right_out_of_fold

    rows = rows_of(f"topics_{language}")
    labels = sorted({row["label"] for row in rows})
    analyzer = {"en": "word", "zh": "char"}[language]
    counts = TfidfVectorizer(analyzer=analyzer, ngram_range=(1, 2)).fit_transform(
        row["text"] for row in rows
    )
    import numpy as np

    classes = np.array([labels.index(row["label"]) for row in rows])
    assert right_out_of_fold(counts.toarray(), classes).mean() < 0.3


def test_english_is_measured_on_english(sentiment: str) -> None:
    assert names(sets_for(sentiment)) == (["topics_en"], ["general_en"])


def test_chinese_is_measured_on_both(tmp_path: Path) -> None:
    rows = [{"text": row["text"], "label": row["label"]} for row in rows_of("sentiment_zh")[:80]]
    file = write_rows(tmp_path / "zh.jsonl", rows)
    assert names(sets_for(file)) == (["topics_zh", "topics_en"], ["general_zh"])


def test_most_letters_decide_the_language() -> None:
    assert language_of(["一二三 abc", "四"]) == "zh"
    assert language_of(["一二 abc"]) == "en"
    assert language_of(["123 …"]) == "en"


def test_nobody_is_measured_on_his_own_task() -> None:
    """Another set takes the place of the one that is tuned on."""
    assert names(sets_for("demo:topics_en")) == (["sentiment_en"], ["general_en"])
    assert names(sets_for("demo:general_en", has_lm_head=True))[1] == ["general_zh"]


def test_what_protects_is_not_what_is_measured_on(sentiment: str) -> None:
    [measured] = sets_for(sentiment).texts
    protecting = embedded_text("en", has_lm_head=False)
    assert len(measured.texts) == len(protecting.texts) == 100
    assert not set(measured.texts) & set(protecting.texts)


def test_none_switches_it_off(sentiment: str) -> None:
    assert names(sets_for(sentiment, "none")) == ([], [])


# --- Named sets ------------------------------------------------------------------


def test_a_labelled_file_and_a_text_are_told_apart(sentiment: str, tmp_path: Path) -> None:
    labelled = [{"text": f"thing number {i}", "topic": "ab"[i % 2]} for i in range(30)]
    one = write_rows(tmp_path / "old.jsonl", labelled)
    (tmp_path / "book.txt").write_text("".join(f"line {i}\n" for i in range(20)))
    found = sets_for(sentiment, [one, str(tmp_path / "book.txt")])
    assert names(found) == (["topics_en", "old"], ["general_en", "book"])
    old = found.labelled[1]
    assert isinstance(old, LabelledSet)
    assert old.labels == ("a", "b") and old.classes.tolist() == [0, 1] * 15


def test_columns_may_be_named(sentiment: str, tmp_path: Path) -> None:
    rows = [{"said": f"thing {i}", "what": "ab"[i % 2], "other": i} for i in range(30)]
    file = write_rows(tmp_path / "old.jsonl", rows)
    named = {"data": file, "columns": {"text": "said", "label": "what"}}
    assert sets_for(sentiment, named).labelled[1].texts[0] == "thing 0"


def test_equal_names_are_told_apart(sentiment: str, tmp_path: Path) -> None:
    files = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        rows = [{"text": f"{folder} {i}"} for i in range(12)]
        files.append(write_rows(tmp_path / folder / "t.jsonl", rows))
    assert names(sets_for(sentiment, files))[1] == ["general_en", "t", "t_2"]


def test_a_split_of_a_set_is_called_by_its_folder(sentiment: str, tmp_path: Path) -> None:
    folder = tmp_path / "questions"
    folder.mkdir()
    file = write_rows(folder / "test.jsonl", [{"text": f"question {i}"} for i in range(12)])
    assert names(sets_for(sentiment, file))[1] == ["general_en", "questions"]


def test_conversations_are_read_where_the_model_speaks(instructions: str, tmp_path: Path) -> None:
    rows = [{"prompt": f"what is {i}?", "completion": f"it is {i}"} for i in range(12)]
    file = write_rows(tmp_path / "questions.jsonl", rows)
    found = sets_for(instructions, file, has_lm_head=True)
    assert names(found)[1] == ["general_en", "questions"]
    assert found.texts[1].records["completion"][3] == "it is 3"


def test_large_sets_are_drawn_from_and_that_is_said(sentiment: str, tmp_path: Path) -> None:
    rows = [{"text": f"text {i}"} for i in range(MOST_TEXTS + 50)]
    found = sets_for(sentiment, write_rows(tmp_path / "big.jsonl", rows))
    assert len(found.texts[1].texts) == MOST_TEXTS
    told = f"retention.limited name=big most={MOST_TEXTS} total={MOST_TEXTS + 50}"
    assert noted(found.notes) == [told]


def test_rare_labels_are_left_out_and_that_is_said(sentiment: str, tmp_path: Path) -> None:
    rows = [{"text": f"t {i}", "label": "ab"[i % 2]} for i in range(30)]
    rows += [{"text": f"rare {i}", "label": "c"} for i in range(4)]
    found = sets_for(sentiment, write_rows(tmp_path / "old.jsonl", rows))
    assert found.labelled[1].labels == ("a", "b") and len(found.labelled[1].texts) == 30
    assert noted(found.notes)[0] == "retention.rare_labels name=old folds=5 rare=1"


# --- What is refused ------------------------------------------------------------


def test_a_set_that_shares_texts_with_the_test_split_is_refused(
    sentiment: str, tmp_path: Path
) -> None:
    """With how many, and the lines of both; case and punctuation do not hide a text."""
    test = task_data(sentiment).test
    rows = [{"text": f"another {i}"} for i in range(12)]
    rows[3] = {"text": test["text"][0].upper() + "!"}
    rows[7] = {"text": test["text"][5]}
    file = write_rows(tmp_path / "mine.jsonl", rows)
    with refused(
        "data.texts_shared",
        place=f"{file}:4",
        number=2,
        total=12,
        where="the test split",
        lines="4, 8",
    ) as caught:
        sets_for(sentiment, file)
    assert str(caught.value.faults[0].values["earlier"]) == f"{sentiment}:{test.lines[0]}"


def test_texts_of_train_may_be_named(sentiment: str, tmp_path: Path) -> None:
    rows = [{"text": text} for text in task_data(sentiment).train["text"][:20]]
    assert names(sets_for(sentiment, write_rows(tmp_path / "x.jsonl", rows)))[1][1] == "x"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"text": f"t {i}"} for i in range(9)], "retention.too_few_texts number=9"),
        (
            [{"text": f"t {i}", "label": i} for i in range(40)],
            "retention.bad_number_of_labels labels=40 rows=40",
        ),
        (
            [{"text": f"t {i}", "label": "a"} for i in range(40)],
            "retention.bad_number_of_labels labels=1 rows=40",
        ),
        ([{"no": f"t {i}", "words": 1} for i in range(40)], "data.column_missing role=text"),
    ],
)
def test_sets_that_measure_nothing_are_refused(
    rows: list[dict[str, Any]], told: str, sentiment: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        sets_for(sentiment, write_rows(tmp_path / "bad.jsonl", rows))
    assert told in full(caught.value.faults)[0]


def test_a_missing_file_is_refused(sentiment: str) -> None:
    with refused("data.file_missing"):
        sets_for(sentiment, "nowhere/at/all.jsonl")


def configured(retention: Any) -> EvaluationConfig:
    return EvaluationConfig.model_validate({"retention": retention})


def test_the_config_reads_every_way_of_writing_it() -> None:
    read = [configured(given).retention for given in ("auto", "a.txt", ["a.txt"])]
    assert read[0] == () and read[1] == read[2] and read[1][0].data == "a.txt"
    assert not configured("none").retained
    again = EvaluationConfig.model_validate(configured("none").model_dump())
    assert not again.retained
