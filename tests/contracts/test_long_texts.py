"""Long texts: every strategy, both engines, every task; saved, exported and answered with.

Texts have up to 17 words, and windows 8 tokens. Dropout is off, so that arithmetic is compared.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from contracts.test_engines import require_same_turns, turn
from faults import noted, refused
from sentences import make_sentences, write_conll
from support import STRATEGIES, WORDS, config_values, job_for, make_rows, short_tune, write_rows
from welltuned.artifact.predictor import Predictor
from welltuned.config import run_config_from
from welltuned.data.tokens.windows import WINDOWS
from welltuned.deployment.export.run_export import export_run
from welltuned.deployment.open import open_predictor
from welltuned.engines import hf_trainer, torch_loop
from welltuned.engines.step_plan import PlannedStep
from welltuned.evaluation.outputs_and_features import outputs_and_features
from welltuned.evaluation.predict import predict_outputs, to_device
from welltuned.strategies import Progress
from welltuned.tasks import Classification
from welltuned.tasks.long import Windows
from welltuned.training.preparation.prepare import prepare

STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
LONG = {"type": "windows", "length": 8, "stride": 4, "pooling": "mean"}
MEAN = {"pooling": "mean", "long": LONG}
QUICK = ("full", "lora", "prompt", "prefix", "houlsby")


def batch_of(job: Any, indices: list[int]) -> dict[str, torch.Tensor]:
    return to_device(job.problem.codec.collate(job.examples, indices, job.pad_id), job.device)


def several(job: Any, number: int = 3) -> list[int]:
    """Examples of several windows, and one of one."""
    sizes = job.examples.windows.numbers
    assert sizes.max() > 2
    return [*np.argsort(-sizes, kind="stable")[:number].tolist(), int(sizes.argmin())]


# --- What is computed -----------------------------------------------------------------


@pytest.mark.parametrize(
    "strategy",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in STRATEGIES],
)
def test_a_text_is_the_mean_of_its_windows_whatever_the_strategy(
    strategy: str, tiny: Any, few: str
) -> None:
    """Each window read alone, without the others beside it; gradients come from all of them."""
    job = job_for(tiny("bert", **STILL), few, STRATEGIES[strategy], task=MEAN)
    some, objective = several(job), job.problem.objective
    batch = batch_of(job, some)
    assert WINDOWS in batch and len(batch["input_ids"]) > len(some) + 3
    found = objective.outputs(job.model.eval(), batch)
    for text, index in enumerate(some):
        rows = job.examples.rows_of([index])
        alone = [job.examples.encoded[row][None].astype(np.int64) for row in rows]
        logits = [
            job.model(
                input_ids=torch.from_numpy(ids), attention_mask=torch.ones(ids.shape).long()
            ).logits.detach()
            for ids in alone
        ]
        torch.testing.assert_close(found[text], torch.cat(logits).mean(0), atol=1e-5, rtol=1e-4)
    objective.loss(job.model.train(), batch).backward()
    trained = [p for p in job.model.parameters() if p.requires_grad]
    assert trained and all(p.grad is not None and p.grad.isfinite().all() for p in trained)


def test_texts_of_one_window_are_what_they_are_without_windows(tiny: Any, few: str) -> None:
    model, task = tiny("bert", **STILL), {"pooling": "mean"}
    plain = job_for(model, few, STRATEGIES["full"], task=task)
    windows = job_for(model, few, STRATEGIES["full"], task={**task, "long": "windows"})
    batches = [batch_of(job, [0, 1, 2]) for job in (plain, windows)]
    assert batches[0].keys() == batches[1].keys()
    losses = [
        job.problem.objective.loss(job.model.eval(), batch)
        for job, batch in zip((plain, windows), batches, strict=True)
    ]
    assert losses[0].item() == losses[1].item()


def test_without_gradients_the_same_is_said_a_few_rows_at_a_time(
    tiny: Any, few: str, monkeypatch: Any
) -> None:
    from welltuned.tasks import rows

    job = job_for(tiny("bert", **STILL), few, STRATEGIES["full"], task=MEAN)
    batch = batch_of(job, several(job))
    learning = job.problem.objective.outputs(job.model.eval(), batch).detach()
    monkeypatch.setattr(rows, "_AT_ONCE", 2)
    with torch.no_grad():
        torch.testing.assert_close(job.problem.objective.outputs(job.model, batch), learning)


def test_the_engines_agree_on_a_sample_of_windows(tiny: Any, few: str, tmp_path: Path) -> None:
    """Drawn for each step, the same for both; and steps hold as many tokens as they may."""
    long = {**LONG, "stride": 2, "pooling": "attention", "windows_per_step": 3}
    drawn_from = job_for(tiny("bert"), few, STRATEGIES["full"], task={**MEAN, "long": long})
    assert drawn_from.examples.windows.numbers.max() > 3
    turns = [
        turn(
            engine,
            tiny("bert", **STILL),
            few,
            "full",
            tmp_path,
            task={**MEAN, "long": long},
            num_train_epochs=1,
            max_tokens_per_step=64,
        )
        for engine in (torch_loop, hf_trainer)
    ]
    require_same_turns(*turns)
    plain, hf = (one[0] for one in turns)
    assert plain.scores == hf.scores
    assert all(step.tokens <= 64 for step in plain.steps)


def test_features_are_means_of_windows(tiny: Any, few: str) -> None:
    job = job_for(tiny("bert", **STILL), few, STRATEGIES["full"], task=MEAN)
    found = outputs_and_features(job.model, job.problem, job.examples, job.pad_id, 4)
    assert found[0].shape == (len(job.examples), 2) and found[1].shape == (len(job.examples), 32)
    alone = job.examples.take(several(job)[:1])
    one = outputs_and_features(job.model, job.problem, alone, job.pad_id, 1)
    np.testing.assert_allclose(found[1][several(job)[0]], one[1][0], atol=1e-5)
    np.testing.assert_allclose(found[0][several(job)[0]], one[0][0], atol=1e-5)


# --- Words ----------------------------------------------------------------------------


def test_words_are_read_where_they_have_most_context(tiny: Any, tmp_path: Path) -> None:
    """Every word has an answer; it is that of its own window read alone."""
    data = write_conll(tmp_path / "long.conll", make_sentences(30))
    task = {"type": "token_classification", "long": {"length": 8, "stride": 3}}
    job = job_for(tiny("bert", **STILL), data, STRATEGIES["full"], task=task)
    some = several(job)
    batch = batch_of(job, some)
    words = sum(len(job.examples.targets[index]) for index in some)
    assert job.problem.objective.count(batch) == words
    found = job.problem.objective.outputs(job.model.eval(), batch)
    for text, index in enumerate(some):
        rows = job.examples.rows_of([index])
        both = job.examples.word_rows[index], job.examples.first_tokens[index]
        for word, (window, place) in enumerate(zip(*both, strict=True)):
            ids = torch.from_numpy(job.examples.encoded[rows[window]].astype(np.int64))[None]
            logits = job.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
            expected = logits[0, place].log_softmax(-1)
            torch.testing.assert_close(found[text, word], expected, atol=1e-5, rtol=1e-4)


def test_responses_are_put_together_before_they_are_compared(tiny: Any, preferences: str) -> None:
    """The reward of a response is that of its own windows, whatever stands beside them."""
    long = {**LONG, "length": 10, "pooling": "max"}
    task = {"type": "reward", "pooling": "mean", "long": long}
    job = job_for(tiny("bert", **STILL), preferences, STRATEGIES["full"], task=task)
    batch = batch_of(job, [0, 1, 2])
    assert len(batch["input_ids"]) > batch[WINDOWS].shape[0] >= batch["pairs"].max()
    found = job.problem.objective.outputs(job.model.eval(), batch)
    for index in (0, 1, 2):
        alone = job.problem.objective.outputs(job.model, batch_of(job, [index]))
        torch.testing.assert_close(found[index], alone[0], atol=1e-5, rtol=1e-4)
    job.problem.objective.loss(job.model, batch).backward()


# --- Whole runs -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def tuned(
    tiny: Any, preferences: str, ratings: str, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """`tuned(kind)`: a short run on texts of several windows, made once."""
    rows = make_rows(60)
    numbers = [{**row, "label": len(row["text"]) / 7} for row in rows]
    sets = [{**row, "label": [row["label"], "any"][: 1 + i % 2]} for i, row in enumerate(rows)]

    @cache
    def make(kind: str) -> Any:
        folder = tmp_path_factory.mktemp(kind)
        data, task, pooling = {
            "single": (rows, {}, "auto"),
            "several": (sets, {}, "max"),
            "number": (numbers, {}, "attention"),
            "pair": (make_rows(60, pair=True), {}, "mean"),
            "words": (None, {"type": "token_classification"}, "mean"),
            "preferences": (preferences, {"type": "reward"}, "attention"),
            "ratings": (ratings, {"type": "reward"}, "max"),
        }[kind]
        if data is None:
            data = write_conll(folder / "words.conll", make_sentences(40))
        elif not isinstance(data, str):
            data = write_rows(folder / "rows.jsonl", data)
        pooled = {} if kind == "words" else {"pooling": "mean"}
        asked = {**pooled, **task, "long": {**LONG, "length": 12, "pooling": pooling}}
        strategy = STRATEGIES["lora" if kind == "single" else "full"]
        return short_tune(tiny("bert"), data, strategy, folder / "run", task=asked)

    return make


KINDS = ["single", "words"]
MORE = ["several", "number", "pair", "preferences", "ratings"]
each_kind = pytest.mark.parametrize(
    "kind", [*KINDS, *(pytest.param(kind, marks=pytest.mark.slow) for kind in MORE)]
)


@each_kind
def test_a_run_in_windows_proves_itself_and_counts_them(kind: str, tuned: Any) -> None:
    run = tuned(kind)
    assert run.results["proof"]["reloaded_difference"] <= 1e-5
    facts = json.loads((run.folder / "data.json").read_text())["task"]
    assert facts["windows"]["train"]["greatest"] > 1
    assert facts["windows"]["train"]["windows"] > facts["windows"]["train"]["texts"] > 0
    assert facts["truncated"]["test"] == 0 or kind in ("pair", "preferences", "ratings")
    memory = json.loads((run.model / "welltuned.json").read_text())["task"]["long"]
    assert memory["length"] == 12


def test_predictions_are_by_all_windows(tuned: Any) -> None:
    """The last word of a long text is read; and what was learned is not told from its batch."""
    predictor = Predictor.load(tuned("single"))
    text = " ".join(["the room felt cold"] * 30)
    one, other = predictor.predict([text, f"{text} superb"])
    assert "cut" not in one and one["probabilities"] != other["probabilities"]
    (alone,) = predictor.predict([text], batch_size=1)
    assert alone["probabilities"] == pytest.approx(one["probabilities"], abs=1e-5)


def test_every_word_of_a_long_text_has_a_tag(tuned: Any) -> None:
    words = WORDS * 5
    (found,) = Predictor.load(tuned("words")).predict([" ".join(words)])
    assert len(found["prediction"]) == len(words) and None not in found["prediction"]


def test_a_plain_export_tells_how_texts_are_read_and_one_that_cannot_is_refused(
    tuned: Any, tmp_path: Path
) -> None:
    folder = export_run(tuned("single"), "plain", tmp_path / "plain")
    told = json.loads((folder / "long_texts.json").read_text())
    assert told["type"] == "windows" and told["pooling"] == "attention" and told["stride"] == 4
    with refused("export.cannot_hold"):
        export_run(tuned("single"), "sentence-transformers", tmp_path / "vectors")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["single", "several", "words"])
@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_a_graph_reads_windows_too(format: str, kind: str, tuned: Any, tmp_path: Path) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(format, format))
    run = tuned(kind)
    folder = export_run(run, format, tmp_path / format, "fp32", drop=100)
    text = " ".join(make_rows(40)[5]["text"] for _ in range(9))
    ours, theirs = open_predictor(folder).predict([text]), Predictor.load(run).predict([text])
    key = "confidences" if kind == "words" else "probabilities"
    assert ours[0][key] == pytest.approx(theirs[0][key], abs=1e-3)


@pytest.mark.slow
def test_what_stands_beyond_the_cut_is_learned_in_windows_alone(tiny: Any, tmp_path: Path) -> None:
    filler = " ".join(["the room it was we they"] * 4)
    rows = [{**row, "text": f"{filler} {row['text']}"} for row in make_rows(200)]
    data = write_rows(tmp_path / "long.jsonl", rows)
    scores = {}
    for name, long in (("truncate", "truncate"), ("windows", {"length": 24})):
        task = {"pooling": "mean", "max_length": 24, "long": long}
        training = {"num_train_epochs": 6, "learning_rate": 3e-3}
        run = short_tune(
            tiny("bert"), data, STRATEGIES["full"], tmp_path / name, task=task, training=training
        )
        scores[name] = run.results["test"]["accuracy"]
    assert scores["windows"] > scores["truncate"] + 0.2


# --- What is asked for ----------------------------------------------------------------


def plan(model: str, data: str, **task: Any) -> Any:
    values = config_values(model, data, STRATEGIES["full"], Path("never"), task=task)
    return prepare(run_config_from(values))


@pytest.mark.parametrize(
    ("task", "code", "values"),
    [
        ({"long": {"length": 65}}, "task.window_too_long", {"limit": 64}),
        ({"max_length": 32, "long": {"length": 33}}, "task.window_too_long", {"limit": 32}),
        ({"long": {"length": 16, "stride": 15}}, "task.stride_too_large", {"room": 14}),
        ({"long": {"stride": 63}}, "task.stride_too_large", {"room": 62}),
    ],
)
def test_windows_that_cannot_be_are_refused_before_weights(
    task: dict[str, Any], code: str, values: dict[str, Any], tiny: Any, few: str
) -> None:
    with refused(code, **values):
        plan(tiny("bert"), few, **task)


def test_a_window_is_as_long_as_it_is_asked_to_be(tiny: Any, few: str) -> None:
    assert plan(tiny("bert"), few, long={"length": 16, "stride": 14}).max_length == 16


def test_a_text_of_too_many_windows_needs_a_sample(tiny: Any, tmp_path: Path) -> None:
    rows = make_rows(30)
    rows[2]["text"] += " the room felt cold" * 200
    data = {"train": write_rows(tmp_path / "train.jsonl", rows)}
    data |= {
        name: write_rows(tmp_path / f"{name}.jsonl", make_rows(6, seed))
        for seed, name in enumerate(("validation", "test"), 1)
    }
    with refused("task.too_many_windows", place=f"{data['train']}:3"):
        plan(tiny("bert"), data, long={"length": 8})  # type: ignore[arg-type]
    found = plan(tiny("bert"), data, long={"length": 8, "windows_per_step": 16})  # type: ignore[arg-type]
    assert found.learned.lengths.max() == 16 * 8, "what a step holds"
    assert found.examples["train"].lengths.max() > 1000
    notes = noted(found.data.facts.notes)
    assert any(note.startswith("task.read_in_windows split=train") for note in notes)


def test_long_models_take_long_texts_as_they_are(tiny: Any, tmp_path: Path) -> None:
    rows = [{**row, "text": row["text"] + " the room" * 300} for row in make_rows(30)]
    model = tiny("modernbert", max_position_embeddings=1024)
    found = plan(model, write_rows(tmp_path / "long.jsonl", rows), max_length=60)
    assert found.max_length == 60 and found.model.anatomy.max_length in (None, 1024)


def test_a_policy_reads_no_windows() -> None:
    with pytest.raises(Exception, match="one row, and not in windows"):
        Classification.model_validate({"long": "windows"}).check_policy()
    Classification.model_validate({"long": "head_tail"}).check_policy()


def test_scores_are_by_all_windows_though_steps_draw(tiny: Any, few: str) -> None:
    long = {**LONG, "windows_per_step": 1}
    job = job_for(tiny("bert", **STILL), few, STRATEGIES["full"], task={**MEAN, "long": long})
    whole = job.examples.windows.numbers
    job.examples.sampled(0, 1)
    step = PlannedStep(1, Progress(0.0, 0.0), 1.0, [np.arange(4)], ends_epoch=False)
    assert job.collate(np.arange(4), job.device, step)["input_ids"].shape[0] == 4
    read = Windows(length=8, stride=4).index(whole.tolist())
    assert read.sizes.tolist() == whole.tolist()
    found = predict_outputs(job.model, job.problem, job.examples, job.pad_id, 8)
    assert np.isfinite(found).all()
