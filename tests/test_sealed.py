"""`evaluation.test: false`: a run for those who still choose; the test split stays sealed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faults import refused
from support import tune
from welltuned.cli.console.run import results_lines
from welltuned.cli.console.runs import describe_runs, runs_table
from welltuned.config import run_config_from
from welltuned.data.tokens.encoding import Encoded
from welltuned.errors import Fault, Pruned
from welltuned.runs import Run
from welltuned.tasks.generation.responder import TextResponder
from welltuned.training import train
from welltuned.training.observer import Observer
from welltuned.training.preparation.prepare import prepare

TOP = {"type": "partial", "num_blocks": 2}
SEALED = {"test": False}
ONE_STEP = {"max_steps": 1, "num_train_epochs": "auto"}


@pytest.fixture(scope="module")
def sealed(tiny: Any, sentiment: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """As `finished`, but that it did not read the test split."""
    folder = tmp_path_factory.mktemp("sealed") / "run"
    return tune(tiny("bert"), sentiment, TOP, folder, task={"pooling": "mean"}, evaluation=SEALED)


def test_the_test_split_is_not_even_tokenised(tiny: Any, sentiment: str) -> None:
    values = {"model": tiny("bert"), "data": sentiment, "strategy": "full"}
    prepared = prepare(run_config_from({**values, "evaluation": SEALED}))
    assert set(prepared.examples) == {"train", "validation"}
    assert set(prepare(run_config_from(values)).examples) == {"train", "validation", "test"}
    assert set(prepared.data.facts.task["tokens"]) == {"train", "validation"}
    assert isinstance(prepared.examples["train"].encoded, Encoded)


def test_validation_stands_in_with_intervals_and_baselines(sealed: Run) -> None:
    results = sealed.results
    assert "test" not in results and sealed.judged == "validation"
    assert {"accuracy", "macro_f1_ci95", "confusion"} <= set(results["validation"])
    assert set(results["baselines"]) == {"majority", "untrained"}
    majority = results["baselines"]["majority"]["accuracy"]
    assert majority == pytest.approx(0.5, abs=0.01), "of the validation split, 6 and 6"


def test_predictions_are_those_of_validation(sealed: Run, finished: Run) -> None:
    cut = sealed.read("data.json")["cut"]
    lines = [int(row["id"].rpartition(":")[2]) for row in sealed.read_lines("predictions.jsonl")]
    assert lines == cut["validation"] != cut["test"]
    assert finished.judged == "test"


def test_nothing_else_about_the_run_changes(sealed: Run, finished: Run) -> None:
    """The same training, to the bit."""
    for name in ("accuracy", "macro_f1", "log_loss"):
        assert sealed.results["validation"][name] == finished.results["validation"][name]
    losses = [
        [row["loss"] for row in run.read_lines("metrics.jsonl") if "loss" in row]
        for run in (sealed, finished)
    ]
    assert losses[0] == losses[1] != []


def test_report_console_and_list_say_what_the_scores_are_of(sealed: Run) -> None:
    html = sealed.report.read_text(encoding="utf-8")
    assert "Scores on the validation split" in html and "the test split was not read" in html
    assert "so the scores are optimi" in html
    rows = re.findall(r"<tr><td>test</td>.*?</tr>", html)
    assert len(rows) == 1 and "sealed" in rows[0]
    assert results_lines(sealed)[1].startswith("validation  accuracy ")
    [row] = describe_runs(sealed.folder)
    assert row["split"] == "validation" and row["score"] == sealed.results["validation"]["accuracy"]
    assert any("(validation)" in str(cell) for cell in runs_table([row]).columns[5].cells)


def test_no_answers_are_written_that_decide_nothing(
    causal: Callable[[str], str],
    instructions: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Free text takes long, and the weights are chosen by the loss."""
    asked: list[int] = []
    respond = TextResponder.respond

    def counted(self: Any, model: Any, tokenizer: Any, records: Any, *rest: Any) -> Any:
        asked.append(len(records))
        return respond(self, model, tokenizer, records, *rest)

    monkeypatch.setattr(TextResponder, "respond", counted)
    task = {"type": "generation", "decoding": {"max_new_tokens": 2}, "scored_examples": 2}
    run = tune(
        causal("llama"), instructions, "lora", tmp_path / "run",
        task=task, evaluation=SEALED, training=ONE_STEP,
    )  # fmt: skip
    assert sum(asked) == 0
    assert run.results["validation"]["loss"] > 0 and "loss_ci95" in run.results["validation"]
    assert run.report.exists()


def test_a_pruned_run_is_a_stopped_one_with_its_reason(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    class Pruning(Observer):
        def evaluated(self, step: int, epoch: float, scores: dict[str, Any], best: bool) -> None:
            raise Pruned(Fault("sweep.pruned", "others did better"))

    values = {"model": tiny("bert"), "data": sentiment, "strategy": TOP}
    for engine in ("torch", "hf"):
        folder = tmp_path / engine
        config = {
            **values,
            "task": {"pooling": "mean"},
            "engine": engine,
            "output_dir": str(folder),
        }
        with refused("sweep.pruned", error=Pruned):
            train.run_training(
                run_config_from({**config, "training": {"device": "cpu"}}), Pruning()
            )
        run = Run.open(folder)
        assert run.status["state"] == "stopped"
        assert run.status["error"] == "others did better [sweep.pruned]"
        assert run.status["step"] > 0
        rows = [row for row in run.read_lines("metrics.jsonl") if row["split"] == "validation"]
        assert len(rows) == 1, "what was seen is written before it is judged"
        assert not run.results
