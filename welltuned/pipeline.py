"""config -> data -> model -> strategy -> engine -> run -> report."""

from __future__ import annotations

import gc
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from welltuned.artifact import Origin, save_artifact
from welltuned.config import RunConfig
from welltuned.data.batching import padding_fraction
from welltuned.engines import loop
from welltuned.engines.events import Listeners
from welltuned.engines.job import Job, Outcome
from welltuned.engines.precision import autocast, choose_device, choose_precision, matmul_rate
from welltuned.errors import RunFailed, Stopped, WelltunedError
from welltuned.evaluation.predicting import predict, to_device
from welltuned.models import loading
from welltuned.models.freezing import trainable_table
from welltuned.observer import Observer, Recorder
from welltuned.preparation import Prepared, examine, prepare
from welltuned.proof import EXAMPLES, Before, compare_weights, prove
from welltuned.reports.run import write_report
from welltuned.runs import Run
from welltuned.runs.checkpoints import keep_only, load_checkpoint, newest_checkpoint, save_checkpoint
from welltuned.runs.environment import describe_environment
from welltuned.runs.folder import SCHEMA_VERSION
from welltuned.strategies import Context, ParameterGroup
from welltuned.tasks import Problem


def train(config: RunConfig, observer: Observer | None = None, command: str | None = None) -> Run:
    """Carry out a whole run and return its folder.

    Raises `InputError` before any weight is loaded when something cannot work, and
    `RunFailed` when training or its proof fails; the folder then says why.
    """
    observer = observer or Observer()
    prepared = prepare(config, observer.working)
    run = Run.create(prepared.folder)
    with _recorded(run):
        tuning = _load(prepared, observer)
        _write_start(run, tuning, command)
        outcome = _tune(tuning, run, observer)
        _restore_best(tuning, run, observer)
        proof = _save_and_prove(tuning, run)
        results = _evaluate(tuning, run, outcome, observer)
        run.write("results.json", {**results, "proof": proof})
        write_report(run)
    observer.finished(run)
    return run


@dataclass
class _Tuning:
    """The loaded model and everything around it."""

    prepared: Prepared
    model: nn.Module
    groups: list[ParameterGroup]
    device: torch.device
    precision: str
    problem: Problem
    before: Before
    origin: Origin
    artifact_bytes: int = 0

    @property
    def config(self) -> RunConfig:
        return self.prepared.config

    def predict(self, split: str, precision: str, observer: Observer | None = None) -> np.ndarray:
        """Outputs (N, K) for a split, by the model as it is now."""
        examples = self.prepared.examples[split]
        tell = (lambda done: observer.working(f"reading {split}", done, len(examples))) if observer else (lambda done: None)
        return predict(
            self.model,
            self.problem,
            examples,
            self.prepared.pad_id,
            self.config.training.per_device_eval_batch_size,
            autocast(precision, self.device),
            tell,
        )

    def score(self, split: str, precision: str) -> dict[str, Any]:
        """Scores of a split, without intervals."""
        targets = self.prepared.examples[split].targets
        assert targets is not None
        return self.problem.score(self.predict(split, precision), targets)

    @property
    def precision_in_use(self) -> str:
        """What the artifact computes in when it is used: what it is tested in, whatever it was trained in."""
        return "bf16" if self.config.model.dtype == "bfloat16" else "fp32"


def _load(prepared: Prepared, observer: Observer) -> _Tuning:
    """Load the weights, settle the head, and let the strategy prepare the model."""
    config = prepared.config
    torch.use_deterministic_algorithms(config.training.full_determinism)
    device = choose_device(config.training.device)
    prepared = _settle_pooling(prepared, observer)
    observer.prepared(prepared)
    model, origin = _build(prepared, device)
    precision, why = choose_precision(config.training, config.model.dtype, device, lambda: _try_step(model, prepared))
    observer.noted(f"precision {precision} on {device.type} ({why})")
    training = config.training.model_copy(update={"precision": precision})
    prepared = replace(prepared, config=prepared.config.model_copy(update={"training": training}))
    groups = prepared.config.strategy.parameter_groups(model, prepared.anatomy)
    observer.loaded(trainable_table(model, prepared.anatomy, [parameter for group in groups for parameter in group.parameters]))
    if config.training.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]
    return _Tuning(prepared, model, groups, device, precision, prepared.problem, Before.of(model, groups), origin)


def _try_step(model: nn.Module, prepared: Prepared) -> None:
    """A forward and backward pass over a few training examples that leaves nothing behind."""
    examples = prepared.examples["train"]
    some = list(range(min(len(examples), prepared.config.training.per_device_train_batch_size)))
    batch = to_device(prepared.problem.collate(examples, some, prepared.pad_id), next(model.parameters()).device)
    prepared.problem.loss_sum(prepared.problem.outputs(model, batch), batch).backward()
    model.zero_grad(set_to_none=True)


def _settle_pooling(prepared: Prepared, observer: Observer) -> Prepared:
    """Decide `pooling: auto`: as the model was trained, else by a probe on training texts."""
    from welltuned.models.pooling import PROBED, probe_poolings

    task = prepared.config.task
    if task.pooling != "auto":
        return prepared
    pooling, reason = loading.own_pooling(prepared.config.model), "the model's own pooling file"
    if pooling is None:
        observer.working("choosing the pooling", 0, 1)
        model = loading.load_model(prepared.config.model, prepared.head, prepared.anatomy, prepared.config.training.seed).model
        examples = prepared.examples["train"]
        chosen = np.random.default_rng(0).permutation(len(examples))[:PROBED]
        assert examples.targets is not None
        choice = probe_poolings(
            model.base_model,
            prepared.anatomy.kind,
            [examples.encoded[int(i)] for i in chosen],
            examples.targets[chosen],
            examples.targets.dtype == np.float32 and examples.targets.ndim == 1,
            prepared.pad_id,
        )
        pooling, reason = choice.pooling, choice.reason  # type: ignore[assignment]
        observer.working("choosing the pooling", 1, 1)
    observer.noted(f"the head reads {_READS[str(pooling)]} ({reason})")
    head = prepared.problem.head(prepared.base, str(pooling))
    config = prepared.config.model_copy(update={"task": task.model_copy(update={"pooling": pooling})})
    return replace(prepared, config=config, head=head, anatomy=examine(head))


_READS = {"mean": "the mean of all tokens", "first": "the first token", "last": "the last token"}


def _build(prepared: Prepared, device: torch.device) -> tuple[nn.Module, Origin]:
    """The model as training starts with it, a pure function of config and seed; and what it was made from."""
    config, seed = prepared.config, prepared.config.training.seed
    loaded = loading.load_model(config.model, prepared.head, prepared.anatomy, seed)
    origin = Origin(loading.fingerprint(loaded.model, loaded.new), loaded.new)
    examples = prepared.examples["train"]
    some = np.random.default_rng(seed).permutation(len(examples))[:32]
    context = Context(
        anatomy=prepared.anatomy,
        tokenizer=prepared.tokenizer,
        model_name=config.model.location,
        task_type=prepared.problem.peft_task_type,
        seed=seed,
        examples=[examples.encoded[int(i)].tolist() for i in some],
    )
    model = config.strategy.prepare(loaded.model, context)
    for name, parameter in model.named_parameters():
        if config.strategy.ever_trains(name, parameter, prepared.anatomy):
            parameter.data = parameter.data.float()  # half precision cannot hold small updates
    return model.to(device), origin


def _tune(tuning: _Tuning, run: Run, observer: Observer) -> Outcome:
    """Hand everything to the engine."""
    trainable = {name: parameter for name, parameter in tuning.model.named_parameters() if name in tuning.before.trainable}

    def keep(step: int, scores: dict[str, Any]) -> None:
        numbers = {name: value for name, value in scores.items() if isinstance(value, (int, float))}
        keep_only(run.checkpoints, save_checkpoint(run.checkpoints, step, trainable, {"validation": numbers}))

    prepared, training = tuning.prepared, tuning.config.training
    job = Job(
        model=tuning.model,
        anatomy=prepared.anatomy,
        problem=tuning.problem,
        strategy=tuning.config.strategy,
        groups=tuning.groups,
        training=training,
        examples=prepared.examples["train"],
        pad_id=prepared.pad_id,
        precision=tuning.precision,
        validate=lambda: tuning.score("validation", tuning.precision),
        keep=keep,
        listener=Listeners([Recorder(run, training.logging_steps), observer]),
    )
    if tuning.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(tuning.device)
    return loop.train(job)


def _restore_best(tuning: _Tuning, run: Run, observer: Observer) -> None:
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


def _save_and_prove(tuning: _Tuning, run: Run) -> dict[str, Any]:
    """Write the artifact, load it afresh, and compare."""
    prepared, strategy = tuning.prepared, tuning.config.strategy
    moved = compare_weights(tuning.model, tuning.before)
    strategy.finish(tuning.model)
    tuning.problem = tuning.problem.finish(tuning.model)
    tuning.artifact_bytes = save_artifact(
        run.model,
        tuning.model,
        strategy,
        prepared.tokenizer,
        tuning.problem,
        prepared.head,
        tuning.config.model,
        tuning.origin,
        prepared.max_length,
        tuning.precision_in_use,
    )
    validation = prepared.examples["validation"]
    some = list(range(min(EXAMPLES, len(validation))))
    few = tuning.problem.encode(prepared.tokenizer, validation.records.take(some), prepared.max_length)
    outputs = predict(tuning.model, tuning.problem, few, prepared.pad_id, EXAMPLES, autocast(tuning.precision_in_use, tuning.device))
    return prove(moved, tuning.before, outputs, run.model, few, prepared.pad_id, tuning.device).as_dict()


def _evaluate(tuning: _Tuning, run: Run, outcome: Outcome, observer: Observer) -> dict[str, Any]:
    """Read the test split, once, and set the scores beside the baselines and the cost."""
    prepared, problem = tuning.prepared, tuning.problem
    test, train_targets = prepared.examples["test"], prepared.examples["train"].targets
    assert test.targets is not None and train_targets is not None
    outputs = tuning.predict("test", tuning.precision_in_use, observer)
    run.write_lines("predictions.jsonl", _prediction_rows(problem, prepared, outputs))
    results: dict[str, Any] = {
        "test": problem.score(outputs, test.targets, intervals=True),
        "validation": tuning.score("validation", tuning.precision_in_use),
        "baselines": {"majority": problem.baseline(train_targets, test.targets)},
        "parameters": _count_parameters(tuning),
        "cost": _cost(tuning, outcome),
        "training": {"steps": outcome.steps, "epochs": outcome.epochs, "best_step": outcome.best_step, "stopped_early": outcome.stopped_early},
        "choices": [str(choice) for choice in prepared.choices],
        "metric": problem.default_metric if tuning.config.training.metric_for_best_model == "auto" else tuning.config.training.metric_for_best_model,
    }
    if tuning.config.evaluation.untrained:
        results["baselines"]["untrained"] = _score_untrained(tuning, observer)
    return results


def _score_untrained(tuning: _Tuning, observer: Observer) -> dict[str, Any]:
    """The same model with its head as drawn, before any step: built again from the seed."""
    tuning.model = nn.Identity()
    tuning.groups = []
    gc.collect()
    tuning.model, _ = _build(tuning.prepared, tuning.device)
    tuning.problem = tuning.prepared.problem
    targets = tuning.prepared.examples["test"].targets
    assert targets is not None
    return tuning.problem.score(tuning.predict("test", tuning.precision_in_use, observer), targets)


def _prediction_rows(problem: Problem, prepared: Prepared, outputs: np.ndarray) -> Iterator[dict[str, Any]]:
    test = prepared.examples["test"]
    assert test.targets is not None
    inputs = test.records.input_roles
    for i, row in enumerate(problem.describe(outputs)):
        texts = {role: test.records[role][i] for role in inputs}
        yield {"id": test.records.id(i), "label": problem.target_of(test.targets[i]), **row, **texts}


def _count_parameters(tuning: _Tuning) -> dict[str, int]:
    named = [(name, parameter) for name, parameter in tuning.model.named_parameters() if ".original_module." not in name]
    return {
        "total": sum(parameter.numel() for _, parameter in named),
        "trainable": sum(parameter.numel() for group in tuning.groups for parameter in group.parameters),
    }


def _cost(tuning: _Tuning, outcome: Outcome) -> dict[str, Any]:
    lengths = tuning.prepared.examples["train"].lengths
    dtype = torch.bfloat16 if tuning.precision == "bf16" else torch.float32
    seconds = max(outcome.seconds, 1e-9)
    return {
        "train_seconds": outcome.seconds,
        "examples_per_second": outcome.examples / seconds,
        "tokens_per_second": outcome.tokens / seconds,
        "padding_fraction": 1 - outcome.tokens / max(outcome.positions, 1),
        "padding_fraction_unsorted": _unsorted_padding(lengths, tuning.config.training.per_device_train_batch_size),
        "peak_memory_bytes": _peak_memory(tuning.device),
        "artifact_bytes": tuning.artifact_bytes,
        "flops": outcome.flops,
        "hardware_efficiency": outcome.flops / seconds / matmul_rate(tuning.device, dtype),
    }


def _unsorted_padding(lengths: np.ndarray, size: int) -> float:
    """What random batches would have wasted, for comparison."""
    order = np.random.default_rng(0).permutation(len(lengths))
    return padding_fraction(lengths, [order[start : start + size] for start in range(0, len(order), size)])


def _peak_memory(device: torch.device) -> int:
    """The most memory held: on a GPU by tensors, else by this process since it started."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _write_start(run: Run, tuning: _Tuning, command: str | None) -> None:
    """Everything known before the first step, so that even a killed run explains itself."""
    prepared = tuning.prepared
    run.write("config.yaml", {"schema_version": SCHEMA_VERSION, **prepared.config.model_dump(mode="json")})
    run.write("data.json", prepared.data.facts.as_dict())
    environment = describe_environment()
    environment |= {
        "device": torch.cuda.get_device_name(tuning.device) if tuning.device.type == "cuda" else tuning.device.type,
        "precision": tuning.precision,
        "threads": torch.get_num_threads(),
        "data_fingerprint": prepared.data.facts.fingerprint,
        "base_fingerprint": tuning.origin.fingerprint,
        "seed": prepared.config.training.seed,
        "command": command,
    }
    run.write("environment.json", environment)


@contextmanager
def _recorded(run: Run) -> Iterator[None]:
    """Keep status.json true, whatever happens; a signal to stop becomes `Stopped`."""
    run.set_status("running")
    with _signals():
        try:
            yield
        except (Stopped, KeyboardInterrupt) as stop:
            run.set_status("stopped", run.status.get("step", 0), str(stop) or "interrupted")
            raise stop if isinstance(stop, Stopped) else Stopped(signal.SIGINT) from None
        except BaseException as error:
            run.set_status("failed", run.status.get("step", 0), f"{type(error).__name__}: {error}")
            if isinstance(error, WelltunedError) or not isinstance(error, Exception):
                raise
            raise RunFailed(f"{type(error).__name__}: {error}") from error
    run.set_status("finished", run.status.get("step", 0))


@contextmanager
def _signals() -> Iterator[None]:
    """Turn SIGTERM into an exception while a run is under way (in the main thread, where signals can be caught)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: object) -> None:
        raise Stopped(number)

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
