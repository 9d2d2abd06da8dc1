"""`rlhf` as a variant: a pipeline whose first stage equals the other strategies' whole run.

Supervised fine-tuning has the splits, the seed and the budget of the others. The reward model and
reinforcement learning come on top of that, and the comparison says what they cost.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from welltuned.artifact.manifest import find_artifact
from welltuned.config import RunConfig
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records
from welltuned.errors import Faults
from welltuned.evaluation.config import OFF, EvaluationConfig
from welltuned.evaluation.retention_sets import refuse_shared
from welltuned.experiments.comparison.config import CompareConfig
from welltuned.rlhf.config import RlhfConfig
from welltuned.rlhf.prompt_columns import PromptColumns
from welltuned.rlhf.read_config import place_algorithm, place_judges
from welltuned.rlhf.rewards import JudgeSource, RewardSource
from welltuned.rlhf.stage_config import SftStage, StagesTraining
from welltuned.runs.code_version import code_version
from welltuned.schema.document import Document
from welltuned.schema.import_path import load_callable
from welltuned.schema.validation import validate
from welltuned.tasks import JUDGE_TASK
from welltuned.training.preparation.data_cache import DataCache

_UNTOLD: Any = {
    "report": True,
    "training": True,
    "reward": {"__all__": {"training": {"report_to"}}},
}
"""Keys that results do not follow from: how reports are written, and whom stages report to."""
STAGE = ("model", "data", "strategy", "training", "evaluation", "engine")
"""Parts of the first stage that `sft:` may have of its own."""


def first_stage(config: CompareConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    """The first stage of `{type: rlhf, …}`, written as any other strategy is."""
    stage = given["sft"] if isinstance(given.get("sft"), dict) else {}
    strategy = stage.get("strategy") or given.get("strategy") or _strategy_of(config)
    spelled = {"type": strategy} if isinstance(strategy, str) else dict(strategy)
    own = {key: given[key] for key in STAGE if key in given} | {
        key: _over(given.get(key), stage[key]) for key in STAGE if key in stage
    }
    own.pop("strategy", None)
    return {**spelled, **{key: given[key] for key in ("task", "protection") if key in given}, **own}


def _strategy_of(config: CompareConfig) -> dict[str, Any]:
    """The comparison's own, as it was written."""
    written = config.strategy.model_dump(mode="json", exclude_unset=True)
    return {"type": config.strategy.type, **written}


def _over(base: Any, own: Any) -> Any:
    both = isinstance(base, dict) and isinstance(own, dict)
    return {**base, **own} if both else own


def read_pipeline(
    config: CompareConfig,
    given: Mapping[str, object],
    run: RunConfig,
    document: Document,
    faults: Faults,
) -> RlhfConfig | None:
    """The pipeline around a first stage. None when there were faults; they are recorded."""
    before = len(faults)
    _refuse_other_stages(given, run, document, faults)
    if "reward" not in given and not config.reward:
        faults.add(
            "compare.pipeline_without_reward",
            "'rlhf' has no reward: it learns from ratings, preferences or another reward",
            document.place(("strategy",)),
            "add reward: {{data: ratings.jsonl}}",
        )
    if len(faults) > before:
        return None
    own = Document(dict(given), document.places, document.source)
    place_algorithm(own)
    given = own.values
    values = {
        **{key: value for key, value in given.items() if key not in (*STAGE, "protection")},
        "sft": {k: v for k, v in given.get("sft", {}).items() if k == "strategy" or k not in STAGE},
        "model": run.model,
        "data": run.data,
        "task": run.task,
        "strategy": _policy_strategy(config, given, run),
        "reward": given.get("reward", config.reward),
        "rl": _algorithm(config, given.get("rl", {}), run),
    }
    values.pop("type")
    place_judges(document, ("reward",))
    return validate(RlhfConfig, Document(values, document.places, document.source), faults)


def _algorithm(config: CompareConfig, given: Any, run: RunConfig) -> Any:
    """The comparison's own with the variant's options, or another; on the other runs' device."""
    given = {"type": given} if isinstance(given, str) else given
    shared = config.rl.model_dump(mode="json", exclude_unset=True) | {"type": config.rl.type}
    if given.get("type", shared["type"]) == shared["type"]:
        given = {**shared, **given}
    if given.get("device", "auto") == "auto" and run.training.device != "mps":
        given = {**given, "device": run.training.device}
    return given


def _policy_strategy(config: CompareConfig, given: Mapping[str, Any], run: RunConfig) -> Any:
    """That of all stages; the first one may have its own beside it."""
    stage = given.get("sft", {})
    if not stage.get("strategy"):
        return run.strategy
    asked = given.get("strategy") or _strategy_of(config)
    return {"type": asked} if isinstance(asked, str) else asked


def _refuse_other_stages(
    given: Mapping[str, Any], run: RunConfig, document: Document, faults: Faults
) -> None:
    """What would make the first stage another than the strategies it is compared with."""
    place = document.place(("strategy",))
    if not isinstance(given.get("sft", {}), dict):
        faults.add(
            "compare.pipeline_without_training",
            "'sft: {given}' trains nothing, but the other strategies have a budget to train with",
            place,
            "remove it: the first stage then trains as the other strategies do",
            given=given["sft"],
        )
    if run.protection:
        faults.add(
            "compare.pipeline_unprotected",
            "'protection' does not cover RL, so 'rlhf' would not be protected as the others are",
            place,
            "leave out either rlhf or the protection",
        )
    if run.data.folds is not None:
        faults.add(
            "compare.pipeline_with_folds",
            "'rlhf' is not cross-validated: its judges and prompts have data of their own",
            place,
            "leave out either rlhf or data.folds",
        )
    if "." in run.engine:
        faults.add(
            "compare.pipeline_engine_unsupported",
            "a pipeline's stages do not support 'engine: {engine}'",
            place,
            "give rlhf an engine of its own: torch, or hf",
            engine=run.engine,
        )


def whole(pipeline: RlhfConfig, run: RunConfig) -> RlhfConfig:
    """The pipeline with this run as its first stage, and its seed in every stage."""
    seed = run.training.seed
    stage = SftStage(
        strategy=run.strategy,
        training=run.training,
        evaluation=EvaluationConfig(untrained=False, retention=(OFF,)),
        engine="hf" if run.engine == "hf" else "torch",
    )
    shared = run.strategy if pipeline.sft.strategy is None else pipeline.strategy
    return pipeline.model_copy(
        update={
            "model": run.model,
            "data": run.data,
            "task": run.task,
            "strategy": shared,
            "sft": stage,
            "reward": tuple(_seeded(source, seed) for source in pipeline.reward),
            "rl": pipeline.rl.model_copy(update={"seed": seed}),
            "training": StagesTraining(report_to=run.training.report_to),
            "report": run.report,
            "output_dir": run.output_dir,
        }
    )


def _seeded(source: RewardSource, seed: int) -> RewardSource:
    if not isinstance(source, JudgeSource) or source.kind != "trained":
        return source
    return source.model_copy(update={"training": source.training.model_copy(update={"seed": seed})})


# --- Before the first cell -----------------------------------------------------------


def check_rlhf_variant(
    pipeline: RlhfConfig, run: RunConfig, data: DataSplits, folder: Path, cache: DataCache
) -> None:
    """Raise `InputError` with everything in any stage that cannot work; no weight is loaded."""
    from welltuned.rlhf.stages import (
        check_stages as check_stages,
    )  # loads torch, and only scouts do that

    check_stages(whole(pipeline, run), folder, cache)
    faults = Faults()
    for what, config, task in _read_besides(pipeline):
        found = cache.splits(config, task, faults)
        if found is not None:
            test, learned = _prompts(data.test), _prompts(found.train)
            where = f"the test split, and {what} is learned from"
            refuse_shared(learned, test, where, run.data.compare_as, faults)
    faults.raise_if_any()


def _read_besides(pipeline: RlhfConfig) -> Iterator[tuple[str, DataConfig, Any]]:
    """Data that only a pipeline reads: the judges' own, and prompts of the policy."""
    for source in pipeline.reward:
        if isinstance(source, JudgeSource) and source.data is not None:
            yield "'reward.data'", source.data, source.task or JUDGE_TASK
    if pipeline.rl.data is not None:
        yield "'rl.data'", pipeline.rl.data, pipeline.task


def _prompts(records: Records) -> Records:
    """Compared by their prompts alone where all have one, and not by what answers them."""
    prompts = records.columns.get("prompt", [])
    asked = bool(prompts) and all(prompt is not None for prompt in prompts)
    return replace(records, input_roles=("prompt",)) if asked else records


def identity(pipeline: RlhfConfig, cache: DataCache) -> list[object]:
    """What a pipeline's results follow from, besides its first stage."""
    contents = [
        collected.facts.fingerprint
        for _, config, task in _read_besides(pipeline)
        if (collected := cache.splits(config, task, Faults())) is not None
    ]
    judges = [_contents(source) for source in pipeline.reward]
    beside = PromptColumns.read(pipeline, cache)
    return [
        pipeline.model_dump(mode="json", exclude=_UNTOLD),
        [*contents, *([beside.fingerprint_with("")] if beside.names else [])],
        judges,
        code_version("rlhf"),
    ]


def _contents(source: RewardSource) -> str:
    """One hash of a reward that was not trained here: its weights, or its source."""
    if not isinstance(source, JudgeSource):
        return ""  # a rule is all in the config
    files: list[Path] = []
    if source.kind == "function":
        files = [Path(inspect.getsourcefile(load_callable(str(source.function), "reward")) or "")]
    elif source.run is not None and source.run and (Path(source.run).expanduser()).is_dir():
        files = sorted(file for file in find_artifact(source.run).iterdir() if file.is_file())
    elif source.kind == "model" and source.model is not None:
        folder = Path(source.model.location).expanduser()
        files = sorted(file for file in folder.glob("*") if file.is_file())
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:32]
