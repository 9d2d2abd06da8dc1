"""Data are read and tokenised once by whoever shares a cache, and never taken for others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from counting import Work, count_work
from faults import refused
from support import config_values, make_rows, write_rows
from welltuned.config import RunConfig, run_config_from
from welltuned.training.preparation.data_cache import JOURNAL, DataCache
from welltuned.training.preparation.prepare import RunPlan, prepare


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """How often files are really read, and records really tokenised."""
    return count_work(monkeypatch)


def since(work: Work, before: dict[str, int]) -> tuple[int, int]:
    """(files read, splits tokenised) since then."""
    now = work.counts
    return now["read"] - before["read"], now["tokenised"] - before["tokenised"]


@pytest.fixture
def asked(tiny: Any, causal: Any, tmp_path: Path) -> Callable[..., RunConfig]:
    """`asked(data, task)`: a config of a tiny model."""

    def ask(data: Any, task: Any = None, strategy: Any = "full", **parts: Any) -> RunConfig:
        kind = task["type"] if isinstance(task, dict) else task
        speaks = kind in ("generation", "preference")
        model = causal("llama") if speaks else tiny("bert")
        values = config_values(model, data, strategy, tmp_path / "new", **parts)
        return run_config_from({**values, **({"task": task} if task else {})})

    return ask


def same(one: RunPlan, other: RunPlan) -> bool:
    """Whether both hold the same batches, targets, records and facts."""
    if one.data.facts.as_dict() != other.data.facts.as_dict():
        return False
    for split, examples in one.examples.items():
        theirs = other.examples[split]
        some = list(range(len(examples)))
        if len(theirs) != len(examples) or theirs.records != examples.records:
            return False
        ours = one.problem.codec.collate(examples, some, one.pad_id)
        for name, array in other.problem.codec.collate(theirs, some, other.pad_id).items():
            if not np.array_equal(array, ours[name], equal_nan=True):
                return False
    return True


@pytest.fixture
def tagged(tmp_path: Path) -> str:
    rows = [
        {"words": row["text"].split(), "tags": ["O"] * len(row["text"].split())}
        for row in make_rows(60)
    ]
    for row in rows:
        row["tags"][0] = "B-X"
    return write_rows(tmp_path / "tagged.jsonl", rows)


TASKS = {
    "classification": "sentiment",
    "token_classification": "tagged",
    "generation": "instructions",
    "reward": "preferences",
    "preference": "preferences",
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("shared", [False, True], ids=["memory", "folder"])
def test_every_task_is_read_and_tokenised_once(
    task: str,
    shared: bool,
    asked: Any,
    work: Work,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """And what comes out of the cache is what goes in, in this process and in the next."""
    config = asked(request.getfixturevalue(TASKS[task]), task)
    plain = prepare(config)
    before = work.counts
    cache = DataCache()
    if shared:
        cache.share(tmp_path / "data")
    first = prepare(config, cache=cache)
    assert since(work, before) == (1, 3)
    later = prepare(config, cache=DataCache(tmp_path / "data") if shared else cache)
    assert since(work, before) == (1, 3)
    assert same(plain, first) and same(plain, later)


def test_a_tokenizer_is_left_as_encoding_leaves_it(
    asked: Any, instructions: str, tmp_path: Path
) -> None:
    """It is saved with the model: a template that it lacked is there, whoever did the work."""
    cache = DataCache()
    cache.share(tmp_path)
    config = asked(instructions, {"type": "generation", "format": "alpaca"})
    for one in (cache, cache, DataCache(tmp_path)):
        plan = prepare(config, cache=one)
        assert plan.problem.to_dict()["style"] == "chat" and plan.tokenizer.chat_template


def test_notes_of_one_run_are_not_those_of_the_next(asked: Any, sentiment: str) -> None:
    cache = DataCache()
    first, later = (prepare(asked(sentiment), cache=cache) for _ in range(2))
    first.data.facts.note("data.mine", "mine")
    third = prepare(asked(sentiment), cache=cache)
    assert not {"data.mine"} & {
        note["code"] for one in (later, third) for note in one.data.facts.notes
    }


def test_what_reads_differently_is_read_again(asked: Any, work: Work, tmp_path: Path) -> None:
    """Other rows under the same name, other splits, and a model that leaves less room."""
    rows = [{**row, "text": " ".join([row["text"]] * 9)} for row in make_rows(60)]
    data = write_rows(tmp_path / "long.jsonl", rows)
    cache, none = DataCache(), work.counts
    prepare(asked(data), cache=cache)
    prepare(asked({"train": data, "split": {"seed": 1}}), cache=cache)
    assert since(work, none) == (1, 6), "other splits are of the same rows"
    prompt = {"type": "prompt", "num_virtual_tokens": 30}
    assert prepare(asked(data, strategy=prompt), cache=cache).max_length == 34
    assert since(work, none) == (1, 9)
    write_rows(tmp_path / "long.jsonl", rows[:-6])
    assert len(prepare(asked(data), cache=cache).data.train) < 48
    assert since(work, none) == (2, 12)


def test_replay_examples_are_read_and_tokenised_once(
    asked: Any, work: Work, sentiment: str, tmp_path: Path
) -> None:
    rows = [{"text": f"earlier {i}", "label": row["label"]} for i, row in enumerate(make_rows(40))]
    earlier = write_rows(tmp_path / "earlier.jsonl", rows)
    data, cache = {"train": sentiment, "replay": earlier}, DataCache()
    one, other = (prepare(asked(data, protection=["replay"]), cache=cache) for _ in range(2))
    assert one.replay is not None and other.replay is not None and len(one.replay) == 40
    assert work.read == {sentiment: 1, earlier: 1}
    assert work.times_tokenised(earlier) == {1}


def test_damage_is_told_to_everyone_who_reads(asked: Any, work: Work, tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text('{"text": \n')
    cache = DataCache()
    for _ in range(2):
        with refused("data.bad_json"):
            prepare(asked(str(tmp_path / "broken.jsonl")), cache=cache)


@pytest.mark.parametrize("lost", ["splits", "examples"])
@pytest.mark.parametrize("how", ["missing", "damaged", "of another version"])
def test_what_cannot_be_used_is_made_anew(
    lost: str, how: str, asked: Any, work: Work, sentiment: str, tmp_path: Path
) -> None:
    cache = DataCache(version="1")
    cache.share(tmp_path)
    plain = prepare(asked(sentiment), cache=cache)
    before = work.counts
    for file in tmp_path.glob(f"{lost}-*.npz"):
        if how == "missing":
            file.unlink()
        elif how == "damaged":
            file.write_bytes(file.read_bytes()[:-100])
    version = "2" if how == "of another version" else "1"
    found = prepare(asked(sentiment), cache=DataCache(tmp_path, version))
    assert same(plain, found)
    only = {"splits": (1, 0), "examples": (0, 3)}[lost]
    assert since(work, before) == ((1, 3) if how == "of another version" else only)


def test_the_journal_tells_what_was_made_and_files_can_go(
    asked: Any, sentiment: str, tmp_path: Path
) -> None:
    cache = DataCache()
    cache.share(tmp_path)
    for _ in range(2):
        prepare(asked(sentiment), cache=cache)
    lines = (tmp_path / JOURNAL).read_text(encoding="utf-8").splitlines()
    assert Counter(json.loads(line)["made"] for line in lines) == {"splits": 1, "examples": 3}
    cache.drop_files()
    assert [file.name for file in tmp_path.iterdir()] == [JOURNAL]
