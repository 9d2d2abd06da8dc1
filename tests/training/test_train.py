"""A whole run: what it leaves behind, and what it does when something goes wrong."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

import welltuned as wt
from faults import fails, refused
from support import config_values, make_rows, tune, write_rows
from welltuned.config import run_config_from
from welltuned.engines import torch_loop
from welltuned.engines.events import Step
from welltuned.engines.job import Job, Outcome
from welltuned.errors import InputError, RunFailed, Stopped
from welltuned.models import loading
from welltuned.runs import Run
from welltuned.runs.checkpoints import is_whole, load_checkpoint, newest_checkpoint
from welltuned.training import train as pipeline
from welltuned.training.observer import Observer
from welltuned.training.preparation.prepare import RunPlan
from welltuned.training.results import evaluate_run
from welltuned.training.session import session
from welltuned.training.session.session import LoadedModel, Session

HEAD = {"type": "partial", "num_blocks": 0}
MEAN = {"pooling": "mean"}
ONE_STEP = {"max_steps": 1, "num_train_epochs": "auto"}


def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load_model", lambda *args: pytest.fail("weights were loaded"))


# --- The run folder ------------------------------------------------------------


def test_a_run_leaves_the_folder_that_is_promised(finished: Run) -> None:
    assert {path.name for path in finished.folder.iterdir()} == {
        "config.yaml",
        "status.json",
        "environment.json",
        "data.json",
        "metrics.jsonl",
        "results.json",
        "predictions.jsonl",
        "checkpoints",
        "model",
        "report.html",
        "trained_on.npy",
        "start.json",
    }
    assert {path.name for path in finished.model.iterdir()} >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "welltuned.json",
        "README.md",
    }
    assert not list(finished.folder.rglob(".*")), "half-written files"
    assert finished.report.read_text().startswith("<!doctype html>")


def test_results_carry_the_names_that_outsiders_rely_on(finished: Run) -> None:
    results = finished.results
    assert {"accuracy", "macro_f1", "accuracy_ci95", "macro_f1_ci95"} <= set(results["test"])
    assert {"accuracy", "macro_f1"} <= set(results["validation"])
    assert set(results["baselines"]) == {"majority", "untrained"}
    for scores in results["baselines"].values():
        assert {"accuracy", "macro_f1"} <= set(scores)
    assert set(results["cost"]) >= {
        "train_seconds",
        "examples_per_second",
        "tokens_per_second",
        "padding_fraction",
        "peak_memory_bytes",
        "artifact_bytes",
        "hardware_efficiency",
    }
    assert results["metric"] == "macro_f1"


def test_the_intervals_hold_the_scores(finished: Run) -> None:
    test = finished.results["test"]
    for name in ("accuracy", "macro_f1"):
        low, high = test[f"{name}_ci95"]
        assert 0 <= low <= test[name] <= high <= 1
        assert low < high


def test_the_numbers_of_cost_fit_together(finished: Run) -> None:
    cost, facts = finished.results["cost"], finished.read("data.json")
    rows = facts["splits"]["train"]["rows"]
    assert cost["examples_per_second"] * cost["train_seconds"] == pytest.approx(2 * rows)
    tokens = facts["task"]["tokens"]["train"]["mean"] * rows
    assert cost["tokens_per_second"] * cost["train_seconds"] == pytest.approx(2 * tokens)
    assert 0 <= cost["padding_fraction"] < cost["padding_fraction_unsorted"] < 1
    files = [path for path in finished.model.rglob("*") if path.is_file()]
    assert cost["artifact_bytes"] == sum(path.stat().st_size for path in files)
    assert 1e7 < cost["peak_memory_bytes"] < 1e12
    assert 0 < cost["hardware_efficiency"] < 1
    taken = {"data", "load", "train", "validate", "test", "baseline", "save", "proof", "report"}
    assert taken <= set(cost["phases"]) and min(cost["phases"].values()) > 0
    assert cost["phases"].get("other", 0.0) < 0.2 * sum(cost["phases"].values())
    assert "Where the time went" in finished.report.read_text(encoding="utf-8")


def test_the_weights_are_counted(finished: Run, adapted: Run) -> None:
    weights = load_file(finished.model / "model.safetensors")
    proof = finished.results["proof"]
    counts = finished.results["parameters"]
    assert counts["total"] == sum(tensor.numel() for tensor in weights.values())
    assert 0 < counts["trainable"] < counts["total"] / 2 + 1000
    assert proof["trainable_weights"] < len(weights)
    small = load_file(adapted.model / "adapter_model.safetensors")
    assert adapted.results["parameters"]["trainable"] == sum(t.numel() for t in small.values())


def test_the_config_is_written_as_it_was_resolved(finished: Run, sentiment: str) -> None:
    """No `auto` is left, and reading it again gives the same run."""
    text = (finished.folder / "config.yaml").read_text()
    values = yaml.safe_load(text)
    assert values.pop("schema_version") == 1
    chosen = ("learning_rate", "num_train_epochs", "warmup_ratio", "weight_decay", "precision")
    assert "auto" not in [values["training"][name] for name in chosen]
    assert values["task"]["pooling"] == "mean"
    assert values["strategy"]["head_learning_rate_scale"] == 10
    assert values["task"]["max_length"] == 64
    assert values["data"]["train"] == sentiment
    assert values["output_dir"] == str(finished.folder)
    assert run_config_from(values).model_dump(mode="json") == values


def test_the_environment_says_where_and_from_what_it_ran(finished: Run) -> None:
    environment = finished.read("environment.json")
    assert environment["packages"]["torch"] == torch.__version__
    assert environment["device"] == "cpu"
    assert environment["precision"] == "fp32"
    assert environment["threads"] == torch.get_num_threads()
    assert environment["seed"] == 0
    assert environment["data_fingerprint"] == finished.read("data.json")["fingerprint"]
    memory = json.loads((finished.model / "welltuned.json").read_text())
    assert environment["base_fingerprint"] == memory["base"]["fingerprint"]


def test_metrics_are_lines_of_train_and_validation(finished: Run) -> None:
    rows = list(finished.read_lines("metrics.jsonl"))
    train = [row for row in rows if row["split"] == "train"]
    validation = [row for row in rows if row["split"] == "validation"]
    assert [row["step"] for row in validation] == [12, 24]
    assert [row["step"] for row in train] == [1, 10, 12, 20, 24]
    assert all(np.isfinite(row["loss"]) for row in train)
    assert max(row["learning_rate"] for row in train) <= 1e-2
    assert all({"accuracy", "macro_f1", "best"} <= set(row) for row in validation)
    assert (finished.folder / "metrics.jsonl").read_text().endswith("}\n")


def test_the_kept_checkpoint_is_the_best_one(finished: Run) -> None:
    [folder] = finished.checkpoints.iterdir()
    best = [row for row in finished.read_lines("metrics.jsonl") if row.get("best")][-1]
    assert folder.name == f"step-{best['step']}"
    assert is_whole(folder)
    assert finished.results["training"]["best_step"] == best["step"]


# --- Predictions and the test split --------------------------------------------


def test_the_predictions_agree_with_the_results(finished: Run, sentiment: str) -> None:
    rows = list(finished.read_lines("predictions.jsonl"))
    results = finished.results["test"]
    right = [row["prediction"] == row["label"] for row in rows]
    assert np.mean(right) == pytest.approx(results["accuracy"])
    pairs = Counter((row["label"], row["prediction"]) for row in rows)
    names = finished.read("data.json")["task"]["labels"]
    assert [[pairs[truth, said] for said in names] for truth in names] == results["confusion"]
    assert [len(rows)] == [finished.read("data.json")["splits"]["test"]["rows"]]
    for row in rows:
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert max(row["probabilities"], key=row["probabilities"].get) == row["prediction"]


def test_each_prediction_names_its_row_and_text(finished: Run, sentiment: str) -> None:
    lines = Path(sentiment).read_text().splitlines()
    for row in finished.read_lines("predictions.jsonl"):
        source, _, line = row["id"].rpartition(":")
        assert source == sentiment
        assert json.loads(lines[int(line) - 1]) == {"text": row["text"], "label": row["label"]}


class Order(Observer):
    """Hears what happens, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def started(self, total_steps: int) -> None:
        self.events.append("training")

    def evaluated(self, step: int, epoch: float, scores: dict[str, Any], best: bool) -> None:
        self.events.append("validation")


def spy_on_reading(monkeypatch: pytest.MonkeyPatch, events: list[str]) -> None:
    predict = Session.predict_examples

    def spied(self: Session, examples: Any, what: str, *args: Any) -> Any:
        events.append(f"read {what}")
        return predict(self, examples, what, *args)

    monkeypatch.setattr(Session, "predict_examples", spied)


@pytest.mark.parametrize("untrained", [True, False])
def test_the_test_split_is_read_once_and_at_the_end(
    untrained: bool, tiny: Any, sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once by the tuned model; the baseline of the untrained head reads it after that."""
    observer = Order()
    spy_on_reading(monkeypatch, observer.events)
    values = config_values(tiny("bert"), sentiment, HEAD, tmp_path / "run", task=MEAN)
    values["evaluation"] = {"untrained": untrained}
    values["training"]["per_device_eval_batch_size"] = 61  # no other test's answers are found
    run = pipeline.run_training(run_config_from(values), observer)
    training = ["training", *["read validation", "validation"] * 2]
    after = ["read test", "read training examples"]
    after += ["read test"] * untrained
    assert observer.events == [*training, *after]
    assert ("untrained" in run.results["baselines"]) == untrained


def test_the_untrained_baseline_is_the_model_before_any_step(
    tiny: Any, sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built again from the seed, it scores as the model did when training began."""
    scores: list[dict[str, Any]] = []
    train = torch_loop.fit_with_loop

    def spied(job: Job) -> Outcome:
        scores.append(held[0].score("test", "fp32"))
        return train(job)

    held: list[LoadedModel] = []

    def holding(*args: Any) -> LoadedModel:
        held.append(session.load_session(*args))
        return held[0]

    monkeypatch.setattr(pipeline, "load_session", holding)
    monkeypatch.setattr(torch_loop, "fit_with_loop", spied)
    strategy = {"type": "lora", "r": 2}
    run = tune(tiny("bert"), sentiment, strategy, tmp_path / "run", training=ONE_STEP, task=MEAN)
    assert run.results["baselines"]["untrained"] == scores[0]


def test_scoring_leaves_the_trained_model_as_it_is(
    tiny: Any, sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked of it next is asked of what was trained, not of a baseline."""
    seen: list[Any] = []

    def spied(session: Any, *others: Any) -> Any:
        weights = {name: one.detach().clone() for name, one in session.model.named_parameters()}
        found = evaluate_run(session, *others)
        now = dict(session.model.named_parameters())
        seen.append(all(torch.equal(now[name], one) for name, one in weights.items()))
        return found

    monkeypatch.setattr(pipeline, "evaluate_run", spied)
    strategy = {"type": "lora", "r": 2}
    run = tune(tiny("bert"), sentiment, strategy, tmp_path / "run", training=ONE_STEP, task=MEAN)
    assert "untrained" in run.results["baselines"] and seen == [True]


# --- The best, and not the last ------------------------------------------------


def test_the_weights_with_the_best_validation_score_are_kept(
    tiny: Any, sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are saved and tested, though training went on."""
    script = iter([0.9, 0.2, 0.1])
    score = Session.score
    seen: list[dict[str, torch.Tensor]] = []

    def scripted(self: Session, split: str, precision: str) -> dict[str, Any]:
        seen.append({name: p.detach().clone() for name, p in self.model.named_parameters()})
        return {**score(self, split, precision), "macro_f1": next(script)}

    monkeypatch.setattr(session.Session, "score", scripted)
    run = tune(tiny("bert"), sentiment, HEAD, tmp_path / "run", task=MEAN)
    assert run.results["training"]["best_step"] == 12
    weights = load_file(run.model / "model.safetensors")
    first, last = seen[0], seen[1]
    assert all(torch.equal(weights[name], first[name]) for name in weights)
    assert any(not torch.equal(weights[name], last[name]) for name in weights)
    newest = newest_checkpoint(run.checkpoints)
    assert newest is not None
    kept, state = load_checkpoint(newest)
    assert state["step"] == 12 and state["validation"]["macro_f1"] == 0.9
    assert 0 < len(kept) < len(weights), "only what trains is in a checkpoint"


def test_without_that_wish_the_last_weights_are_kept(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    training = {**ONE_STEP, "load_best_model_at_end": False}
    run = tune(tiny("bert"), sentiment, HEAD, tmp_path / "run", task=MEAN, training=training)
    assert not run.checkpoints.exists()
    assert run.state == "finished"


# --- Other problems ------------------------------------------------------------


def test_several_labels_from_end_to_end(tiny: Any, tmp_path: Path) -> None:
    rows = [
        {"text": row["text"], "label": (["short"], ["long", "kind"], ["kind"], [])[i % 4]}
        for i, row in enumerate(make_rows(80))
    ]
    data = write_rows(tmp_path / "topics.jsonl", rows)
    run = tune(tiny("bert"), data, HEAD, tmp_path / "run", task=MEAN)
    test = run.results["test"]
    assert run.read("data.json")["task"]["labels"] == ["kind", "long", "short"]
    assert {"micro_f1", "macro_f1", "exact_match", "micro_f1_ci95"} <= set(test)
    predictions = list(run.read_lines("predictions.jsonl"))
    exact = [set(row["prediction"]) == set(row["label"]) for row in predictions]
    assert np.mean(exact) == pytest.approx(test["exact_match"])
    for row in predictions:
        said = {name for name, share in row["probabilities"].items() if share > 0.5}
        assert said == set(row["prediction"])
    [answer] = wt.load(run).predict([predictions[0]["text"]])
    assert answer["probabilities"] == pytest.approx(predictions[0]["probabilities"], abs=1e-5)


def test_numbers_from_end_to_end(tiny: Any, tmp_path: Path) -> None:
    """Predictions are in the user's units: in the file, by `wt.load` and by plain libraries."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    rows = [
        {"text": row["text"], "label": 100 + 2.5 * len(row["text"].split())}
        for row in make_rows(80)
    ]
    data = write_rows(tmp_path / "stars.jsonl", rows)
    run = tune(tiny("bert"), data, "full", tmp_path / "run", task={"pooling": "model"})
    test, predictions = run.results["test"], list(run.read_lines("predictions.jsonl"))
    labels = np.array([row["label"] for row in predictions])
    said = np.array([row["prediction"] for row in predictions])
    assert np.abs(labels - said).mean() == pytest.approx(test["mae"], rel=1e-4)
    assert np.abs(said - labels.mean()).max() < 5 * labels.std()
    assert {"r2", "mae", "rmse", "spearman", "r2_ci95"} <= set(test)
    assert run.results["metric"] == "r2"
    assert run.results["baselines"]["majority"]["r2"] == pytest.approx(0, abs=0.5)
    texts = [row["text"] for row in predictions]
    answers = [row["prediction"] for row in wt.load(run).predict(texts)]
    assert answers == pytest.approx(list(said), rel=1e-4)
    plain = AutoModelForSequenceClassification.from_pretrained(run.model).eval()
    batch = AutoTokenizer.from_pretrained(run.model)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        assert plain(**batch).logits[:, 0].tolist() == pytest.approx(list(said), rel=1e-4)


def test_pairs_of_texts_from_end_to_end(tiny: Any, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "pairs.jsonl", make_rows(80, pair=True))
    run = tune(tiny("bert"), data, HEAD, tmp_path / "run", task=MEAN)
    rows = list(run.read_lines("predictions.jsonl"))
    assert all(row["text"] and row["text_pair"] for row in rows)
    predictor = wt.load(run)
    answers = predictor.predict([(row["text"], row["text_pair"]) for row in rows])
    swapped = predictor.predict([(row["text_pair"], row["text"]) for row in rows])
    shares = [row["probabilities"]["positive"] for row in rows]
    assert [a["probabilities"]["positive"] for a in answers] == pytest.approx(shares, abs=1e-5)
    assert [a["probabilities"]["positive"] for a in swapped] != pytest.approx(shares, abs=1e-5)


# --- Splits --------------------------------------------------------------------


def test_one_file_becomes_three_stratified_splits(finished: Run, sentiment: str) -> None:
    facts = finished.read("data.json")
    counts = facts["task"]["counts"]
    assert {split: sum(counts[split].values()) for split in counts} == {
        "train": 96,
        "validation": 12,
        "test": 12,
    }
    assert all(counts[split]["negative"] == counts[split]["positive"] for split in counts)
    cut = facts["cut"]
    assert cut["from"] == sentiment
    assert len({*cut["validation"], *cut["test"]}) == 24
    tested = [int(row["id"].rpartition(":")[2]) for row in finished.read_lines("predictions.jsonl")]
    assert tested == cut["test"]


# --- When something goes wrong -------------------------------------------------


class Statuses(Observer):
    """What status.json says when this or that is heard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[tuple[str, int]] = []
        self.at_start: set[str] = set()

    def _look(self) -> None:
        status = Run(self.folder).status
        self.seen.append((status["state"], status["step"]))

    def started(self, total_steps: int) -> None:
        self.at_start = {path.name for path in self.folder.iterdir()}
        self._look()

    def stepped(self, step: Step) -> None:
        if step.step == step.total:
            self._look()

    def finished(self, run: Run) -> None:
        self._look()


@pytest.fixture
def short(tiny: Any, sentiment: str, tmp_path: Path) -> Any:
    """The config of a run of two steps into `tmp_path/run`."""
    training = {"max_steps": 2, "num_train_epochs": "auto"}
    return run_config_from(
        config_values(tiny("bert"), sentiment, HEAD, tmp_path / "run", task=MEAN, training=training)
    )


def test_the_status_is_true_at_every_moment(short: Any, tmp_path: Path) -> None:
    observer = Statuses(tmp_path / "run")
    run = pipeline.run_training(short, observer)
    assert observer.seen == [("running", 0), ("running", 2), ("finished", 2)]
    assert run.status["diagnosis"]["verdict"] == run.results["diagnosis"]["verdict"]
    states = {name: run.status[name] for name in ("state", "step", "error")}
    assert states == {"state": "finished", "step": 2, "error": None}
    assert {"config.yaml", "data.json", "environment.json", "status.json"} <= observer.at_start


def test_a_crash_leaves_a_failed_run_that_says_why(
    short: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(job: Job) -> Outcome:
        raise ValueError("the disk is on fire")

    monkeypatch.setattr(torch_loop, "fit_with_loop", crash)
    with fails("run.crashed") as failure:
        pipeline.run_training(short)
    assert failure.value.faults[0].values["error"] == "ValueError: the disk is on fire"
    assert isinstance(failure.value.__cause__, ValueError)
    run = Run.open(tmp_path / "run")
    assert run.status == {"state": "failed", "step": 0, "error": "ValueError: the disk is on fire"}
    assert not run.report.exists()
    assert run.config["strategy"]["type"] == "partial"


class Interrupting(Observer):
    def __init__(self, number: int) -> None:
        self.number = number

    def stepped(self, step: Step) -> None:
        os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_a_stopped_run(number: int, short: Any, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) as stop:
        pipeline.run_training(short, Interrupting(number))
    assert stop.value.exit_status == 128 + number
    run = Run.open(tmp_path / "run")
    assert run.status["state"] == "stopped"
    assert run.status["step"] == 1
    assert run.status["error"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_nothing_is_ever_overwritten(
    short: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious.txt").write_text("mine")
    no_weights(monkeypatch)
    with refused("run.folder_in_use", place=str(tmp_path / "run")):
        pipeline.run_training(short)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["precious.txt"]
    assert (tmp_path / "run" / "precious.txt").read_text() == "mine"


def test_a_refused_run_leaves_no_folder(
    tiny: Any, sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_weights(monkeypatch)
    with refused("strategy.too_many_blocks", blocks=4):
        tune(tiny("bert"), sentiment, {"type": "partial", "num_blocks": 9}, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """Those of the data, of the model and of the folder."""
    data = write_rows(tmp_path / "one.jsonl", [{"text": "good", "label": "yes"}] * 30)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "file").touch()
    with pytest.raises(InputError) as failure:
        tune(str(tmp_path / "no-model"), data, "full", tmp_path / "run")
    told = str(failure.value)
    assert "already in use" in told
    assert "no-model" in told
    assert len(failure.value.faults) >= 3


# --- From Python ---------------------------------------------------------------


class Captured(Exception):
    pass


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The configs that would have been carried out."""
    configs: list[Any] = []
    monkeypatch.setattr(pipeline, "run_training", lambda config, _: configs.append(config))
    return configs


def test_a_config_can_be_given_in_four_ways(asked: list[Any], tmp_path: Path) -> None:
    values: dict[str, Any] = {"model": "some/model", "data": "train.csv", "strategy": "lora"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    wt.train(values)
    wt.train(**values)
    wt.train(tmp_path / "config.yaml")
    wt.train(asked[0])
    assert asked[0].strategy.type == "lora"
    assert asked == [asked[0]] * 4


def test_keywords_change_what_a_config_says(asked: list[Any], tmp_path: Path) -> None:
    values: dict[str, object] = {"model": "some/model", "data": "train.csv"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    changes: dict[str, Any] = {"strategy": "prefix", "output_dir": "there", "training": {"seed": 3}}
    for config in (values, tmp_path / "config.yaml", run_config_from(values)):
        wt.train(config, **changes)
        assert asked[-1].strategy.type == "prefix", config
        assert asked[-1].output_dir == "there"
        assert asked[-1].training.seed == 3


def test_what_was_chosen_for_the_user_is_told_with_its_source(finished: Run) -> None:
    choices = finished.results["choices"]
    assert any(choice.startswith("weight_decay = 0.01 (") for choice in choices)
    assert not any(choice.startswith("learning_rate") for choice in choices)


def test_observers_hear_of_the_preparation(short: Any) -> None:
    heard: list[Any] = []

    class Hearing(Observer):
        def prepared(self, prepared: RunPlan) -> None:
            heard.append(prepared)

        def loaded(self, rows: list[Any]) -> None:
            heard.append(rows)
            raise Captured

    with pytest.raises(RunFailed):
        pipeline.run_training(short, Hearing())
    prepared, rows = heard
    assert len(prepared.examples["train"]) == 96
    assert sum(row.trainable for row in rows) == 32 * 2 + 2
    assert rows[-1].region == "head"
