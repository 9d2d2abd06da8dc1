"""Stages of a pipeline as runs, checked before the first one starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from welltuned.artifact.manifest import (
    ArtifactManifest,
    find_artifact,
    is_adapter,
    is_artifact,
)
from welltuned.config import RunConfig
from welltuned.data.records import Records
from welltuned.engines.config import TrainingConfig
from welltuned.engines.device import choose_device
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.models.loading import read_model_config
from welltuned.models.quantization import quantization_faults
from welltuned.rlhf.config import RlhfConfig
from welltuned.rlhf.policy import check_policy as check_strategies
from welltuned.rlhf.policy import head_of
from welltuned.rlhf.prompt_columns import PromptColumns, readers, require_cells
from welltuned.rlhf.prompt_splits import collect_prompts
from welltuned.rlhf.prompts import room_for
from welltuned.rlhf.resume import is_finished
from welltuned.rlhf.rewards import JudgeSource, RewardSource
from welltuned.rlhf.rewards.models import classifier_labels, label_number, verdict_of
from welltuned.rlhf.stage_config import Stage
from welltuned.runs import Run
from welltuned.strategies import Strategy, default_strategy
from welltuned.tasks import JUDGE_TASK, Problem
from welltuned.training.output_folder import require_space
from welltuned.training.preparation.checks import refuse_quantized_base
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.optimizer_trial import check_optimizer
from welltuned.training.preparation.prepare import RunPlan, prepare
from welltuned.training.trackers import check_trackers

T = TypeVar("T")


def sft_run(config: RlhfConfig, folder: Path) -> RunConfig:
    """Supervised fine-tuning as an ordinary run."""
    stage = config.sft
    return RunConfig(
        model=stage.model or config.model,
        data=stage.data or config.data,
        task=config.task,
        strategy=_strategy(config),
        training=_training(config, stage),
        evaluation=stage.evaluation,
        engine=stage.engine,
        report=config.report,
        output_dir=str(folder),
    )


def _strategy(config: RlhfConfig) -> Strategy:
    """Of SFT or, where that is skipped, of the only stage that trains the model."""
    own = config.rl.strategy if config.skips_sft else config.sft.strategy
    return own or config.strategy or default_strategy()


def _training(config: RlhfConfig, stage: Stage) -> TrainingConfig:
    """A stage's own, which reports to the pipeline's trackers unless it names others."""
    own = stage.training
    return own.model_copy(update={"report_to": own.report_to or config.training.report_to})


def reward_runs(config: RlhfConfig, folder: Path) -> list[RunConfig | None]:
    """For each judge the run that trains it; None where it is finished or needs none.

    One goes into `folder` itself, several into `folder-1`, `folder-2`, …
    """
    trained = [source for source in config.reward if source.kind == "trained"]
    places = {
        id(source): folder if len(trained) == 1 else folder.with_name(f"{folder.name}-{number}")
        for number, source in enumerate(trained, 1)
    }
    return [
        _reward_run(config, source, places[id(source)])
        if isinstance(source, JudgeSource) and source.kind == "trained"
        else None
        for source in config.reward
    ]


def _reward_run(config: RlhfConfig, source: JudgeSource, folder: Path) -> RunConfig:
    assert source.data is not None
    return RunConfig(
        model=source.model or config.model,
        data=source.data,
        task=source.task or JUDGE_TASK,
        strategy=source.strategy or config.strategy or default_strategy(),
        training=_training(config, source),
        evaluation=source.evaluation,
        engine=source.engine,
        report=config.report,
        output_dir=str(folder),
    )


# --- Refusals --------------------------------------------------------------------


def check_stages(config: RlhfConfig, folder: Path, cache: DataCache) -> list[str]:
    """Raise `InputError` with everything in any stage that cannot work; else what to note.

    No weight is loaded; data are read, so that a fault in the last stage's shows before
    the first has run for hours.
    """
    faults = Faults()
    check_trackers(config.training.report_to, faults)
    if config.rl.optim != "adamw" or config.rl.optim_args:
        _check_optimizer(config, faults)
    stages = folder / "stages"
    notes: list[str] = []
    problem = _try(lambda: _check_policy(config, stages, cache), faults)
    labels = problem.labels if problem is not None and problem.actions == "label" else ()
    _try(lambda: _check_rewards(config, stages, labels, notes, cache), faults)
    if problem is not None and readers(config):
        _try(lambda: _check_columns(config, problem, cache), faults)
    faults.raise_if_any()
    return notes


def _check_optimizer(config: RlhfConfig, faults: Faults) -> None:
    """What the optimizer of the last stage refuses, or has no default for."""
    keys = ("optim", "optim_args", "learning_rate", "lr_scheduler_type", "weight_decay")
    asked = TrainingConfig.model_validate({key: getattr(config.rl, key) for key in keys})
    found = Faults()
    check_optimizer(asked, found)
    faults.extend(fault.at(Place("rl.optim")) for fault in found)


def _try(make: Callable[[], T], faults: Faults) -> T | None:
    try:
        return make()
    except InputError as error:
        known = {str(fault) for fault in faults}
        faults.extend(fault for fault in error.faults if str(fault) not in known)
        return None


def _check_policy(config: RlhfConfig, stages: Path, cache: DataCache) -> Problem:
    """What the policy starts from, and what it is asked."""
    if config.skips_sft or config.sft.run is None:
        prepared = prepare(sft_run(config, stages / "sft"), cache=cache)
        require_space(prepared.config, prepared.anatomy, stages)
        problem, max_length = prepared.problem, prepared.max_length
    else:
        manifest = ArtifactManifest.read(Run.open(config.sft.run).proven_model())
        problem, max_length = manifest.problem, manifest.max_length
    place = Place(config.sft.run or config.data.train)
    if problem.type != config.task.type:
        raise InputError(_another_task(problem, config, place))
    if problem.responder is not None and problem.prompter is None:
        raise InputError(
            Fault(
                "rlhf.encoder_decoder_unsupported",
                "a policy goes on from its prompt, and an encoder-decoder begins anew behind it",
                place,
                "use a decoder such as Llama, or a classifier",
            )
        )
    if problem.actions is None:
        raise InputError(
            Fault(
                "rlhf.policy_without_actions",
                "a policy chooses one label, and these data have several per text, or numbers",
                place,
                "give data, or a run, with one label per text",
            )
        )
    if problem.actions == "text":
        room_for(max_length, config.rl.response_length)
    _check_strategies(config)
    _check_quantization(config)
    if config.rl.data is not None or config.sft.data is not None or config.sft.run is not None:
        collect_prompts(config.rl.data or config.data, problem, cache)
    return problem


def _another_task(problem: Problem, config: RlhfConfig, place: Place) -> Fault:
    return Fault(
        "rlhf.sft_run_of_another_task",
        "the SFT run does {found}, not {task}",
        place,
        "set task to {type}, or name another run",
        found=problem.title,
        task=config.task.type,
        type=problem.type,
    )


def _check_strategies(config: RlhfConfig) -> None:
    if config.skips_sft:
        return  # the run of `_check_policy` has been checked with the last stage's own strategy
    if config.sft.run is None:
        theirs = config.sft.strategy or config.strategy or default_strategy()
        whole, place = theirs.saves_whole_model, Place("sft.strategy")
    else:
        folder = Run.open(config.sft.run).proven_model()
        theirs, whole = ArtifactManifest.read(folder).strategy, not is_adapter(folder)
        place = Place(config.sft.run)
    check_strategies(theirs, whole, config.rl.strategy or config.strategy or theirs, place)


def _check_quantization(config: RlhfConfig) -> None:
    """What cannot be had of a finished run's model in the bits that are asked for."""
    if config.skips_sft or config.sft.run is None or config.model.quantization is None:
        return
    folder = Run.open(config.sft.run).proven_model()
    before = ArtifactManifest.read(folder)
    strategy = config.rl.strategy or config.strategy or before.strategy
    faults = list(refuse_quantized_base(config.model, strategy))
    device = choose_device(config.rl.device).type
    faults += quantization_faults(config.model, head_of(folder, before)[1], device)
    if faults:
        raise InputError(faults)


def _check_rewards(
    config: RlhfConfig,
    stages: Path,
    labels: Sequence[str],
    notes: list[str],
    cache: DataCache,
) -> None:
    faults = Faults()
    second = [config.rl.second_reward] if config.rl.second_reward is not None else []
    for source in (*config.reward, *second):
        _try(lambda source=source: _check_source(source), faults)  # type: ignore[misc]
    if any(source.kind == "trained" for source in second):
        faults.add(
            "rlhf.second_reward_untrained",
            "'rl.second_reward' has data to train on, but only 'reward' is trained here",
            None,
            "train it as a run of its own, and name that run's folder",
        )
    _try(lambda: _check_runs(config, stages, labels, notes, cache), faults)
    faults.raise_if_any()


def _check_columns(config: RlhfConfig, problem: Problem, cache: DataCache) -> None:
    """What rewards read beside prompts and responses."""
    faults, columns = Faults(), PromptColumns.read(config, cache)
    data = collect_prompts(config.rl.data or config.data, problem, cache)
    require_cells(config, data, columns, faults)
    faults.raise_if_any()


def _check_runs(
    config: RlhfConfig,
    stages: Path,
    labels: Sequence[str],
    notes: list[str],
    cache: DataCache,
) -> None:
    faults = Faults()
    runs = reward_runs(config, stages / "reward")
    for source, run in zip(config.reward, runs, strict=True):
        if run is None or is_finished(Path(str(run.output_dir))):
            continue
        prepared = _try(partial(_check_run, run, source, stages, cache), faults)
        if prepared is not None and reads_prompts(prepared.problem) and labels:
            notes.extend(_try(partial(unjudged, prepared.data.train, labels), faults) or [])
    faults.raise_if_any()


def _check_run(run: RunConfig, source: RewardSource, stages: Path, cache: DataCache) -> RunPlan:
    prepared = prepare(run, cache=cache)
    require_space(run, prepared.anatomy, stages)
    if (verdict := prepared.problem.verdict) is not None and not verdict.reads_prompts:
        assert isinstance(source, JudgeSource), "nothing else is trained"
        label_number(verdict.labels, source, run.data.train)
    return prepared


def reads_prompts(problem: Problem) -> bool:
    """Whether the problem judges responses to prompts, and not texts by themselves."""
    return problem.verdict is not None and problem.verdict.reads_prompts


def unjudged(judged: Records, labels: Sequence[str]) -> list[str]:
    """A note on labels that no judgement is about, which the judge knows by their names alone.

    Raises `InputError` when that is all of them: a classifier's responses are its labels'
    names, and rewards learned of other words would steer it anywhere.
    """
    seen = {str(said).strip() for responses in judged["responses"] for said in responses}
    missing = [label for label in labels if label.strip() not in seen]
    if len(missing) == len(labels):
        raise InputError(
            Fault(
                "rlhf.judged_responses_not_labels",
                "no judged response is one of the policy's labels ({labels}): they are {found}",
                judged.place(0),
                "write the labels' names as responses",
                labels=", ".join(labels[:5]),
                found=", ".join(map(repr, sorted(seen)[:3])),
            )
        )
    if not missing:
        return []
    return [f"no judgement is about the label{'s' * (len(missing) > 1)} {', '.join(missing)}"]


def _check_source(source: RewardSource) -> None:
    """A reward that is not trained here."""
    source.require()
    if not isinstance(source, JudgeSource):
        return
    if source.kind == "run":
        problem = ArtifactManifest.read(find_artifact(str(source.run))).problem
        verdict = verdict_of(problem, Path(str(source.run)))
        if not verdict.reads_prompts:
            label_number(verdict.labels, source, str(source.run))
    elif source.kind == "model":
        assert source.model is not None
        if is_artifact(Path(source.model.location).expanduser()):
            return
        read_model_config(source.model)
        names, _ = classifier_labels(source.model)
        label_number(names if len(names) > 1 else (), source, source.model.name)
