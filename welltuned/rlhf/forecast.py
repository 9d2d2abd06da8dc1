"""Cost forecast of a pipeline, stage by stage and role by role, without loading weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import transformers

from welltuned.artifact.manifest import ArtifactManifest, find_artifact
from welltuned.config import RunConfig, run_config_from
from welltuned.engines.config import ResolvedTraining, TrainingConfig
from welltuned.engines.device import choose_device
from welltuned.engines.optimizers.facts import FLOAT
from welltuned.models.loading import Head, build_skeleton
from welltuned.rlhf.algorithms import Algorithm
from welltuned.rlhf.config import RlhfConfig
from welltuned.rlhf.defaults import batches_of, resolve_rl_defaults
from welltuned.rlhf.policy import adapter_can_be_off
from welltuned.rlhf.prompt_splits import collect_prompts
from welltuned.rlhf.resume import place
from welltuned.rlhf.rewards import JudgeSource, RewardSource
from welltuned.rlhf.stages import check_stages, reward_runs, sft_run
from welltuned.runs import Run, process_memory
from welltuned.strategies import Strategy
from welltuned.strategies.base import END
from welltuned.training.forecast.forecast import Forecast, artifact_bytes, forecast_run
from welltuned.training.forecast.limits import Limits
from welltuned.training.forecast.memory import foresee_memory
from welltuned.training.forecast.plan import PlanRow, ResourcePlan, measured
from welltuned.training.forecast.prices import Machine
from welltuned.training.forecast.rehearsal import Rehearsal
from welltuned.training.forecast.step_counts import positions
from welltuned.training.preparation import defaults
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.encode import Working
from welltuned.training.preparation.prepare import RunPlan, prepare

_LOOKS = 2
"""Forward passes over what was sampled, beside the judges': of the policy and its reference."""


def plan_pipeline(config: RlhfConfig, limits: Limits, progress: Working) -> ResourcePlan:
    """Forecast every stage. Raises `InputError` before that when the config cannot work."""
    config, cache = place(config), DataCache()
    check_stages(config, Path(str(config.output_dir)), cache)
    device = choose_device(config.rl.device)
    held, machine = process_memory.held_at_start(device.type), measured(device, progress)
    limits = limits.or_what_is_left(Path(str(config.output_dir)), device, held)
    rows = []
    for name, found in _stages(config, machine, held, cache):
        rows.append(PlanRow(name, True, found, exceeds=limits.exceeded_by(found)))
        progress("rehearsing stages", len(rows), 2 + len(config.reward))
    return ResourcePlan(rows, limits, list(_advise(rows)), machine, "stage")


def _stages(
    config: RlhfConfig, machine: Machine, held: int, cache: DataCache
) -> Iterator[tuple[str, Forecast]]:
    stages = Path(str(config.output_dir)) / "stages"
    policy = prepare(_policy_run(config, stages), cache=cache)
    if not config.skips_sft and config.sft.run is None:
        yield f"sft: {policy.config.strategy.type}", _ordinary(policy, machine, held)
    for run in filter(None, reward_runs(config, stages / "reward")):
        prepared = prepare(run, cache=cache)
        yield f"reward: {prepared.config.strategy.type}", _ordinary(prepared, machine, held)
    found = foresee_rl(config, policy, _judges(config, policy, stages, cache), machine, held, cache)
    yield f"rl: {found.strategy}", found


def _policy_run(config: RlhfConfig, stages: Path) -> RunConfig:
    """The run that makes what the RL stage starts from, or one alike where that is made."""
    if config.sft.run is None or config.skips_sft:
        return sft_run(config, stages / "sft")
    asked = Run.open(config.sft.run).config
    same = {key: asked[key] for key in RunConfig.model_fields if key in asked}
    return run_config_from(same)


def _ordinary(prepared: RunPlan, machine: Machine, held: int) -> Forecast:
    config = prepared.config
    return forecast_run(prepared, config.strategy, config.training.resolved(), machine, held)


# --- Judges ----------------------------------------------------------------------


def _judges(config: RlhfConfig, policy: RunPlan, stages: Path, cache: DataCache) -> int:
    """Bytes of all judges beside the policy."""
    total = 0
    for source, run in zip(config.reward, reward_runs(config, stages / "reward"), strict=True):
        total += (
            _finished_judge(source)
            if run is None
            else _trained_judge(prepare(run, cache=cache), policy, config)
        )
    second = config.rl.second_reward
    return total + (_finished_judge(second) if second is not None else 0)


def _trained_judge(judge: RunPlan, policy: RunPlan, config: RlhfConfig) -> int:
    """Bytes of a judge beside the policy, whose frozen backbone it may share."""
    rehearsal = Rehearsal.of(judge, judge.config.strategy, choose_device(config.rl.device))
    sft = policy.config.strategy
    chosen = config.rl.strategy or config.strategy or sft
    untouched = not chosen.saves_whole_model and (config.skips_sft or not sft.saves_whole_model)
    shares = (
        untouched
        and not judge.config.strategy.saves_whole_model
        and judge.config.model.location == policy.config.model.location
        and judge.config.model.quantization == policy.config.model.quantization
    )
    return FLOAT * rehearsal.trainable if shares else rehearsal.weight_bytes


def _finished_judge(source: RewardSource) -> int:
    """Bytes of a judge that is there already: its skeleton tells how many weights it has."""
    if not isinstance(source, JudgeSource) or source.kind == "function":
        return 0
    auto_class, folder = transformers.AutoModelForSequenceClassification, ""
    if source.kind == "run":
        artifact = find_artifact(str(source.run))
        problem = ArtifactManifest.read(artifact).problem
        auto_class, folder = getattr(transformers, problem.auto_class), str(artifact)
    else:
        assert source.model is not None
        folder = source.model.location
    head = Head(
        auto_class,
        transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False),
        new=False,
    )
    return sum(FLOAT * weight.numel() for weight in build_skeleton(head).parameters())


# --- Reinforcement learning ------------------------------------------------------


def foresee_rl(
    config: RlhfConfig, policy: RunPlan, judges: int, machine: Machine, held: int, cache: DataCache
) -> Forecast:
    """Rollouts, judging and learning, rehearsed on examples as long as prompt and response.

    `judges` are the bytes that all judges take beside the policy.
    """
    asked = config.rl.strategy or config.strategy or policy.config.strategy
    anatomy, problem = policy.anatomy, policy.problem
    _, strategy, _ = defaults.resolve_parts(
        TrainingConfig(), asked, anatomy, len(policy.data.train)
    )
    data = collect_prompts(config.rl.data or config.data, problem, cache)
    algorithm, _ = resolve_rl_defaults(config.rl, strategy, anatomy, problem, len(data.train))
    half = policy.config.model.dtype == "bfloat16"  # the policy computes as the artifact does
    rehearsal = replace(
        Rehearsal.of(policy, strategy, torch.device(machine.key["device"])),
        precision="bf16" if half else "fp32",
    )
    rehearsal.advance(END)
    rows = _rows(policy, algorithm, algorithm.per_device_train_batch_size)
    step = rehearsal.step([rows])
    look = rehearsal.look(policy.learned, _rows(policy, algorithm, algorithm.rollout_batch_size))
    assert algorithm.learning_rate != "auto", "resolved above"
    accumulation = -(-algorithm.batch_size // algorithm.num_mini_batches // len(rows))
    training = ResolvedTraining(
        learning_rate=algorithm.learning_rate,
        metric_for_best_model="reward",
        gradient_accumulation_steps=accumulation,
    )
    memory = foresee_memory(rehearsal, training, (rows, step), look, machine, held)
    roles = {
        "reference": _reference(strategy, policy, config, rehearsal),
        "value": algorithm.needs_values * FLOAT * 4 * (anatomy.hidden_size + 1),
        "reward": judges,
    }
    updates = batches_of(algorithm) * algorithm.passes * algorithm.num_mini_batches
    return Forecast(
        strategy=strategy.type,
        parameters=rehearsal.weights,
        trainable=rehearsal.trainable,
        memory=replace(memory, roles={name: size for name, size in roles.items() if size}),
        precision=rehearsal.precision,
        steps=updates,
        train_seconds=machine.start
        + machine.pace * _seconds(rehearsal, algorithm, rows, machine, updates),
        evaluation_seconds=0.0,
        artifact_bytes=artifact_bytes(rehearsal),
        disk_bytes=artifact_bytes(rehearsal) + 2 * FLOAT * 3 * rehearsal.trainable,
    )


def _rows(policy: RunPlan, algorithm: Algorithm, number: int) -> np.ndarray:
    """Training examples that are about as long as what the policy learns from."""
    lengths = policy.learned.lengths
    wanted = float(np.mean(lengths))
    if policy.problem.actions == "text":
        wanted = algorithm.prompt_length + algorithm.response_length
    return np.argsort(np.abs(lengths - wanted), kind="stable")[:number]


def _reference(
    strategy: Strategy, policy: RunPlan, config: RlhfConfig, rehearsal: Rehearsal
) -> int:
    """A copy of what trains, unless switching the adapter off gives it for nothing."""
    whole = policy.config.strategy.saves_whole_model or strategy.saves_whole_model
    goes_on = not config.skips_sft and not whole
    return 0 if adapter_can_be_off(strategy, goes_on) else FLOAT * rehearsal.trainable


def _seconds(
    rehearsal: Rehearsal, algorithm: Algorithm, rows: np.ndarray, machine: Machine, updates: int
) -> float:
    """Sampling, judging and learning, as `cost.train_seconds` of an RL stage counts them."""
    policy = rehearsal.prepared
    read = rehearsal.look(policy.learned, rows)
    forward, both = machine.seconds(read), machine.seconds(rehearsal.step([rows]))
    episodes = batches_of(algorithm) * algorithm.batch_size
    per_row = (1 + _LOOKS) * forward / len(rows) + algorithm.passes * both / len(rows)
    moving = updates * rehearsal.trainable * machine.adam
    sampling = 0.0
    if policy.problem.actions == "text":
        calls = machine.call * sum(read.operations.values())
        token = read.flops / positions(policy.learned, rows) / machine.flops_per_second
        at_once = min(algorithm.rollout_batch_size, algorithm.batch_size)
        sampling = episodes * algorithm.response_length * (calls / at_once + token)
    return episodes * per_row + moving + sampling


# --- What to change ----------------------------------------------------------------


def _advise(rows: list[PlanRow]) -> Iterator[str]:
    """For every stage that does not fit, the key that makes it smaller or shorter."""
    for row in rows:
        stage = row.name.partition(":")[0]
        key = {"sft": "sft.training.", "reward": "reward.training."}.get(stage, "rl.")
        if "memory" in row.exceeds:
            yield f"{stage} needs less memory with a lower {key}per_device_train_batch_size"
        if "time" in row.exceeds:
            shorter = "total_episodes" if stage == "rl" else "num_train_epochs"
            yield f"{stage} takes less time with a lower {key}{shorter}"
