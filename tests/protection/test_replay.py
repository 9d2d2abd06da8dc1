"""Replay: how many examples of before are mixed in, which, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faults import full, refused
from sentences import make_sentences, write_conll
from support import make_rows, session_for, short_tune, write_rows
from welltuned.data.tokens.encoding import IGNORED
from welltuned.errors import InputError
from welltuned.protection.replay import replayed

HEAD = {"type": "partial", "num_blocks": 0}


@pytest.mark.parametrize("share", [0.01, 0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("number", [40, 96, 1000])
def test_the_share_is_exact(share: float, number: int) -> None:
    """To the nearest whole example, whatever there is to draw from."""
    for available in (7, 5000):
        chosen = replayed(number, available, share, 0)
        wanted = share * number / (1 - share)
        assert abs(len(chosen) - wanted) <= 0.5 or len(chosen) == 1 > wanted
        assert set(chosen) <= set(range(available))


def test_none_is_taken_twice_before_all_are_taken_once() -> None:
    counts = Counter(replayed(100, 30, 0.5, 1))
    assert set(counts) == set(range(30)) and set(counts.values()) == {3, 4}
    assert len(set(replayed(10, 500, 0.5, 1))) == 10


def test_it_is_a_function_of_the_seed() -> None:
    assert replayed(50, 500, 0.2, 3) == replayed(50, 500, 0.2, 3) != replayed(50, 500, 0.2, 4)


@pytest.fixture
def before(tmp_path: Path) -> str:
    return write_rows(tmp_path / "before.jsonl", make_rows(50, seed=77))


def mixed(folder: str, data: Any, share: float = 0.2, **parts: Any) -> Any:
    protection = {"type": "replay", "share": share}
    return session_for(folder, data, parts.pop("strategy", HEAD), protection=protection, **parts)


def test_examples_of_before_are_learned_beside_the_own(
    tiny: Any, sentiment: str, before: str
) -> None:
    prepared = mixed(tiny("bert"), {"train": sentiment, "replay": before}).prepared
    own, learned = prepared.examples["train"], prepared.learned
    assert (len(own), len(learned)) == (96, 120)
    for i in (0, 95, 96, 119):
        source = sentiment if i < 96 else before
        name, _, line = learned.records.id(i).rpartition(":")
        assert name == source
        row = json.loads(Path(source).read_text().splitlines()[int(line) - 1])
        ids = prepared.tokenizer(row["text"])["input_ids"]
        assert learned.encoded[i].tolist() == ids
        assert prepared.problem.presenter.target_of(learned.targets[i]) == row["label"]
    values = {"number": 24, "source": before, "share": 0.2}
    (note,) = (one for one in prepared.data.facts.notes if one["code"] == "data.replay_mixed")
    assert note["values"] == values


def test_validation_test_and_baselines_are_without_them(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """The majority class is that of the task's own examples."""
    rows = [row for row in make_rows(120, seed=77) if row["label"] == "positive"]
    before = write_rows(tmp_path / "positive.jsonl", rows)
    protection = {"type": "replay", "share": 0.5}
    data = {"train": sentiment, "replay": before}
    run = short_tune(tiny("bert"), data, HEAD, tmp_path / "run", protection=protection)
    assert run.results["baselines"]["majority"]["accuracy"] == 0.5
    predictions = list(run.read_lines("predictions.jsonl"))
    assert len(predictions) == 12 and all(row["id"].startswith(sentiment) for row in predictions)
    steps = run.results["training"]["steps"]
    assert steps == 2 * 96 / 8, "an epoch has both"


def test_tagged_sentences_are_replayed(tiny: Any, tmp_path: Path) -> None:
    own = write_conll(tmp_path / "own.conll", make_sentences(60))
    old = write_conll(tmp_path / "old.conll", make_sentences(30, seed=9))
    task = {"type": "token_classification"}
    prepared = mixed(tiny("bert"), {"train": own, "replay": old}, 0.25, task=task).prepared
    learned = prepared.learned
    assert len(learned) == 48 + 16
    batch = prepared.problem.codec.collate(learned, [2, 60], prepared.pad_id)
    for row, i in enumerate((2, 60)):
        first = batch["first_tokens"][row]
        words = first[first >= 0]
        assert batch["labels"][row][words].tolist() == learned.targets[i].tolist()


def test_pairs_and_single_texts_keep_their_segments(tiny: Any, tmp_path: Path) -> None:
    rows = make_rows(60, pair=True)
    own = write_rows(tmp_path / "own.jsonl", rows)
    old = write_rows(tmp_path / "old.jsonl", make_rows(20, seed=5))
    prepared = mixed(tiny("bert"), {"train": own, "replay": old}).prepared
    last = prepared.problem.codec.collate(prepared.learned, [0, len(prepared.learned) - 1], 0)
    assert last["token_type_ids"][0].any() and not last["token_type_ids"][1].any()


@pytest.mark.parametrize("packing", [False, True])
def test_conversations_may_be_protected_by_plain_text(
    packing: bool, causal: Any, instructions: str, tmp_path: Path
) -> None:
    """Every token of it is learned, and packed rows hold it apart."""
    rows = [{"text": f"the film {'very ' * (i % 5)}was good and so {i}"} for i in range(40)]
    data = {"train": instructions, "replay": write_rows(tmp_path / "book.jsonl", rows)}
    task = {"type": "generation", "max_length": 40, "packing": packing}
    prepared = mixed(causal("llama"), data, 0.25, task=task, strategy="lora").prepared
    own, learned = len(prepared.examples["train"]), prepared.learned
    assert len(learned) - own == round(own / 3)
    encoded = learned.encoded.take([len(learned) - 1])
    assert encoded.labels is not None
    if packing:
        starts = np.flatnonzero(encoded.positions == 0)
        assert len(starts) > 1
        assert np.flatnonzero(encoded.labels == IGNORED).tolist() == starts.tolist()
    else:
        assert (encoded.labels != IGNORED).all() or (encoded.labels[1:] != IGNORED).all()


# --- What is refused -------------------------------------------------------------


def test_examples_of_validation_and_test_are_refused(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    prepared = session_for(tiny("bert"), sentiment, HEAD).prepared
    rows = make_rows(10, seed=77)
    for split in ("validation", "test"):
        rows.append({"text": prepared.data[split]["text"][0], "label": "positive"})
    before = write_rows(tmp_path / "before.jsonl", rows)
    with pytest.raises(InputError) as caught:
        mixed(tiny("bert"), {"train": sentiment, "replay": before})
    first, second = full(caught.value.faults)
    said = "data.texts_shared number=1 total=12 where=the"
    assert first.startswith(f"before.jsonl:11 {said} validation split")
    assert second.startswith(f"before.jsonl:12 {said} test split")


def test_what_forgetting_is_measured_on_must_not_be_learned(
    tiny: Any, sentiment: str, before: str, tmp_path: Path
) -> None:
    evaluation = {"retention": before}
    with refused("data.texts_shared", number=50, total=50):
        mixed(tiny("bert"), {"train": sentiment, "replay": before}, evaluation=evaluation)


def test_labels_that_train_does_not_have_are_refused(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    rows = [{"text": f"t {i}", "label": "neutral"} for i in range(12)]
    before = write_rows(tmp_path / "before.jsonl", rows)
    with refused(*["task.label_unseen"] * 11, label="neutral"):
        mixed(tiny("bert"), {"train": sentiment, "replay": before})


@pytest.mark.parametrize("protection", ["replay", {"type": "kl", "on": "replay"}])
def test_without_examples_of_before_there_is_nothing_to_replay(
    protection: Any, causal: Any, instructions: str
) -> None:
    task = {"type": "generation", "max_length": 48}
    with refused("protection.needs_replay"):
        session_for(causal("llama"), instructions, "lora", task=task, protection=protection)


def test_examples_of_before_that_nobody_uses_are_refused(
    tiny: Any, sentiment: str, before: str
) -> None:
    with refused("protection.replay_unused"):
        session_for(tiny("bert"), {"train": sentiment, "replay": before}, HEAD, protection="none")
