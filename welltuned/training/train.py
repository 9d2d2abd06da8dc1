"""config -> data -> model -> strategy -> engine -> run -> report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from welltuned.artifact.save_load import save_artifact
from welltuned.artifact.verify import EXAMPLES, compare_weights, prove
from welltuned.config import RunConfig
from welltuned.engines import distributed, torch_loop
from welltuned.engines.device import autocast, choose_device
from welltuned.engines.job import Job, Outcome
from welltuned.errors import NotFinite
from welltuned.evaluation.predict import predict
from welltuned.reports.run import write_report
from welltuned.runs import Run, process_memory
from welltuned.runs.checkpoints import (
    keep_only,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)
from welltuned.runs.environment import describe_environment
from welltuned.runs.folder import SCHEMA_VERSION
from welltuned.runs.status import recorded
from welltuned.schema.import_path import load_callable
from welltuned.training import retention_steps
from welltuned.training.auto_tune import settle
from welltuned.training.diagnosis.watching import judge, note_divergence, watched
from welltuned.training.forecast.run_forecast import predict_cost
from welltuned.training.observer import Observer, Recorder
from welltuned.training.prepare import Prepared, prepare
from welltuned.training.results import evaluate
from welltuned.training.session import Tuning, load


def train(config: RunConfig, observer: Observer | None = None, command: str | None = None) -> Run:
    """Carry out a whole run and return its folder.

    Raises `InputError` before any weight is loaded when something cannot work, and
    `RunFailed` when training or its proof fails; the folder then says why.
    """
    observer = observer or Observer()
    process_memory.forget_peak()
    prepared = prepare(config, observer.working)
    if distributed.processes() > 1:
        return _train_together(prepared, observer, command)
    run = Run.create(prepared.folder)
    with recorded(run):
        _carry_out(prepared, run, observer, command)
    observer.finished(run)
    return run


def _carry_out(prepared: Prepared, run: Run, observer: Observer, command: str | None) -> None:
    predicted = predict_cost(prepared, observer)
    tuning = load(prepared, observer)
    tuning.predicted, tuning.found = predicted, settle(tuning, observer)
    _write_start(run, tuning, command)
    untouched = retention_steps.remember(tuning, observer)
    try:
        outcome = _tune(tuning, run, observer)
    except NotFinite as error:
        for line in note_divergence(run, error).lines:
            observer.noted(line)
        raise
    _restore_best(tuning, run, observer)
    finished = retention_steps.go_back(tuning, untouched, observer)
    proof = _save_and_prove(tuning, run)
    kept = retention_steps.measure(tuning, untouched, observer)
    results = evaluate(tuning, run, outcome, observer)
    results |= {**kept, **finished, "proof": proof}
    run.write("results.json", {**results, "diagnosis": judge(run, results)})
    write_report(run)


def _train_together(prepared: Prepared, observer: Observer, command: str | None) -> Run:
    """The same by several processes: all train, the main one alone writes and talks."""
    distributed.start(choose_device(prepared.config.training.device).type)
    run = distributed.from_main(lambda: Run.create(prepared.folder))
    if distributed.is_main():
        with recorded(run):
            _carry_out(prepared, run, observer, command)
        observer.finished(run)
    else:
        tuning = load(prepared, Observer())
        settle(tuning, Observer())
        _tune(tuning, run, Observer())
    distributed.from_main(lambda: None)  # nobody leaves before the run is written
    return run


def _write_start(run: Run, tuning: Tuning, command: str | None) -> None:
    """Everything known before the first step, so that even a killed run explains itself."""
    prepared = tuning.prepared
    run.write(
        "config.yaml", {"schema_version": SCHEMA_VERSION, **prepared.config.model_dump(mode="json")}
    )
    run.write("data.json", prepared.data.facts.as_dict())
    environment = describe_environment()
    environment |= {
        "device": torch.cuda.get_device_name(tuning.device)
        if tuning.device.type == "cuda"
        else tuning.device.type,
        "precision": tuning.precision,
        "threads": torch.get_num_threads(),
        "data_fingerprint": prepared.data.facts.fingerprint,
        "base_fingerprint": tuning.origin.fingerprint,
        "seed": prepared.config.training.seed,
        "command": command,
    }
    run.write("environment.json", environment)


def _tune(tuning: Tuning, run: Run, observer: Observer) -> Outcome:
    """Hand everything to the engine."""
    trainable = {
        name: parameter
        for name, parameter in tuning.model.named_parameters()
        if name in tuning.before.trainable
    }

    def keep(step: int, scores: dict[str, Any]) -> None:
        numbers = {name: value for name, value in scores.items() if isinstance(value, (int, float))}
        keep_only(
            run.checkpoints,
            save_checkpoint(run.checkpoints, step, trainable, {"validation": numbers}),
        )

    listeners = [Recorder(run, tuning.config.training.logging_steps), observer]
    job = tuning.job(
        keep,
        watched(listeners if distributed.is_main() else [], run, tuning.metric),
        run.folder,
        retention_steps.guards(tuning, observer),
    )
    if tuning.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(tuning.device)
    return _engine(tuning.config.engine)(job)


def _engine(name: str) -> Callable[[Job], Outcome]:
    if name == "hf":
        from welltuned.engines import hf_trainer  # it imports half of transformers

        return hf_trainer.train
    return torch_loop.train if name == "torch" else load_callable(name, "engine")


def _restore_best(tuning: Tuning, run: Run, observer: Observer) -> None:
    """Go back to the weights with the best validation score, where they were kept."""
    folder = newest_checkpoint(run.checkpoints)
    if folder is None:
        return
    weights, state = load_checkpoint(folder)
    parameters = dict(tuning.model.named_parameters())
    with torch.no_grad():
        for name, tensor in weights.items():
            parameters[name].copy_(tensor)
    observer.noted(f"the best validation score was at step {state['step']}; its weights are kept")


def _save_and_prove(tuning: Tuning, run: Run) -> dict[str, Any]:
    """Write the artifact, load it afresh, and compare."""
    prepared, strategy = tuning.prepared, tuning.config.strategy
    moved = compare_weights(tuning.model, tuning.before)
    strategy.finish(tuning.model)
    tuning.problem = tuning.problem.measured(tuning.on_training_data).finish(tuning.model)
    validation = prepared.examples["validation"]
    some = list(range(min(EXAMPLES, len(validation))))
    problem, records = tuning.problem.saved_as(prepared.tokenizer, validation.records.take(some))
    tuning.artifact_bytes = save_artifact(
        run.model,
        tuning.model,
        strategy,
        prepared.tokenizer,
        problem,
        prepared.head,
        tuning.config.model,
        tuning.origin,
        prepared.max_length,
        tuning.precision_in_use,
    )
    few = problem.encode(prepared.tokenizer, records, prepared.max_length)
    outputs = predict(
        tuning.model,
        problem,
        few,
        prepared.pad_id,
        EXAMPLES,
        autocast(tuning.precision_in_use, tuning.device),
    )
    return prove(moved, tuning.before, outputs, run.model, records, tuning.device).as_dict()
