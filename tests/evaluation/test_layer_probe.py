"""The layer probe: scores by block, and how many blocks are worth unfreezing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sentences import make_sentences, write_conll
from support import make_rows, session_for, write_rows
from welltuned.evaluation import layer_probe
from welltuned.evaluation.layer_probe import LayerScores, hint, probe_layers

HEAD = {"type": "partial", "num_blocks": 0}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of 400 labelled texts."""
    return write_rows(tmp_path_factory.mktemp("data") / "many.jsonl", make_rows(400))


def look(session: Any, held_out: bool = True) -> LayerScores:
    prepared = session.prepared
    return probe_layers(
        session.subject("fp32"),
        prepared.problem,
        prepared.config.task.pooling,
        prepared.examples["train"],
        prepared.examples["validation"] if held_out else None,
    )


def forget_above(session: Any, block: int) -> None:
    """Let every block from this one on write the same for every text."""
    layers = session.model.bert.encoder.layer
    for layer in layers[block:]:
        for parameter in layer.parameters():
            torch.nn.init.zeros_(parameter)


def test_it_finds_the_block_where_a_task_ends(tiny: Any, many: str) -> None:
    """Blocks that destroy what those below them knew are at chance, and worth unfreezing."""
    session = session_for(tiny("bert"), many, HEAD)
    forget_above(session, 2)
    found = look(session)
    assert found.regions == ("embeddings", "block 0", "block 1", "block 2", "block 3")
    assert found.metric == "macro_f1" and 0.3 < found.chance < 0.65
    assert min(found.scores[:3]) > 0.75
    assert max(found.scores[3:]) < 0.6
    assert (found.fitted, found.scored) == (320, 40)
    assert found.behind[int(np.argmax(found.scores))] == 0
    assert min(found.behind[3:]) > 1


def test_it_scores_texts_that_it_was_not_fitted_on(tiny: Any, tmp_path: Path) -> None:
    """Labels that say nothing of the texts cannot be read off, with held-out texts or in turns."""
    rng = np.random.default_rng(0)
    rows = [{"text": row["text"], "label": "ab"[rng.integers(2)]} for row in make_rows(300)]
    session = session_for(tiny("bert"), write_rows(tmp_path / "noise.jsonl", rows), HEAD)
    turns = look(session, held_out=False)
    assert max(turns.scores) < 0.62
    assert hint(turns)["num_blocks"] == 4 and "chance" in hint(turns)["why"]


def test_the_outputs_of_all_texts_stand_in_their_order(tiny: Any, many: str) -> None:
    """In turns every text is scored once, against its own label."""
    found = look(session_for(tiny("bert"), many, HEAD), held_out=False)
    assert max(found.scores) > 0.85
    assert (found.fitted, found.scored) == (256, 320)


@pytest.mark.parametrize("kind", ["several labels", "numbers", "tags"])
def test_every_kind_of_answer_is_read_off(kind: str, tiny: Any, tmp_path: Path) -> None:
    task: dict[str, Any] = {"pooling": "mean"}
    if kind == "tags":
        task = {"type": "token_classification"}
        data = write_conll(tmp_path / "tags.conll", make_sentences(250))
    else:
        rows: list[dict[str, Any]] = []
        for row in make_rows(300):
            good = row["label"] == "positive"
            labels = ["kind"] * good + ["short"] * (len(row["text"].split()) < 8)
            number = 10 + 3 * good + 0.1 * len(row["text"].split())
            rows.append({**row, "label": labels if kind == "several labels" else number})
        data = write_rows(tmp_path / "rows.jsonl", rows)
    session = session_for(tiny("bert"), data, HEAD, task=task)
    metric = {"several labels": "macro_f1", "numbers": "r2", "tags": "entity_f1"}[kind]
    for held_out in (True, False):
        found = look(session, held_out)
        assert found.metric == metric
        assert max(found.scores) > found.chance + 0.25
        assert len(found.scores) == len(found.behind) == 5


def test_words_the_model_does_not_see_are_missed_and_move_no_other(
    tiny: Any, tmp_path: Path
) -> None:
    """Cut sentences: answers stay beside the words they are about."""
    data = write_conll(tmp_path / "tags.conll", make_sentences(250))
    whole = look(session_for(tiny("bert"), data, HEAD, task={"type": "token_classification"}))
    cut = {"type": "token_classification", "max_length": 8}
    short = look(session_for(tiny("bert"), data, HEAD, task=cut))
    assert 0.3 < max(short.scores) < max(whole.scores)


def test_text_cannot_be_read_off(causal: Any, instructions: str) -> None:
    task = {"type": "generation", "max_length": 48}
    session = session_for(causal("llama"), instructions, "lora", task=task)
    assert session.prepared.problem.linear is None


def test_wide_models_are_probed_on_fewer_texts(
    tiny: Any, sentiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_probe, "_MOST_BYTES", 4 * 5 * 32 * 40)
    found = look(session_for(tiny("bert"), sentiment, HEAD))
    assert (found.fitted, found.scored) == (40, 12)


# --- The hint --------------------------------------------------------------------


def scores(values: list[float], behind: list[float] | None = None) -> LayerScores:
    best = max(values)
    names = ("embeddings", *(f"block {i}" for i in range(len(values) - 1)))
    found = tuple(behind) if behind else tuple((best - value) / 0.02 for value in values)
    above = (best - 0.5) / 0.02
    return LayerScores("accuracy", names, tuple(values), found, 0.02, 0.5, above, 800, 200)


@pytest.mark.parametrize(
    ("values", "number", "told"),
    [
        ([0.6, 0.7, 0.8, 0.7, 0.65], 2, "block 1 tells as much of the task as any"),
        ([0.6, 0.7, 0.79, 0.8, 0.75], 2, "the 2 blocks above add nothing"),
        ([0.6, 0.7, 0.75, 0.8, 0.7], 1, "the block above adds nothing"),
        ([0.6, 0.65, 0.7, 0.75, 0.8], 1, "read best from the top, block 3"),
        ([0.8, 0.79, 0.7, 0.7, 0.7], 4, "words alone"),
        ([0.5, 0.51, 0.53, 0.52, 0.5], 4, "no block tells more than chance"),
    ],
)
def test_the_hint_counts_the_blocks_above_the_lowest_good_one(
    values: list[float], number: int, told: str
) -> None:
    found = hint(scores(values))
    assert found["num_blocks"] == number
    assert told in found["why"]


def test_differences_are_judged_text_by_text() -> None:
    """A small gap between two readings counts when hardly a text speaks against it."""
    values = [0.6, 0.79, 0.8]
    assert hint(scores(values, [9.0, 0.9, 0.0]))["num_blocks"] == 1
    assert "block 0" in hint(scores(values, [9.0, 0.9, 0.0]))["why"]
    assert "read best from the top" in hint(scores(values, [9.0, 1.1, 0.0]))["why"]
