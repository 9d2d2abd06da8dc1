"""A run from start to end: config, data, model, strategy, engine, artifact, report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch

from welltuned.artifact.save_load import Artifact, save_artifact
from welltuned.artifact.verify import EXAMPLES, compare_weights, prove
from welltuned.config import RunConfig
from welltuned.data.overlap.trained_on import write_trained_on
from welltuned.engines import distributed
from welltuned.engines.device import autocast, choose_device
from welltuned.engines.job import Outcome
from welltuned.engines.memory_faults import telling_memory
from welltuned.engines.snapshot import Snapshot, trained_weights
from welltuned.errors import NotFinite
from welltuned.evaluation.predict import predict_outputs
from welltuned.models.tensor_parts import on_main
from welltuned.reports.run import write_run_report
from welltuned.runs import Run, process_memory
from welltuned.runs.checkpoints import SNAPSHOTS, BestWeights, keep_newest
from welltuned.runs.environment import describe_environment
from welltuned.runs.ownership import owned
from welltuned.runs.phases import CLOCK, phase
from welltuned.runs.results_schema import KnownSoFar
from welltuned.runs.status import begun, recorded, resume_line
from welltuned.runs.stopping import stoppable
from welltuned.schema.import_path import allowing_imports
from welltuned.schema.versions import RUN_CONFIG
from welltuned.training import retention_steps
from welltuned.training.auto_tune import auto_tune
from welltuned.training.best_weights import restore_best
from welltuned.training.decisions import (
    as_decided,
    is_interrupted,
    note_changes,
    reporting_as_asked,
    write_decisions,
)
from welltuned.training.diagnosis.watching import (
    diagnose_run,
    diagnosing_listener,
    note_divergence,
    save_study,
)
from welltuned.training.extend import extension_of, gone_further_than, start_of_extension
from welltuned.training.fit import fit
from welltuned.training.observer import Line, Observer, Recorder
from welltuned.training.output_folder import (
    prepare_in_folder,
    require_space_to_train,
    unfinished_before,
)
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.prepare import RunPlan, prepare
from welltuned.training.rehearse import rehearse
from welltuned.training.results import evaluate_run, write_results
from welltuned.training.resume import (
    Interrupted,
    begin_again,
    find_interrupted,
    save_snapshot,
)
from welltuned.training.saving_memory import saving_memory
from welltuned.training.session.session import Session, TrainedSession, load_session
from welltuned.training.sharding import require_ranks, whole_again
from welltuned.training.trackers.tracking import Tracking, tracking
from welltuned.training.waits import telling_waits


def run_training(
    config: RunConfig,
    observer: Observer | None = None,
    command: str | None = None,
    cache: DataCache | None = None,
) -> Run:
    """Carry out a whole run and return its folder.

    `cache` has what other runs have read and tokenised.

    Raises `InputError` before any weight is loaded when something cannot work, and
    `RunFailed` when training or its proof fails; the folder then says why.
    """
    with _beginning(observer) as observer:
        with phase("data"):
            before = unfinished_before(config)
            prepared = prepare_in_folder(config, observer.working, cache)
        if before is not None:
            observer.noted(f"another run of this config is unfinished: {resume_line(before)}")
        settle = partial(_write_start, config, command)
        return _within(begun(Path(str(prepared.config.output_dir))), prepared, observer, settle)


def resume_training(
    folder: Path,
    observer: Observer | None = None,
    cache: DataCache | None = None,
    overrides: Collection[str] = (),
    accepted: Collection[str] = (),
) -> Run:
    """Go on with a run that was interrupted, as if it had not been; returns it, finished.

    `overrides` change its config, as `key=value`; `accepted` names keys that may have changed since
    it began, or `data`. Raises `InputError` where it cannot go on, and `RunFailed` as
    `run_training` does.
    """
    with _beginning(observer) as observer:
        run = Run.open(folder)
        with owned(folder) if distributed.is_main() else nullcontext():
            with phase("data"):
                told = observer.noted, observer.working
                left = find_interrupted(run, overrides, accepted, *told, cache)
            entered = _gone_on_with(left, bool(overrides or accepted), observer)
            return _within(entered, left.prepared, observer, as_decided, left.snapshot)


@contextmanager
def _gone_on_with(left: Interrupted, changed: bool, observer: Observer) -> Iterator[Run]:
    """The interrupted run, its status kept true."""
    run, snapshot = left.run, left.snapshot
    with recorded(run):
        begin_again(run, snapshot)
        observer.noted(left.line)
        if changed:
            note_changes(run, left.prepared)
        if snapshot is not None:
            CLOCK.carry(snapshot.numbers["spent"])
        yield run


def extend_training(
    folder: Path, overrides: Collection[str], observer: Observer | None = None
) -> Run:
    """Let a finished run train for longer, into a folder of its own; returns that one, finished.

    Raises `InputError` where nothing is left to train, and `RunFailed` as `run_training` does.
    """
    with _beginning(observer) as observer:
        run = Run.open(folder)
        with phase("data"):
            config = extension_of(run, overrides)
            prepared = prepare(config, observer.working)
            snapshot = start_of_extension(run, prepared, observer.noted)
        settle = partial(_write_start, config, None)
        entered = gone_further_than(run, Path(str(config.output_dir)), snapshot)
        return _within(entered, prepared, observer, settle, snapshot)


@contextmanager
def _beginning(observer: Observer | None) -> Iterator[Observer]:
    """From here on time and memory count, and what takes long is told."""
    told = observer or Observer()
    process_memory.forget_peak()
    CLOCK.begin()
    with telling_waits(told):
        yield told


def train_or_resume(
    config: RunConfig, observer: Observer, command: str | None, cache: DataCache | None
) -> Run:
    """A whole run, or what is left of one of this config that was interrupted in its folder."""
    folder = Path(str(config.output_dir))
    if is_interrupted(folder, config):
        observer.noted(f"the run in {folder} was interrupted, and goes on")
        with allowing_imports():  # the folder says what `config` says
            return resume_training(folder, observer, cache, reporting_as_asked(folder, config))
    return run_training(config, observer, command, cache)


def _within(
    entered: AbstractContextManager[Run],
    prepared: RunPlan,
    observer: Observer,
    settle: Callable[[Run, Session], Session],
    snapshot: Snapshot | None = None,
) -> Run:
    """Carry a run out in its folder. Of several processes all train, the main one alone writes.

    Returns the run when it is written.
    """
    distributed.join_process_group(choose_device(prepared.config.training.device).type)
    require_ranks(prepared)
    if distributed.is_main():
        names = prepared.config.training.report_to
        with (
            entered as run,
            telling_memory("training", saving_memory(prepared)),
            tracking(run, names, observer.noted) as trackers,
        ):
            distributed.from_main(lambda: run.folder)  # the others wait for it
            _carry_out(prepared, run, observer, trackers, settle, snapshot)
        observer.finished(run)
    else:
        run = Run(distributed.from_main(lambda: Path()))
        with stoppable():
            _follow(prepared, run, Observer(), snapshot)
    distributed.from_main(lambda: None)  # nobody leaves before the run is written
    return run


def _follow(prepared: RunPlan, run: Run, observer: Observer, snapshot: Snapshot | None) -> None:
    """What all processes but the main one do: train, and lend it their part of the weights."""
    session = rehearse(auto_tune(load_session(prepared, observer), observer), run, observer)
    retention_steps.help_to_measure(session, observer)
    _tune(session, run, observer, snapshot)
    whole_again(session, observer)


def _carry_out(
    prepared: RunPlan,
    run: Run,
    observer: Observer,
    trackers: Tracking,
    settle: Callable[[Run, Session], Session],
    snapshot: Snapshot | None = None,
) -> None:
    """From the weights on. `settle` is called where all is decided and no step is taken."""
    held = process_memory.held_at_start(choose_device(prepared.config.training.device).type)
    with phase("load"):
        loaded = load_session(prepared, observer)
    with phase("probe"):
        session = settle(run, rehearse(auto_tune(loaded, observer), run, observer))
    trackers.begin(snapshot.step if snapshot is not None else 0)
    require_space_to_train(session, run)
    base = retention_steps.measure_base(session, observer)
    try:
        with phase("train"):
            outcome = _tune(session, run, observer, snapshot, trackers.told)
    except NotFinite as error:
        for line in note_divergence(run, error).lines:
            observer.noted(line)
        raise
    with phase("train"):
        session = whole_again(session, observer)
        if (told := restore_best(session.model, run, outcome.best_step)) is not None:
            observer.noted(told)
        finished = retention_steps.finish_protections(session, base, observer)
    trained = _save_and_prove(session, run, outcome)
    kept = retention_steps.measure_retention(trained, base, observer)
    evaluated = evaluate_run(trained, run, observer)
    evaluated["cost"]["memory_at_start_bytes"] = held
    results = {**evaluated, **kept, **finished, "proof": trained.proof}
    keep_newest(run.snapshots, 1)  # what an extension would go on from
    diagnosis = diagnose_run(run, cast(KnownSoFar, results))
    write_results(run, {**results, "diagnosis": diagnosis}, write_run_report)
    trackers.conclude(results)


def _write_start(asked: RunConfig, command: str | None, run: Run, session: Session) -> Session:
    """Everything known before the first step, so that even a killed run explains itself."""
    prepared = session.prepared
    run.write("config.yaml", RUN_CONFIG.stamp(prepared.config.model_dump(mode="json")))
    run.write("data.json", prepared.data.facts.as_dict())
    write_trained_on(prepared.data.train, run.folder)
    environment = {
        **describe_environment(),
        "device": torch.cuda.get_device_name(session.device)
        if session.device.type == "cuda"
        else session.device.type,
        "precision": session.precision,
        "threads": torch.get_num_threads(),
        "data_fingerprint": prepared.data.facts.fingerprint,
        "base_fingerprint": session.origin.fingerprint,
        "seed": prepared.config.training.seed,
        "command": command,
    }
    run.write("environment.json", environment)
    write_decisions(run, session, asked)
    return session


def _tune(
    session: Session,
    run: Run,
    observer: Observer,
    snapshot: Snapshot | None = None,
    tell: Callable[[Line], object] = lambda row: None,
) -> Outcome:
    """Hand everything to the engine; a snapshot is what training goes on from.

    `tell` hears of every line of metrics.jsonl.
    """
    trainable = trained_weights(session.model, session.groups)
    best = BestWeights(run.checkpoints, SNAPSHOTS)

    def keep(step: int, scores: dict[str, Any]) -> None:
        numbers = {name: value for name, value in scores.items() if isinstance(value, (int, float))}
        weights = on_main(trainable)
        if distributed.is_main():
            best.keep(step, weights, {"validation": numbers})

    def save(found: Snapshot) -> None:
        save_snapshot(run, found)
        best.pin(found.numbers["validator"]["best_step"])

    if snapshot is not None:
        best.pin(snapshot.numbers["validator"]["best_step"])
    recorder = Recorder(run, session.config.training.logging_steps, tell)
    listeners = [recorder, observer]
    job = session.job(
        keep,
        diagnosing_listener(listeners if distributed.is_main() else [], run, session.metric),
        run.folder,
        retention_steps.guards(session, observer),
    )
    job = replace(job, save=save, study=partial(save_study, run), start=snapshot)
    if session.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(session.device)
    return fit(session, job)


@phase("save")
def _save_and_prove(session: Session, run: Run, outcome: Outcome) -> TrainedSession:
    """Write the artifact, load it afresh, and compare."""
    prepared, strategy = session.prepared, session.config.strategy
    moved = compare_weights(session.model, session.before)
    strategy.finish(session.model)
    finished = session.problem.measured(session.outputs_of).finish(session.model)
    validation = prepared.examples["validation"]
    some = list(range(min(EXAMPLES, len(validation))))
    problem, records = finished.saved_as(prepared.tokenizer, validation.records.take(some))
    if problem.responder is not None:
        problem.responder.settle(session.model, prepared.tokenizer)
    manifest, config = session.manifest(problem), prepared.head.config
    artifact = Artifact(session.model, prepared.tokenizer, config, manifest)
    artifact_bytes = save_artifact(artifact, run.model)
    few = problem.codec.encode(prepared.tokenizer, records, prepared.max_length)
    outputs = predict_outputs(
        session.model,
        problem,
        few,
        prepared.pad_id,
        EXAMPLES,
        autocast(session.precision_in_use, session.device),
    )
    with phase("proof"):
        where = run.model, records, session.device, prepared.config.model.trust_remote_code
        proof = prove(moved, session.before, outputs, *where).as_dict()
    state = {**vars(session), "problem": finished}
    return TrainedSession(**state, outcome=outcome, artifact_bytes=artifact_bytes, proof=proof)
