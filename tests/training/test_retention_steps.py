"""Forgetting in a whole run: what is written, and that measuring it changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from faults import refused
from support import STRATEGIES, session_for, short_tune, tune, write_rows
from welltuned.cli.console.run import results_lines
from welltuned.reports.run import write_run_report
from welltuned.runs import Run
from welltuned.training import retention_steps, train
from welltuned.training.observer import Observer

MEAN = {"pooling": "mean"}
EVERYTHING = {"retention": "auto", "probe": True, "untrained": False}


@pytest.fixture(scope="module")
def measured(tiny: Any, sentiment: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run that measured everything. To be read, not changed."""
    folder = tmp_path_factory.mktemp("measured") / "run"
    return tune(tiny("bert"), sentiment, "full", folder, task=MEAN, evaluation=EVERYTHING)


def test_results_tell_what_was_forgotten(measured: Run) -> None:
    found = measured.results["retention"]
    assert {name: entry["kind"] for name, entry in found.items() if isinstance(entry, dict)} == {
        "probe_topics_en": "probe",
        "cka_general_en": "cka",
    }
    assert found["kept"] == found["probe_topics_en"]["kept"]
    assert found["decided_by"] == "probe_topics_en"
    assert 0 < found["cka_general_en"]["kept"] < 0.999, "training at a high rate leaves a trace"


def test_results_tell_where_the_task_lives(measured: Run) -> None:
    probe = measured.results["probe"]
    names = ["embeddings", "block 0", "block 1", "block 2", "block 3"]
    assert probe["regions"] == names
    assert len(probe["before"]) == len(probe["after"]) == len(probe["behind"]) == 5
    assert probe["before"] != probe["after"]
    assert probe["texts"] == {"fitted": 96, "scored": 12}
    assert 1 <= probe["hint"]["num_blocks"] <= 4 and probe["hint"]["why"]


def test_before_is_the_untouched_model(measured: Run, tiny: Any, sentiment: str) -> None:
    session = session_for(tiny("bert"), sentiment, "full", task=MEAN, evaluation=EVERYTHING)
    untouched = retention_steps.measure_base(session, Observer())
    again = retention_steps.measure_retention(session, untouched, Observer())
    entry = measured.results["retention"]["probe_topics_en"]
    assert again["retention"]["probe_topics_en"]["before"] == entry["before"]
    assert again["retention"]["kept"] == 1
    assert again["probe"]["before"] == again["probe"]["after"]
    assert again["probe"]["before"] == pytest.approx(measured.results["probe"]["before"])


def test_after_is_the_model_that_was_saved(measured: Run, tiny: Any, sentiment: str) -> None:
    """Loaded afresh from the run, it answers as results say."""
    session = session_for(tiny("bert"), sentiment, "full", task=MEAN, evaluation=EVERYTHING)
    untouched = retention_steps.measure_base(session, Observer())
    session.model.load_state_dict(load_file(measured.model / "model.safetensors"))
    again = retention_steps.measure_retention(session, untouched, Observer())
    found = measured.results
    for name in ("probe_topics_en", "cka_general_en"):
        assert again["retention"][name]["after"] == pytest.approx(
            found["retention"][name]["after"], abs=1e-4
        )
    assert again["probe"]["after"] == pytest.approx(found["probe"]["after"])


@pytest.mark.parametrize("strategy", ["prompt", "prefix", "lora", "houlsby"])
def test_before_is_without_what_was_put_in(strategy: str, tiny: Any, sentiment: str) -> None:
    """Prompts and prefixes change the model at once; that counts as a change, and not as before."""
    parts = {"task": MEAN, "evaluation": EVERYTHING}
    plain = session_for(tiny("bert"), sentiment, "full", **parts)
    session = session_for(tiny("bert"), sentiment, STRATEGIES[strategy], **parts)
    requires = [parameter.requires_grad for parameter in session.model.parameters()]
    of_plain = retention_steps.measure_base(plain, Observer())
    untouched = retention_steps.measure_base(session, Observer())
    assert requires == [parameter.requires_grad for parameter in session.model.parameters()]
    assert untouched.layers == of_plain.layers
    found = retention_steps.measure_retention(session, untouched, Observer())["retention"]
    moved = found["cka_general_en"]["kept"] < 0.9999
    assert moved == (strategy in ("prompt", "prefix"))


@pytest.mark.parametrize("strategy", ["full", "lora"])
def test_measuring_changes_no_bit_of_training(
    strategy: str, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """Not the dropout masks either."""
    folders = []
    for name, evaluation in (("with", EVERYTHING), ("without", {"untrained": False})):
        model = tiny("bert", hidden_dropout_prob=0.3)
        run = short_tune(
            model, sentiment, STRATEGIES[strategy], tmp_path / name, evaluation=evaluation
        )
        folders.append(run)
    one, two = folders
    assert ("retention" in one.results, "retention" in two.results) == (True, False)
    assert one.results["test"] == two.results["test"]
    file = "adapter_model.safetensors" if strategy == "lora" else "model.safetensors"
    first, second = load_file(one.model / file), load_file(two.model / file)
    assert all(torch.equal(first[name], second[name]) for name in second)


def test_a_language_model_is_measured_by_loss_and_divergence(
    causal: Any, instructions: str, tmp_path: Path
) -> None:
    task = {"type": "generation", "max_length": 48, "scored_examples": 0}
    rows = [{"prompt": f"was it {i}", "completion": "it was so good"} for i in range(12)]
    evaluation = {"retention": write_rows(tmp_path / "old.jsonl", rows), "untrained": False}
    run = tune(
        causal("llama"), instructions, "full", tmp_path / "run", task=task, evaluation=evaluation,
        training={"max_steps": 3, "num_train_epochs": "auto"},
    )  # fmt: skip
    found = run.results["retention"]
    entries = {name: entry for name, entry in found.items() if isinstance(entry, dict)}
    assert set(entries) == {
        "probe_topics_en", "loss_general_en", "kl_general_en", "loss_old", "kl_old",
        "kl_validation",
    }  # fmt: skip
    assert all(entries[name]["after"] > 0 for name in entries)
    assert found["decided_by"] in ("loss_general_en", "loss_old")
    assert found["kept"] == min(entries["loss_general_en"]["kept"], entries["loss_old"]["kept"])
    assert "retention   " in "\n".join(results_lines(run))


def test_a_kept_language_model_moves_less(causal: Any, instructions: str, tmp_path: Path) -> None:
    """The divergence on texts that the penalty has not seen is smaller with it."""
    task = {"type": "generation", "max_length": 48, "scored_examples": 0}
    training = {"max_steps": 20, "num_train_epochs": "auto", "learning_rate": 5e-3}
    moved = []
    for name, protection in (("free", "none"), ("kept", {"type": "kl", "weight": 20})):
        run = short_tune(
            causal("llama"), instructions, "full", tmp_path / name, task=task, training=training,
            evaluation={"retention": "auto", "untrained": False}, protection=protection,
        )  # fmt: skip
        moved.append(run.results["retention"]["kl_general_en"]["after"])
    assert moved[1] < 0.5 * moved[0]


@pytest.mark.parametrize("protection", ["l2sp", "ewc"])
def test_weights_that_are_held_end_nearer_to_their_start(
    protection: str, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    start = dict(session_for(tiny("bert"), sentiment, "full").model.named_parameters())
    away = []
    gently = {"type": "full", "head_learning_rate_scale": 10}
    strength = {"l2sp": {"alpha": 30.0}, "ewc": {"lambda": 30.0, "texts": 10}}[protection]
    for name, given in (("free", "none"), ("held", {"type": protection, **strength})):
        run = short_tune(tiny("bert"), sentiment, gently, tmp_path / name, protection=given)
        weights = load_file(run.model / "model.safetensors")
        away.append(
            sum(
                float((tensor - start[key].data).square().sum())
                for key, tensor in weights.items()
                if not key.startswith("classifier")
            )
        )
    assert away[1] < 0.5 * away[0]
    rows = [row for row in run.read_lines("metrics.jsonl") if "loss" in row]
    assert rows[-1]["penalty"] > 0 and "penalty" not in rows[0], "at the start there is none"
    assert run.config["protection"][0]["type"] == protection


def test_the_terminal_and_the_report_tell_it(measured: Run) -> None:
    lines = results_lines(measured)
    kept = measured.results["retention"]["kept"]
    [line] = [line for line in lines if line.startswith("retention ")]
    assert f"{kept:.3f} kept [" in line and "cka_general_en 1.000 -> " in line
    assert any(line.startswith("blocks      unfreeze the top ") for line in lines)
    html = write_run_report(measured).read_text(encoding="utf-8")
    assert "What it forgot" in html and f"<strong>{kept:.3f} kept</strong>" in html
    assert "Linear probe of every block before tuning: embeddings" in html


def test_a_report_without_it_says_nothing(finished: Run) -> None:
    assert "What it forgot" not in finished.report.read_text(encoding="utf-8")
    assert not any(line.startswith("retention") for line in results_lines(finished))


def test_a_linear_map_cannot_write_text(
    causal: Any, instructions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "load_session", lambda *args: pytest.fail("weights were loaded"))
    task = {"type": "generation", "max_length": 48}
    with refused("evaluation.probe_unsupported", task="generation"):
        tune(
            causal("llama"), instructions, "lora", tmp_path / "run", task=task,
            evaluation={"probe": True},
        )  # fmt: skip
