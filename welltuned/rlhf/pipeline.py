"""RLHF pipeline: supervised fine-tuning, reward model, RL stage, each an ordinary run.

    runs/NAME/  config.yaml, status.json, results.json, report.html     the whole story
                stages/sft, stages/reward, stages/rl                    the runs

A stage that has finished is kept: started again on the same folder, the pipeline goes on
after it. Whatever a finished stage was made with must not have changed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from welltuned.config import RunConfig
from welltuned.engines import distributed
from welltuned.engines.memory_faults import lower, telling_memory
from welltuned.errors import Fault, InputError
from welltuned.reports.rlhf import write_pipeline_report
from welltuned.rlhf.config import RlhfConfig
from welltuned.rlhf.resume import begin, goes_on, is_finished, place, put_aside
from welltuned.rlhf.reward_set import judged_in, require_knowledge
from welltuned.rlhf.rewards import RewardSource
from welltuned.rlhf.rl_stage import run_rl_stage
from welltuned.rlhf.stages import check_stages, reward_runs, sft_run
from welltuned.runs import Run
from welltuned.runs.ownership import owned
from welltuned.runs.phases import phase
from welltuned.runs.status import begun, recorded
from welltuned.training import train as pipeline
from welltuned.training.decisions import is_interrupted
from welltuned.training.observer import Observer
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.resume import begin_again, newest_snapshot
from welltuned.training.waits import telling_waits

STAGES = ("sft", "reward", "rl")


def run_pipeline(
    config: RlhfConfig,
    observer: Observer | None = None,
    command: str | None = None,
    cache: DataCache | None = None,
) -> Run:
    """Carry out the pipeline, or what is left of it, and return its folder.

    Raises `InputError` before any weight is loaded when something cannot work, and
    `RunFailed` when a stage fails; what was finished by then stays, and is not run again.
    """
    observer, cache = observer or Observer(), cache or DataCache()
    if distributed.processes() > 1:
        raise InputError(
            Fault(
                "rlhf.several_processes",
                "an RLHF pipeline runs in one process",
                None,
                "start it without torchrun",
            )
        )
    with telling_waits(observer):
        config = place(config)
        with phase("data"):
            notes = check_stages(config, Path(str(config.output_dir)), cache)
        run = begin(config)
        for note in notes:
            observer.noted(note)
        with owned(run.folder), recorded(run):
            sft = _sft(config, run, observer, command, cache)
            sources = _rewards(config, run, observer, command, cache)
            if not config.rl.allow_weak_reward:
                require_knowledge(sources)
            _rl(config, run, sft, sources, observer, command, cache)
            run.write("results.json", _results(config, run, sft, sources))
            write_pipeline_report(run)
    observer.finished(run)
    return run


def _sft(
    config: RlhfConfig, run: Run, observer: Observer, command: str | None, cache: DataCache
) -> Path | None:
    """The model folder that the policy starts from; None for the pretrained model itself."""
    if config.skips_sft:
        return None
    if config.sft.run is not None:
        return Run.open(config.sft.run).proven_model()
    stage = sft_run(config, _stage(run, "sft"))
    return _train(stage, "supervised fine-tuning", observer, command, cache).model


def _rewards(
    config: RlhfConfig, run: Run, observer: Observer, command: str | None, cache: DataCache
) -> list[tuple[RewardSource, Path | None]]:
    """Every judge with the run it was trained in, if it was."""
    asked = reward_runs(config, _stage(run, "reward"))
    sources: list[tuple[RewardSource, Path | None]] = []
    for source, one in zip(config.reward, asked, strict=True):
        folder = None
        if one is not None:
            folder = _train(one, "reward model", observer, command, cache).folder
        sources.append((source, folder))
    return sources


def _train(
    config: RunConfig, title: str, observer: Observer, command: str | None, cache: DataCache
) -> Run:
    """An ordinary run, unless it has finished already."""
    folder = Path(str(config.output_dir))
    if is_finished(folder):
        observer.noted(f"{title}: already finished, in {folder}")
        return Run(folder)
    observer.noted(f"{title}: {folder}")
    if not is_interrupted(folder, config):
        put_aside(folder, observer.noted)
    return pipeline.train_or_resume(config, observer, command, cache)


def _rl(
    config: RlhfConfig,
    run: Run,
    sft: Path | None,
    sources: list[tuple[RewardSource, Path | None]],
    observer: Observer,
    command: str | None,
    cache: DataCache,
) -> None:
    folder = _stage(run, "rl")
    if is_finished(folder):
        observer.noted(f"{config.rl.title}: already finished, in {folder}")
        return
    observer.noted(f"{config.rl.title}: {folder}")
    parts = observer, command, cache
    if goes_on(folder, config):
        stage = Run(folder)
        with owned(folder), recorded(stage), telling_memory("training", _saving_memory(config)):
            snapshot = newest_snapshot(stage, observer.noted)
            begin_again(stage, snapshot)
            run_rl_stage(config, sft, sources, stage, *parts, snapshot)
        return
    put_aside(folder, observer.noted)
    with begun(folder) as stage, telling_memory("training", _saving_memory(config)):
        run_rl_stage(config, sft, sources, stage, *parts)


def _saving_memory(config: RlhfConfig) -> list[str]:
    return [
        *lower("rl.per_device_train_batch_size", config.rl.per_device_train_batch_size),
        *lower("rl.rollout_batch_size", config.rl.rollout_batch_size),
    ]


def _stage(run: Run, name: str) -> Path:
    return run.folder / "stages" / name


def _results(
    config: RlhfConfig,
    run: Run,
    sft: Path | None,
    sources: list[tuple[RewardSource, Path | None]],
) -> dict[str, Any]:
    """The story in numbers: those of the last stage, and where each stage's run is."""
    last = Run(_stage(run, "rl"))
    judges = [
        {
            "name": source.name,
            "weight": source.weight,
            "run": _relative(judged_in(source, folder), run),
        }
        for source, folder in sources
    ]
    return {
        **last.results,
        "stages": {
            "sft": _relative(sft.parent, run) if sft is not None else None,
            "reward": judges,
            "rl": _relative(last.folder, run),
        },
        "skipped": [name for name in ("sft",) if config.skips_sft],
    }


def _relative(folder: Path | None, run: Run) -> str | None:
    """As seen from the pipeline's folder, so that the whole can be moved."""
    return os.path.relpath(folder, run.folder) if folder is not None else None
