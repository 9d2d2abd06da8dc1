"""Session: the model of a run in its three states, each made from the one before.

LoadedModel     the weights are there, the head is settled, the strategy has prepared them
Session         and every hyper-parameter is a number: it may train
TrainedSession  and it has been trained, saved and proved
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from welltuned.artifact.manifest import ArtifactManifest, Origin, Precision, precision_of
from welltuned.artifact.verify import WeightHashes
from welltuned.config import RunConfig
from welltuned.engines import distributed
from welltuned.engines.config import ResolvedTraining
from welltuned.engines.device import Gain, autocast, choose_device, choose_precision
from welltuned.engines.events import Listener
from welltuned.engines.job import Job, Outcome
from welltuned.engines.memory_faults import lower, telling_memory
from welltuned.evaluation.eval_model import EvalModel
from welltuned.evaluation.predict import predict_outputs
from welltuned.models import loading
from welltuned.models.checksums import weights_fingerprint
from welltuned.models.compat.transformers_api import recompute_activations
from welltuned.models.freezing import trainable_table
from welltuned.models.quantization import QuantizedPart, quantize_base
from welltuned.models.sharding import is_sharded, shard
from welltuned.models.silence import quiet
from welltuned.protection import Guard
from welltuned.runs.phases import phase
from welltuned.runs.results_schema import AutoTuned, ProofRecord, Scores
from welltuned.strategies import Context, ParameterGroup
from welltuned.tasks import Examples, Problem
from welltuned.training.observer import Observer
from welltuned.training.preparation.prepare import RunPlan
from welltuned.training.session.choose_pooling import resolve_pooling
from welltuned.training.session.frozen_blocks import keep_frozen_states
from welltuned.training.session.head_trial import try_head
from welltuned.training.session.output_memo import OutputMemo, weights_key
from welltuned.training.session.precision import probe_precision
from welltuned.training.session.untouched import base_weights, model_name


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """The model before its first step, prepared by the strategy; some numbers may still be open."""

    prepared: RunPlan
    model: nn.Module
    groups: list[ParameterGroup]
    device: torch.device
    precision: str
    problem: Problem
    before: WeightHashes
    origin: Origin
    memo: OutputMemo = field(default_factory=OutputMemo, kw_only=True)
    """Outputs of validation, which all states of the model share."""

    @property
    def config(self) -> RunConfig:
        return self.prepared.config

    @property
    def metric(self) -> str:
        """The selection metric."""
        return self.prepared.metric

    def predict(self, split: str, precision: str, observer: Observer | None = None) -> np.ndarray:
        """Outputs (N, K) for a split, by the model as it is now."""

        @phase("test" if split == "test" else "validate")
        def read() -> np.ndarray:
            return self.predict_examples(self.prepared.examples[split], split, precision, observer)

        if split != "validation":
            return read()
        return self.memo.outputs(weights_key(self.model, self.before.trainable, precision), read)

    def predict_examples(
        self, examples: Examples, what: str, precision: str, observer: Observer | None = None
    ) -> np.ndarray:
        """Outputs (N, K) for examples; `what` tells people which."""
        tell = (
            (lambda done: observer.working(f"reading {what}", done, len(examples)))
            if observer
            else (lambda done: None)
        )
        size = self.config.training.per_device_eval_batch_size
        remedies = [
            *lower("training.per_device_eval_batch_size", size),
            *lower("task.max_length", self.prepared.max_length),
        ]
        with telling_memory(f"evaluating {what}", remedies):
            return predict_outputs(
                self.model,
                self.problem,
                examples,
                self.prepared.pad_id,
                size,
                autocast(precision, self.device),
                tell,
            )

    def score(self, split: str, precision: str) -> Scores:
        """Scores of a split, without intervals."""
        targets = self.prepared.examples[split].targets
        assert targets is not None
        return self.problem.scorer.score(self.predict(split, precision), targets)

    @property
    def training(self) -> ResolvedTraining:
        """Hyper-parameters as an engine reads them."""
        return self.config.training.resolved()

    def job(
        self,
        keep: Callable[[int, Scores], None] = lambda step, scores: None,
        listener: Listener | None = None,
        folder: Path = Path("runs"),
        guards: Sequence[Guard] = (),
    ) -> Job:
        """What an engine is given to train the model as it is now."""

        def keep_best(step: int, scores: Scores) -> None:
            self.memo.keep_last()
            keep(step, scores)

        return Job(
            model=self.model,
            anatomy=self.prepared.anatomy,
            problem=self.prepared.learned_by,
            strategy=self.config.strategy,
            groups=self.groups,
            training=self.training,
            examples=self.prepared.learned,
            pad_id=self.prepared.pad_id,
            precision=self.precision,
            guards=guards,
            validate=lambda: self.score("validation", self.precision),
            keep=keep_best,
            listener=listener or Listener(),
            folder=folder,
        )

    def outputs_of(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """(outputs, targets) of a split, in what the artifact computes in."""
        targets = self.prepared.examples[split].targets
        assert targets is not None
        return self.predict(split, self.precision_in_use), targets

    def subject(self, precision: str) -> EvalModel:
        """The model as it is now, to be examined."""
        prepared = self.prepared
        return EvalModel(
            model=self.model,
            anatomy=prepared.anatomy,
            tokenizer=prepared.tokenizer,
            pad_id=prepared.pad_id,
            max_length=prepared.max_length,
            batch_size=self.config.training.per_device_eval_batch_size,
            has_lm_head=prepared.model.has_lm_head,
            masked=prepared.head.masked,
            precision=lambda: autocast(precision, self.device),
        )

    def base_subject(self, precision: str) -> EvalModel:
        """The base model, to be examined before the first step, in `strategy.base_model`.

        Other runs that start from it find its answers, but for those of a new head, and of sharded
        weights, by which all processes answer together.
        """
        if is_sharded(self.model):
            return self.subject(precision)
        weights = base_weights(self.model, self.before, self.origin)
        name = model_name(
            self.model, self.prepared.anatomy, weights, self.origin.fingerprint, precision
        )
        return replace(self.subject(precision), known_as=name)

    @property
    def precision_in_use(self) -> Precision:
        """The artifact's inference precision.

        It is tested in the same, whatever it was trained in.
        """
        return precision_of(self.config.model)

    def manifest(self, problem: Problem) -> ArtifactManifest:
        """Of the artifact of the tuned model, which is for this problem."""
        return ArtifactManifest(
            problem=problem,
            strategy=self.config.strategy,
            base=self.config.model,
            origin=self.origin,
            max_length=self.prepared.max_length,
            precision=self.precision_in_use,
            inputs=self.prepared.data.train.input_roles,
            columns=self.prepared.data.facts.columns,
        )


@dataclass(frozen=True, eq=False)
class Session(LoadedModel):
    """The model about to train: every hyper-parameter is a number."""

    found: AutoTuned
    """The searches that found some of them, for results.json."""


@dataclass(frozen=True, eq=False)
class TrainedSession(Session):
    """The model after its last step, saved and proved; its problem knows what was measured."""

    outcome: Outcome
    artifact_bytes: int
    proof: ProofRecord


def load_session(prepared: RunPlan, observer: Observer) -> LoadedModel:
    """Load the weights, settle the head, and let the strategy prepare the model.

    Sharded weights are loaded by one process of a machine after another, which keeps its part: so
    the memory of the host has to hold the whole model once.
    """
    config = prepared.config
    torch.use_deterministic_algorithms(config.training.full_determinism)
    device = choose_device(config.training.device)
    shares = config.training.sharding is not None and distributed.processes() > 1
    with distributed.in_turn() if shares else nullcontext():
        prepared = resolve_pooling(prepared, observer)
        observer.prepared(prepared)
        model, origin = build_model(prepared, torch.device("cpu") if shares else device)
        if config.model.quantization is not None:
            observer.noted(QuantizedPart.of(model).told(config.model, prepared.anatomy))
        groups = prepared.config.strategy.parameter_groups(model, prepared.anatomy)
        before = WeightHashes.of(model, groups)
        training = [parameter for group in groups for parameter in group.parameters]
        observer.loaded(trainable_table(model, prepared.anatomy, training))
        if shares:
            shard(model, prepared.anatomy, device)
            groups = prepared.config.strategy.parameter_groups(model, prepared.anatomy)
    prepared, precision = _with_precision(prepared, model, device, observer)
    if config.training.gradient_checkpointing:
        with quiet():
            recompute_activations(model)
    problem = prepared.problem
    loaded = LoadedModel(prepared, model, groups, device, precision, problem, before, origin)
    loaded = with_reference_outputs(loaded, observer)
    keep_frozen_states(loaded, observer)
    return try_head(loaded, observer)


def _with_precision(
    prepared: RunPlan, model: nn.Module, device: torch.device, observer: Observer
) -> tuple[RunPlan, str]:
    """The same plan with the precision in its config, and that precision."""
    config = prepared.config

    def gain() -> Gain:
        if is_sharded(model):
            return Gain(1.0, "one process alone cannot try a step, for the weights are sharded")
        return probe_precision(model, prepared, observer)

    precision, why = distributed.from_main(
        lambda: choose_precision(config.training, config.model.dtype, device, gain)
    )
    observer.noted(f"precision {precision} on {device.type} ({why})")
    training = config.training.model_copy(update={"precision": precision})
    config = config.model_copy(update={"training": training})
    return replace(prepared, config=config), precision


@phase("baseline")
def with_reference_outputs(loaded: LoadedModel, observer: Observer) -> LoadedModel:
    """The base model's output on all examples, where the problem compares with it.

    It is computed once; so tuning costs no second model and knows nothing of strategies.
    """
    problem, prepared = loaded.problem, loaded.prepared
    if not problem.objective.needs_reference:
        return loaded
    ask = loaded.subject if loaded.origin.new else loaded.base_subject
    base, noted = ask(loaded.precision), {}
    with prepared.config.strategy.base_model(loaded.model):
        for split, examples in prepared.examples.items():
            tell = partial(observer.working, f"reference on {split}", total=len(examples))
            outputs = base.outputs(problem, examples, tell)
            noted[split] = problem.objective.with_reference(examples, outputs)
    return replace(loaded, prepared=replace(prepared, examples=noted))


def build_model(prepared: RunPlan, device: torch.device) -> tuple[nn.Module, Origin]:
    """The model as training starts with it, and what it was made from.

    A pure function of config and seed.
    """
    config, seed = prepared.config, prepared.config.training.seed
    loaded = loading.load_model(config.model, prepared.head, prepared.anatomy, seed)
    fingerprint = weights_fingerprint(loaded.model, loaded.new)
    origin = Origin(fingerprint, loaded.new, config.model.gguf_sha256)
    prepared.problem.objective.initialise(loaded.model, loaded.new, seed)
    prepared.problem.codec.fit_model(loaded.model)
    quantize_base(loaded.model, config.model, prepared.anatomy, device)
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
    model: nn.Module = config.strategy.prepare(loaded.model, context)
    for name, parameter in model.named_parameters():
        if config.strategy.ever_trains(name, parameter, prepared.anatomy):
            parameter.data = parameter.data.float()  # half precision cannot hold small updates
    return model.to(device), origin


def before_training(session: LoadedModel) -> LoadedModel:
    """A second model as the first was before any step, built again from the seed."""
    model, _ = build_model(session.prepared, session.device)
    before = replace(session, model=model.eval(), problem=session.prepared.problem)
    keep_frozen_states(before, Observer())
    return before
