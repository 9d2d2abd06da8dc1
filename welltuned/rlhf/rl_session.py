"""The RL stage, about to start: everything loaded, every number settled, and written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from welltuned.artifact.manifest import ArtifactManifest, precision_of
from welltuned.artifact.verify import WeightHashes
from welltuned.config import RunConfig
from welltuned.data.load_splits import DataSplits
from welltuned.engines.device import choose_device
from welltuned.models.freezing import trainable_table
from welltuned.rlhf.config import RlhfConfig
from welltuned.rlhf.defaults import batches_of, resolve_rl_defaults
from welltuned.rlhf.learner import Learner
from welltuned.rlhf.policy import Policy, from_run, reference_policy_of
from welltuned.rlhf.prompt_columns import PromptColumns
from welltuned.rlhf.prompt_splits import PromptSplits, collect_prompts, make_actor
from welltuned.rlhf.reward_set import RewardSet
from welltuned.rlhf.rewards import RewardSource
from welltuned.rlhf.weight_sharing import roles, share_weights
from welltuned.runs import Run
from welltuned.runs.environment import describe_environment
from welltuned.schema import versions
from welltuned.schema.messages import render_message
from welltuned.schema.units import size_text
from welltuned.strategies import Strategy, default_strategy
from welltuned.training.observer import Observer
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.defaults import Choice
from welltuned.training.preparation.prepare import prepare
from welltuned.training.session.session import build_model

Sources = Sequence[tuple[RewardSource, Path | None]]
"""Judges, each with the run it was trained in, if it was."""


@dataclass(frozen=True, eq=False)
class RlSession:
    """The RL stage, about to start."""

    config: RlhfConfig
    policy: Policy
    data: DataSplits
    asks: PromptSplits
    judges: RewardSet
    learner: Learner
    choices: list[Choice]
    before: WeightHashes
    memory: dict[str, int]
    saved: int
    """Bytes that judges share with the policy."""
    columns: PromptColumns
    """What rewards read beside prompts and responses."""

    @property
    def data_fingerprint(self) -> str:
        """A hash of all that is read of the data."""
        return self.columns.fingerprint_with(self.data.facts.fingerprint)


def strategy_of(config: RlhfConfig, sft: Path | None) -> Strategy:
    """The policy's: its stage's own, else the pipeline's, else that of the SFT run."""
    chosen = config.rl.strategy or config.strategy
    if chosen is not None:
        return chosen
    return ArtifactManifest.read(sft).strategy if sft is not None else default_strategy()


def make_ready(
    config: RlhfConfig, sft: Path | None, sources: Sources, observer: Observer, cache: DataCache
) -> RlSession:
    """Load everything and settle every number."""
    device = choose_device(config.rl.device)
    strategy = strategy_of(config, sft)
    if sft is not None:
        in_bits = config.model.quantization
        policy = from_run(sft, strategy, device, config.rl.seed, in_bits)
    else:
        policy = _from_pretrained(config, strategy, device, cache)
    data = collect_prompts(config.rl.data or config.data, policy.problem, cache)
    actor = make_actor(policy, config.rl)
    columns = PromptColumns.read(config, cache)
    asks = PromptSplits.of(data, actor, config.rl, cache, columns)
    settled, choices = resolve_rl_defaults(
        config.rl, strategy, policy.anatomy, policy.problem, len(asks.train)
    )
    config = config.model_copy(update={"rl": settled})
    judges = RewardSet.load(sources, settled, policy.problem, device, policy.tokenizer)
    learner = Learner.of(actor, settled, batches_of(settled))
    saved = share_weights(policy.model, judges.models)
    trains = [weight for group in learner.policy_groups for weight in group.parameters]
    notes = [
        *map(render_message, data.facts.said),
        *asks.notes,
        *judges.notes(policy.tokenizer),
        *map(str, choices),
    ]
    for text in notes:
        observer.noted(text)
    observer.loaded(trainable_table(policy.model, policy.anatomy, trains))
    memory = roles(learner, judges.models)
    _tell_memory(memory, saved, observer)
    before = WeightHashes.of(policy.model, learner.policy_groups)
    parts = policy, data, asks, judges, learner, choices, before, memory, saved, columns
    return RlSession(config, *parts)


def _from_pretrained(
    config: RlhfConfig, strategy: Strategy, device: torch.device, cache: DataCache
) -> Policy:
    """The pretrained model itself, prepared as every other run prepares it."""
    run = RunConfig(
        model=config.model,
        data=config.data,
        task=config.task,
        strategy=strategy,
    )
    prepared = prepare(run, cache=cache)
    model, origin = build_model(prepared, device)
    strategy = prepared.config.strategy
    return Policy(
        model,
        reference_policy_of(model, strategy, prepared.anatomy, goes_on=False),
        prepared.tokenizer,
        prepared.head,
        prepared.anatomy,
        ArtifactManifest(
            problem=prepared.problem,
            strategy=strategy,
            base=config.model,
            origin=origin,
            max_length=prepared.max_length,
            precision=precision_of(config.model),
            inputs=prepared.data.train.input_roles,
            columns=prepared.data.facts.columns,
        ),
    )


def _tell_memory(memory: dict[str, int], saved: int, observer: Observer) -> None:
    told = ", ".join(f"{role} {size_text(size)}" for role, size in memory.items())
    shared = f"; judges share {size_text(saved)} with the policy" if saved else ""
    observer.noted(f"memory by role: {told}{shared}")


def write_start(
    ready: RlSession, sft: Path | None, sources: Sources, run: Run, command: str | None
) -> None:
    """Everything known before the first batch, so that even a killed run explains itself."""
    policy, config = ready.policy, ready.config
    judges = [
        {**source.model_dump(mode="json"), "trained_in": str(folder) if folder else None}
        for source, folder in sources
    ]
    run.write(
        "config.yaml",
        {
            versions.KEY: versions.RUN_CONFIG.version,
            "stage": "rl",
            "model": policy.manifest.base.model_dump(mode="json"),
            "data": (config.rl.data or config.data).model_dump(mode="json"),
            "task": config.task.model_dump(mode="json"),
            "strategy": policy.strategy.model_dump(mode="json"),
            "sft": str(sft) if sft is not None else None,
            "reward": judges,
            "rl": config.rl.model_dump(mode="json"),
            "title": config.rl.title,
            "report": config.report.model_dump(mode="json"),
        },
    )
    facts = ready.data.facts
    facts.task = {
        "predictions": policy.problem.scorer.family.name,
        "actions": policy.problem.actions,
        "labels": list(policy.problem.labels),
    }
    run.write("data.json", facts.as_dict())
    device = ready.learner.actor.device
    environment = describe_environment() | {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "precision": policy.precision,
        "threads": torch.get_num_threads(),
        "data_fingerprint": ready.data_fingerprint,
        "base_fingerprint": policy.manifest.origin.fingerprint,
        "seed": config.rl.seed,
        "command": command,
    }
    run.write("environment.json", environment)
