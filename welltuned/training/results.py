"""Results of a run: test scores, baselines and cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from welltuned.data.batching import padding_fraction
from welltuned.data.storage.kept_values import kept_answers
from welltuned.engines.device import matmul_rate
from welltuned.engines.job import Outcome
from welltuned.models.quantization import weight_count
from welltuned.runs import Run, process_memory
from welltuned.runs.phases import CLOCK, Spent, phase
from welltuned.runs.results_schema import (
    AnswerEnd,
    Contrasted,
    ContrastRecord,
    Cost,
    Evaluated,
    HeldOutScores,
    ParameterCount,
    Ruled,
    RuleEffect,
    Scores,
    Solved,
    StartedFrom,
    TrainingProgress,
    Written,
)
from welltuned.tasks import Examples
from welltuned.training.answering import (
    Answers,
    allowed_seconds,
    answer_split,
    answering,
    tell_of_some,
)
from welltuned.training.observer import Observer
from welltuned.training.preparation.starting_point import starting_point
from welltuned.training.session.session import LoadedModel, Session, TrainedSession, before_training
from welltuned.training.session.untouched import model_name

_TRAINING_SAMPLE = 1000
"""Training examples that are scored at most, to be set beside validation."""


@phase("test")
def evaluate_run(session: TrainedSession, run: Run, observer: Observer) -> Evaluated:
    """Read the test split, once, and set the scores beside the baselines and the cost.

    Where the test split stays sealed, the validation split stands in for it. The baseline of the
    untrained head has a model of its own, and reads the split after that.
    """
    prepared, problem, outcome = session.prepared, session.problem, session.outcome
    judged = "test" if session.config.evaluation.test else "validation"
    read, train_targets = prepared.examples[judged], prepared.examples["train"].targets
    assert read.targets is not None and train_targets is not None
    seconds = allowed_seconds(session.config.evaluation, outcome.seconds)
    outputs, scores, answers = read_split(judged, session, observer, seconds, intervals=True)
    tell_of_some(answers, judged, observer)
    said = {"response": answers.by_row}
    run.write_lines("predictions.jsonl", problem.presenter.rows(outputs, read, said))
    test: HeldOutScores = {"test": scores} if judged == "test" else {}
    start = starting_point(prepared.model)
    started: StartedFrom = {"start": start} if start else {}
    solved: Solved = {"lbfgs": outcome.lbfgs} if outcome.lbfgs else {}
    results: Evaluated = {
        **test,
        **started,
        **solved,
        **_contrasted(session),
        **_written(session),
        **answers.record(),
        "train": _training_scores(session, observer),
        "validation": scores if judged == "validation" else _validation_scores(session, observer),
        "baselines": problem.scorer.baselines(train_targets, read.targets),
        "parameters": _count_parameters(session),
        "cost": _cost(session),
        "found": session.found,
        "training": _progress(outcome),
        "choices": [str(choice) for choice in prepared.choices],
        "metric": session.metric,
        **_decision_rule(session, {judged: outputs}),
    }
    if session.config.evaluation.untrained:
        with phase("baseline"):
            untrained = _untrained(judged, session, observer, seconds)
        results["baselines"]["untrained"], before = untrained
        if "answered" in results:
            results["answered"]["untrained"] = len(before)
        if before:
            texts = {"before": before, **said}
            run.write_lines("predictions.jsonl", problem.presenter.rows(outputs, read, texts))
    return results


def _contrasted(session: TrainedSession) -> Contrasted:
    """What was drawn, where texts were contrasted."""
    prepared = session.prepared
    if prepared.config.strategy.contrast is None:
        return {}
    learned = prepared.learned
    record: ContrastRecord = {
        "texts": len(prepared.labelled),
        "groups": len(learned),
        "group_size": learned.units,
    }
    if session.outcome.head is not None:
        record["head"] = session.outcome.head
    return {"contrast": record}


def _decision_rule(session: Session, outputs: dict[str, np.ndarray]) -> Ruled:
    """The rule that turns outputs into answers, and what it changes: on validation, which it was
    settled by, and where the run is judged."""
    scorer, prepared = session.problem.scorer, session.prepared
    if not (rule := scorer.decision_rule):
        return {}
    read = {"validation": session.predict("validation", session.precision_in_use), **outputs}
    effects: dict[str, RuleEffect] = {}
    for split, outputs_NK in read.items():
        targets = prepared.examples[split].targets
        assert targets is not None
        effects[split] = scorer.effect(outputs_NK, targets)
    record: Any = {**rule, "effect": effects}
    return {"decision_rule": record}


def _untrained(
    split: str, session: Session, observer: Observer, seconds: float
) -> tuple[Scores, dict[int, str]]:
    """(scores, free text by row) of the model before its first step, read once by all such runs."""
    config, prepared = session.config, session.prepared

    def read() -> tuple[Scores, dict[int, str]]:
        _, scores, answers = read_split(split, before_training(session), observer, seconds)
        return scores, dict(answers.by_row)

    asked = [config.strategy, config.task, config.evaluation]
    told = [part.model_dump(mode="json") for part in asked]
    size = config.training.per_device_eval_batch_size
    weights = session.before.hashes
    name = model_name(session.model, prepared.anatomy, weights, session.precision_in_use, size)
    known = ["untrained", name, told, prepared.problem.to_dict(), prepared.examples[split]]
    return kept_answers().once(known, read)


def read_split(
    split: str, session: LoadedModel, observer: Observer, seconds: float, intervals: bool = False
) -> tuple[np.ndarray, Scores, Answers]:
    """(outputs, scores, answers in free text) of the model as it is now.

    `seconds`: how long the answers may take. Nothing is chosen by free text, which takes long, so
    none is asked for while test is sealed.
    """
    prepared, problem = session.prepared, session.problem
    examples = prepared.examples[split]
    assert examples.targets is not None
    session.model.eval()
    outputs = session.predict(split, session.precision_in_use, observer)
    scores = problem.scorer.score(outputs, examples.targets, intervals)
    if (responder := problem.responder) is None or split != "test":
        return outputs, scores, Answers()
    answers = answer_split(split, session, observer, seconds)
    if answers.by_row:
        asked = examples.records.take(list(answers.by_row))
        scores |= responder.score(list(answers.by_row.values()), asked, intervals)
    return outputs, scores, answers


def _written(session: Session) -> Written:
    """Whether the model ends its answer to the validation example with the shortest one."""
    prepared, responder = session.prepared, session.problem.responder
    if responder is None:
        return {}
    validation = prepared.examples["validation"]
    one = validation.records.take([int(validation.lengths.argmin())])
    with phase("generate"), answering(session):
        tokens = responder.answer_length(
            session.model, prepared.tokenizer, one, prepared.max_length
        )
    codes = {note["code"] for note in prepared.data.facts.notes}
    end: AnswerEnd = {
        "id": one.id(0),
        "tokens": tokens,
        "max_new_tokens": responder.max_new_tokens,
        "end_was_learned": "task.stop_not_learned" not in codes,
    }
    return {"answer_end": end}


def _some_training(session: Session) -> Examples:
    """As many training examples as validation has, drawn at random.

    Scores on both, side by side, tell what was learned from what was memorised.
    """
    train = session.prepared.examples["train"]
    number = min(len(train), len(session.prepared.examples["validation"]), _TRAINING_SAMPLE)
    return train.take(np.random.default_rng(0).permutation(len(train))[:number].tolist())


@phase("validate")
def _training_scores(session: Session, observer: Observer) -> Scores:
    some, what = _some_training(session), "training examples"
    assert some.targets is not None
    outputs = session.predict_examples(some, what, session.precision_in_use, observer)
    return session.problem.scorer.score(outputs, some.targets, intervals=True)


def _validation_scores(session: Session, observer: Observer) -> Scores:
    targets = session.prepared.examples["validation"].targets
    assert targets is not None
    outputs = session.predict("validation", session.precision_in_use, observer)
    return session.problem.scorer.score(outputs, targets, intervals=True)


def _progress(outcome: Outcome) -> TrainingProgress:
    progress: TrainingProgress = {
        "steps": outcome.steps,
        "epochs": outcome.epochs,
        "best_step": outcome.best_step,
        "stopped_early": outcome.stopped_early,
    }
    if outcome.skipped_steps:
        progress["skipped_steps"] = outcome.skipped_steps
    if outcome.backoffs:
        progress["backoffs"] = outcome.backoffs
    return progress


def _count_parameters(session: Session) -> ParameterCount:
    named = [
        (name, parameter)
        for name, parameter in session.model.named_parameters()
        if ".original_module." not in name
    ]
    return {
        "total": sum(weight_count(parameter) for _, parameter in named),
        "trainable": sum(
            parameter.numel() for group in session.groups for parameter in group.parameters
        ),
    }


def _cost(session: TrainedSession) -> Cost:
    outcome = session.outcome
    dtype = torch.bfloat16 if session.precision == "bf16" else torch.float32
    seconds = max(outcome.seconds, 1e-9)
    learned = session.prepared.learned
    size = max(1, session.training.per_device_train_batch_size // learned.units)
    return {
        "train_seconds": outcome.seconds,
        "examples_per_second": outcome.examples / seconds,
        "tokens_per_second": outcome.tokens / seconds,
        "padding_fraction": 1 - outcome.tokens / max(outcome.positions, 1),
        "padding_fraction_unsorted": _unsorted_padding(learned, size),
        "peak_memory_bytes": peak_memory(session.device),
        "artifact_bytes": session.artifact_bytes,
        "flops": outcome.flops,
        "hardware_efficiency": outcome.flops / seconds / matmul_rate(session.device, dtype),
    }


def _unsorted_padding(examples: Examples, size: int) -> float:
    """The padding of random batches, for comparison."""
    order = np.random.default_rng(0).permutation(len(examples)).tolist()
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    rows = [np.asarray(examples.rows_of(batch)) for batch in batches]
    return padding_fraction(examples.encoded.lengths, rows)


def peak_memory(device: torch.device) -> int:
    """The most memory held: on a GPU by tensors, else by this process since the run began."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return process_memory.peak()


def before_resuming(spent: Spent | None) -> dict[str, dict[str, float]]:
    """What the cost of a run has for the processes before this one."""
    if spent is None:
        return {}
    seconds = sum(spent["phases"].values())
    return {"before_resuming": {"seconds": seconds, "cpu_seconds": spent["cpu_seconds"]}}


def write_results(run: Run, results: dict[str, Any], write_report: Callable[[Run], object]) -> None:
    """results.json and the report. What the report takes is known, and written, after it."""
    with phase("report"):
        taken = CLOCK.so_far()
        results["cost"] |= {"phases": taken, "cpu_seconds": CLOCK.spent()["cpu_seconds"]}
        results["cost"] |= before_resuming(CLOCK.carried)
        run.write("results.json", results)
        write_report(run)
    results["cost"]["phases"] = taken | {"report": CLOCK.end()["report"]}
    run.write("results.json", results)
