"""Everything that can be known, and refused, before a weight is loaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from welltuned.config import RunConfig, read_run_config
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import DataSplits, collect
from welltuned.data.sources import name_of
from welltuned.data.table import SPLITS
from welltuned.engines import distributed
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.evaluation.retention_sets import RetentionSets, collect_sets
from welltuned.models import loading
from welltuned.protection import CheckContext, replayed
from welltuned.protection.checks import check_protections, encode_replay, read_replay
from welltuned.runs.folder import next_free
from welltuned.schema.document import Document, Part, expand_shorthand, validate
from welltuned.schema.import_path import load_callable
from welltuned.tasks import DEFAULT_TASK, AnyTask, Examples, Problem
from welltuned.training import defaults
from welltuned.training.defaults import Choice

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from welltuned.models.anatomy import Anatomy
    from welltuned.models.loading import Head

T = TypeVar("T")

Working = Callable[[str, int, int], None]
"""Hears of long work: (what, done, total)."""

LONGEST = 512
"""Tokens per example when `max_length: auto` meets a model that takes more."""


@dataclass(frozen=True)
class RunPlan:
    """A run that may start: nothing known stands against it."""

    config: RunConfig
    """With numbers in place of every `auto` but pooling."""
    data: DataSplits
    problem: Problem
    base: PreTrainedConfig
    tokenizer: PreTrainedTokenizerBase
    head: Head
    anatomy: Anatomy
    examples: dict[str, Examples]
    """By split; without `test` where the config keeps it sealed."""
    max_length: int
    choices: list[Choice]
    folder: Path
    retention: RetentionSets
    """On what forgetting is measured."""
    replay: Examples | None
    """Examples of before, where the config names some."""

    @cached_property
    def learned(self) -> Examples:
        """What is learned from: the training examples and, where asked for, some of before."""
        train = self.examples["train"]
        mixing = [one for one in self.config.protection if one.type == "replay"]
        if not mixing or self.replay is None:
            return train
        before = self.problem.codec.pack(self.replay, self.max_length)
        seed = self.config.training.seed
        return train.join(before.take(replayed(len(train), len(before), mixing[0].share, seed)))

    @property
    def pad_id(self) -> int:
        pad = self.tokenizer.pad_token_id
        assert pad is not None, "read_tokenizer sees to it"
        return int(pad)


def load_config(file: str | None, overrides: Iterable[str]) -> RunConfig:
    """The config as a person wrote it.

    Raises `InputError` with all faults: those of the data too, if those can be read.
    """
    faults = Faults()
    config, document = read_run_config(file, overrides, faults)
    if config is None:
        _inspect_data_anyway(document, faults)
        raise InputError(faults)
    return config


def prepare(
    config: RunConfig,
    progress: Working = lambda what, done, total: None,
    encode: bool = True,
) -> RunPlan:
    """Check everything. Raises `InputError` with all faults found.

    `progress` hears (what, done, total). Without `encode` there are no examples: what costs
    most is left out by those who ask only whether a run could start.
    """
    faults = Faults()
    data = collect(config.data, config.task.roles, faults, config.task.convert)
    problem = (
        config.task.bind(data, config.training.label_smoothing_factor, faults)
        if data is not None
        else None
    )
    base = _try(lambda: loading.read_model_config(config.model), faults)
    # Where there is no model, a second fault would only say so again.
    tokenizer = _try(lambda: loading.read_tokenizer(config.model), faults) if base else None
    folder = _output_folder(config, faults)
    if base is None or tokenizer is None or data is None or problem is None:
        raise InputError(faults)
    base.pad_token_id = tokenizer.pad_token_id
    pooling = _first_pooling(config)
    head = _try(lambda: problem.objective.head(base, pooling), faults)
    anatomy = _try(lambda: anatomy_of(head), faults) if head is not None else None
    if anatomy is None or head is None:
        raise InputError(faults)
    faults.extend(config.strategy.check(anatomy))
    _require_metric(config, problem, faults)
    _check_engine(config, faults)
    _require_unpacked(config, faults)
    _require_probed(config, problem, faults)
    has_lm_head = not head.new
    sets = collect_sets(config.evaluation, data, config.data, faults, has_lm_head)
    before = read_replay(config.data, config.task, problem, data, sets, faults)
    setting = CheckContext(config.strategy, anatomy, has_lm_head, config.data.replay is not None)
    check_protections(config.protection, setting, faults)
    max_length = _max_length(config, anatomy, tokenizer, faults)
    _require_space(config, anatomy, folder, faults)
    faults.raise_if_any()
    training, strategy, choices = defaults.resolve(
        config.training, config.strategy, anatomy, len(data.train)
    )
    task = config.task.model_copy(update={"max_length": max_length})
    config = config.model_copy(
        update={"training": training, "strategy": strategy, "task": task, "output_dir": str(folder)}
    )
    read = SPLITS if config.evaluation.test else ("train", "validation")
    examples = encode_splits(problem, tokenizer, data, max_length, progress, read) if encode else {}
    replay = encode_replay(problem, tokenizer, before, max_length)
    prepared = RunPlan(
        config,
        data,
        problem,
        base,
        tokenizer,
        head,
        anatomy,
        examples,
        max_length,
        choices,
        folder,
        sets,
        replay,
    )
    data.facts.notes += [*sets.notes, *(_notes_of_replay(prepared) if encode else [])]
    return prepared


def anatomy_of(head: Head) -> Anatomy:
    """The anatomy of a model that is not loaded."""
    from welltuned.models import anatomy

    return anatomy.examine_anatomy(loading.build_skeleton(head), head.new)


def _inspect_data_anyway(document: Document, faults: Faults) -> None:
    """With a faulty config, look at the data all the same when its own part is right.

    So all faults show at once.
    """
    part = _data_and_task(document)
    if part is None:
        return
    data = collect(part.data, part.task.roles, faults, part.task.convert)
    if data is not None:
        part.task.bind(data, 0.0, faults)


class _DataAndTask(Part):
    data: DataConfig
    task: AnyTask = DEFAULT_TASK


def _data_and_task(document: Document) -> _DataAndTask | None:
    """The data, and the task that reads them: as written or, if that is faulty, its type alone."""
    task = document.values.get("task") or "classification"
    kind = task.get("type", "classification") if isinstance(task, dict) else task
    for tried in (task, {"type": kind}):
        values = expand_shorthand(
            _DataAndTask, {"data": document.values.get("data"), "task": tried}
        )
        part = validate(_DataAndTask, Document(values, source=document.source), Faults())
        if part is not None:
            return part
    return None


def _try(make: Callable[[], T], faults: Faults) -> T | None:
    try:
        return make()
    except InputError as error:
        faults.extend(error.faults)
        return None


def _first_pooling(config: RunConfig) -> str:
    """The pooling as configured or as the model was trained.

    `mean` stands in while a probe has yet to choose.
    """
    if config.task.pooling != "auto":
        return config.task.pooling
    return loading.own_pooling(config.model) or "mean"


def _max_length(
    config: RunConfig, anatomy: Anatomy, tokenizer: PreTrainedTokenizerBase, faults: Faults
) -> int:
    limits = [
        limit for limit in (anatomy.max_length, tokenizer.model_max_length) if limit is not None
    ]
    room = min(limits) - config.strategy.input_positions
    wanted = config.task.max_length
    if wanted == "auto":
        return min(room, LONGEST)
    if wanted > room:
        taken = (
            f" ({config.strategy.input_positions} are taken by the prompt)"
            if config.strategy.input_positions
            else ""
        )
        faults.add(
            f"'task.max_length' is {wanted}, but the model takes {room} tokens{taken}",
            None,
            f"choose at most {room}",
        )
    return wanted


def _check_engine(config: RunConfig, faults: Faults) -> None:
    if config.engine == "hf":
        from welltuned.engines.hf_trainer import check_trainer_arguments

        check_trainer_arguments(config.training, faults)
    elif config.training.trainer or config.training.callbacks:
        what = "'training.trainer' and 'training.callbacks' are for Hugging Face's Trainer"
        faults.add(what, None, "set engine: hf, or remove them")
    elif "." in config.engine:
        _try(lambda: load_callable(config.engine, "engine"), faults)


def _require_unpacked(config: RunConfig, faults: Faults) -> None:
    if config.task.shares_rows and config.strategy.input_positions:
        faults.add(
            f"'task.packing' does not go with strategy '{config.strategy.type}': its vectors "
            "stand before a row, and not before each text in it",
            None,
            "set packing to false, or use prefix or lora",
        )


def _require_metric(config: RunConfig, problem: Problem, faults: Faults) -> None:
    metric = config.training.metric_for_best_model
    if metric != "auto" and metric not in problem.scorer.metric_names:
        faults.add(
            f"there is no validation score '{metric}'",
            None,
            f"training.metric_for_best_model is one of: {', '.join(problem.scorer.metric_names)}",
        )


def _require_probed(config: RunConfig, problem: Problem, faults: Faults) -> None:
    if config.evaluation.probe and problem.linear is None:
        what = f"a linear map cannot answer the task '{problem.title}'"
        faults.add(f"'evaluation.probe': {what}", None, "set evaluation.probe to false")


def _notes_of_replay(prepared: RunPlan) -> list[str]:
    mixed = len(prepared.learned) - len(prepared.examples["train"])
    if not mixed or prepared.replay is None:
        return []
    share = mixed / len(prepared.learned)
    source = prepared.replay.records.source
    return [f"{mixed:,} examples of {source} are mixed into training ({share:.1%} of an epoch)."]


def _output_folder(config: RunConfig, faults: Faults) -> Path:
    if not distributed.is_main():
        return Path(config.output_dir or "runs")
    if config.output_dir is not None:
        folder = Path(config.output_dir).expanduser()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            faults.add(
                "the output folder is already in use",
                Place(str(folder)),
                "choose another output_dir; nothing is ever overwritten",
            )
    else:
        folder = next_free(Path("runs"), usual_name(config))
    parent = next(path for path in (folder, *folder.parents, Path(".")) if path.exists())
    if not os.access(parent, os.W_OK):
        faults.add("no permission to write here", Place(str(parent)), "choose another output_dir")
    return folder


def usual_name(config: RunConfig) -> str:
    """DATA-STRATEGY, for folders that have been given no name."""
    return f"{name_of(config.data.train) or 'data'}-{config.strategy.type}"


def _require_space(config: RunConfig, anatomy: Anatomy, folder: Path, faults: Faults) -> None:
    """Room for the artifact and two checkpoints, each at most the whole model in float32."""
    parent = next(path for path in (folder, *folder.parents, Path(".")) if path.exists())
    whole = config.strategy.type in ("full", "partial", "gradual")
    needed = 4 * anatomy.parameters * 3 if whole else anatomy.parameters
    free = shutil.disk_usage(parent).free
    if free < needed:
        faults.add(
            f"the disk has {free / 1e9:.2f} GB free; the run may need {needed / 1e9:.2f} GB",
            Place(str(parent)),
            "make room, or choose an output_dir on another disk",
        )


def encode_splits(
    problem: Problem,
    tokenizer: PreTrainedTokenizerBase,
    data: DataSplits,
    max_length: int,
    progress: Working = lambda what, done, total: None,
    read: Sequence[str] = SPLITS,
) -> dict[str, Examples]:
    """The splits to be read, as the model reads them, with their lengths noted in the facts."""

    def encoded(split: str) -> Examples:
        def heard(done: int) -> None:
            progress(f"tokenising {split}", done, len(data[split]))

        return problem.codec.encode(tokenizer, data[split], max_length, heard)

    examples = {split: encoded(split) for split in read}
    _note_left_out(examples, max_length, data)
    _note_lengths(examples, max_length, data)
    data.facts.notes += [
        f"{split}: {note}." for split in read for note in problem.codec.notes(examples[split])
    ]
    return {**examples, "train": problem.codec.pack(examples["train"], max_length)}


def _note_left_out(examples: dict[str, Examples], max_length: int, data: DataSplits) -> None:
    """Examples that the task could not use, counted. Raises `InputError` when none is left."""
    for split, part in examples.items():
        if not len(part):
            what = f"no example of {split} has anything to learn within {max_length} tokens"
            remedy = "raise task.max_length, or check the data with `welltuned data`"
            raise InputError(Fault(what, Place(data[split].source), remedy))
        missing = len(data[split]) - len(part)
        if missing > 0:
            data.facts.notes.append(
                f"{split}: {missing:,} examples have nothing to learn within {max_length} tokens "
                "and were left out. task.max_length sets the limit."
            )


def _note_lengths(examples: dict[str, Examples], max_length: int, data: DataSplits) -> None:
    facts = data.facts
    facts.task["max_length"] = max_length
    facts.task["truncated"] = {
        split: int(part.encoded.truncated.sum()) for split, part in examples.items()
    }
    lengths = {split: part.encoded.lengths for split, part in examples.items()}
    facts.task["tokens"] = {
        split: {
            "mean": float(tokens.mean()),
            "median": int(sorted(tokens)[len(tokens) // 2]),
            "greatest": int(tokens.max()),
        }
        for split, tokens in lengths.items()
    }
    for split, number in facts.task["truncated"].items():
        if number:
            share = number / len(lengths[split])
            facts.notes.append(
                f"{split}: {number:,} texts ({share:.1%}) are longer than {max_length} tokens "
                "and were cut. task.max_length sets the limit."
            )
