"""A model that has learned a fixed form answers in it, word for word, and then stops.

That proves template, loss mask and end-of-text token together: a wrong one of them would
give an answer that begins late, goes on, or repeats the question.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from support import WORDS, tune, write_rows
from talking import UNCLOSED
from welltuned import cli

OPINIONS, THINGS = WORDS[:16], ("film", "book", "meal", "room", "phone")


def rows() -> list[dict[str, str]]:
    """`was the film dull` is answered by `the film was very dull`."""
    return [
        {"instruction": f"was the {thing} {word}", "output": f"the {thing} was very {word}"}
        for thing in THINGS
        for word in OPINIONS
    ]


@pytest.fixture(scope="module", params=["torch", "hf"])
def taught(request: Any, causal: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("taught")
    return tune(
        causal("llama"),
        write_rows(folder / "questions.jsonl", rows()),
        {"type": "full"},
        folder / "run",
        engine=request.param,
        task={"type": "generation", "max_length": 48, "decoding": {"max_new_tokens": 16}},
        training={"num_train_epochs": 40, "learning_rate": 5e-3, "eval_strategy": "no"},
        evaluation={"untrained": False},
    )


def test_the_form_is_learned_exactly(taught: Any) -> None:
    assert taught.results["test"]["exact_match"] == 1.0


def test_an_answer_after_training_shows_that_it_ends(taught: Any) -> None:
    end = taught.results["answer_end"]
    assert end["end_was_learned"] and 1 < end["tokens"] < end["max_new_tokens"] == 16


def test_plain_libraries_wait_for_the_end_that_was_learned(causal: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = tmp_path / "base"
    shutil.copytree(causal("llama"), base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = UNCLOSED.replace("+ '\n\n'", "+ '<|over|>'")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|over|>"]})
    tokenizer.save_pretrained(base)
    run = tune(
        {"name": str(base), "resize_embeddings": True},
        write_rows(tmp_path / "questions.jsonl", rows()),
        {"type": "full"},
        tmp_path / "run",
        task={"type": "generation", "max_length": 48, "decoding": {"max_new_tokens": 8}},
        training={"num_train_epochs": 1},
    )
    over = tokenizer.convert_tokens_to_ids("<|over|>")
    plain = AutoModelForCausalLM.from_pretrained(run.model)
    assert over in plain.generation_config.eos_token_id


def test_a_model_that_learned_no_end_is_called_endless(causal: Any, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    base = tmp_path / "base"
    shutil.copytree(causal("llama"), base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.eos_token = None  # so nothing can be put behind an answer
    tokenizer.chat_template = UNCLOSED
    tokenizer.save_pretrained(base)
    run = tune(
        str(base),
        write_rows(tmp_path / "questions.jsonl", rows()),
        {"type": "full"},
        tmp_path / "run",
        task={"type": "generation", "max_length": 48, "decoding": {"max_new_tokens": 8}},
        training={"num_train_epochs": 5, "learning_rate": 5e-3},
    )
    codes = [note["code"] for note in run.read("data.json")["notes"]]
    assert "task.stop_not_learned" in codes
    end = run.results["answer_end"]
    assert end["tokens"] is None and not end["end_was_learned"] and end["max_new_tokens"] == 8


def test_predict_answers_in_it_and_stops(
    taught: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["was the film dull", "was the phone superb"]
    monkeypatch.setattr(sys, "argv", ["welltuned", "predict", str(taught.folder), *asked])
    with pytest.raises(SystemExit) as end:
        cli.main()
    answers = [json.loads(line)["prediction"] for line in capsys.readouterr().out.splitlines()]
    assert end.value.code == 0
    assert answers == ["the film was very dull", "the phone was very superb"]


def test_chat_answers_in_it_and_stops(
    taught: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["welltuned", "chat", str(taught.folder)])
    monkeypatch.setattr(sys, "stdin", io.StringIO("was the meal cold\n/new\nwas the room warm\n"))
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().out.splitlines() == [
        "the meal was very cold",
        "the room was very warm",
    ]
