"""A run before any weight is loaded: data, model and config, each found once and passed on.

    load_data      files → records, and the problem that they pose
    plan_model     a pretrained model's files → tokenizer, head and anatomy
    resolve        what was asked → numbers in place of `auto`
    encode_splits  records → token ids

Each is a pure step; `check_run` is the first three with everything that can be refused, and
`prepare` all four.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from welltuned.config import RunConfig
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records
from welltuned.data.table import SPLITS
from welltuned.errors import Faults, InputError
from welltuned.evaluation.retention_sets import RetentionSets, collect_sets
from welltuned.protection import replayed
from welltuned.protection.checks import read_replay
from welltuned.schema.messages import Message, message
from welltuned.tasks import Examples, Problem
from welltuned.training.preparation.checks import check_parts, check_protection
from welltuned.training.preparation.contrast import (
    check_contrast,
    contrast_notes,
    contrast_of,
    grouped,
    with_label_names,
)
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.defaults import Choice, resolve
from welltuned.training.preparation.encode import (
    Working,
    encode_replay,
    encode_splits,
    fit_max_length,
)
from welltuned.training.preparation.load_data import load_data
from welltuned.training.preparation.model_plan import (
    ModelPlan,
    collecting,
    plan_model,
    read_pretrained,
)
from welltuned.training.preparation.optim import check_optim, choose_optim, optim_of
from welltuned.training.preparation.starting_point import starting_notes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from welltuned.models.anatomy import Anatomy
    from welltuned.models.loading import Head


@dataclass(frozen=True)
class CheckedRun:
    """A validated run, ready to start. Nothing is encoded yet."""

    config: RunConfig
    """With numbers in place of every `auto`, but for what is found by trying the loaded model:
    pooling, precision, `find`, and a batch size of `auto`."""
    data: DataSplits
    problem: Problem
    model: ModelPlan
    max_length: int
    choices: list[Choice | Choice[str]]
    retention: RetentionSets
    """The retention sets."""
    replay_records: Records | None
    """Replay examples, where the config names some."""

    @property
    def metric(self) -> str:
        """The selection metric."""
        return self.config.training.metric_for_best_model

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.model.tokenizer

    @property
    def head(self) -> Head:
        return self.model.head

    @property
    def anatomy(self) -> Anatomy:
        return self.model.anatomy

    @property
    def pad_id(self) -> int:
        return self.model.pad_id


@dataclass(frozen=True)
class RunPlan(CheckedRun):
    """A validated run, with its examples as token ids."""

    examples: dict[str, Examples]
    """By split; without `test` where the config keeps it sealed."""
    replay: Examples | None
    """Replay examples, where the config names some."""

    @cached_property
    def learned(self) -> Examples:
        """The training data: labelled examples, or the groups of them that are contrasted.

        As a step reads them, so that their sizes are those of its batches.
        """
        options, seed = self.config.strategy.contrast, self.config.training.seed
        if options is None:
            return self.labelled.sampled(seed)
        return grouped(self.problem, self.labelled, options, seed)

    @cached_property
    def learned_by(self) -> Problem:
        """The problem whose loss trains: the task's own, or its contrast."""
        options = self.config.strategy.contrast
        if options is None:
            return self.problem
        return contrast_of(self.problem, self.anatomy, options, self.learned)

    @cached_property
    def labelled(self) -> Examples:
        """The task's examples and, where configured, replay examples and the labels' names."""
        options = self.config.strategy.contrast
        if options is None or options.label_template is None:
            return self.with_replay
        told = self.with_replay, options.label_template, self.max_length
        return with_label_names(self.problem, self.tokenizer, *told)

    @cached_property
    def with_replay(self) -> Examples:
        """The task's examples and, where configured, replay examples."""
        train = self.examples["train"]
        shares = [one.replay_share for one in self.config.protection]
        mixed = [share for share in shares if share is not None]
        if not mixed or self.replay is None:
            return train
        before = self.problem.codec.pack(self.replay, self.max_length)
        seed = self.config.training.seed
        return train.join(before.take(replayed(len(train), len(before), mixed[0], seed)))


def prepare(
    config: RunConfig,
    progress: Working = lambda what, done, total: None,
    cache: DataCache | None = None,
) -> RunPlan:
    """Check everything, and encode. Raises `InputError` with all faults found.

    `progress` hears (what, done, total); `cache` has what other runs have read and tokenised.
    Nothing is written, and `output_dir` is not read.
    """
    cache = cache or DataCache()
    return encode_run(check_run(config, cache), cache, progress)


def check_run(config: RunConfig, cache: DataCache, faults: Faults | None = None) -> CheckedRun:
    """Check everything. Raises `InputError` with all faults found.

    `faults` are those that the caller has found already; they are raised with the others.
    """
    faults = Faults() if faults is None else faults
    data = load_data(config, faults, cache)
    pretrained = read_pretrained(config.model, faults)
    if data is None or pretrained is None:
        raise InputError(faults)
    splits = data.splits
    posed = collecting(lambda: config.task.for_family(data.problem, pretrained.trunk), faults)
    problem = posed or data.problem
    model = plan_model(config, pretrained, problem, faults) if posed else None
    if model is None:
        raise InputError(faults)
    splits.facts.notes += starting_notes(model)
    check_parts(config, problem, model, faults)
    check_contrast(config, problem, model.anatomy, splits.train, faults)
    check_optim(config, problem, model.anatomy, len(splits.train), faults)
    read, speaks = cache.read_path, model.speaks
    sets = collect_sets(config.evaluation, splits, config.data, faults, speaks, read)
    before = read_replay(config.data, config.task, problem, splits, sets, faults, read)
    check_protection(config, model, faults)
    max_length = fit_max_length(config, model, faults)
    faults.raise_if_any()
    size = problem, model.anatomy, len(splits.train)
    optim = choose_optim(config.training, config, *size)
    config, choices = resolve(config, *size, max_length)
    config, told = _with_optim(config, optim, choices)
    splits.facts.notes += contrast_notes(config.strategy, problem, model.anatomy, splits.train)
    return CheckedRun(config, splits, problem, model, max_length, told, sets, before)


def _with_optim(
    config: RunConfig, optim: Choice[str] | None, choices: list[Choice]
) -> tuple[RunConfig, list[Choice | Choice[str]]]:
    """The other defaults were chosen for steps, of which L-BFGS takes none."""
    name = optim_of(config.training, optim)
    training = config.training.model_copy(update={"optim": name})
    told: list[Choice | Choice[str]] = [] if name == "lbfgs" else [*choices]
    told += [optim] if optim else []
    return config.model_copy(update={"training": training}), told


def encode_run(
    checked: CheckedRun, cache: DataCache, progress: Working = lambda what, done, total: None
) -> RunPlan:
    """The run with its examples. Raises `InputError` where no example of a split is usable."""
    read = SPLITS if checked.config.evaluation.test else ("train", "validation")
    parts = checked.problem, checked.tokenizer
    examples = encode_splits(*parts, checked.data, checked.max_length, progress, read, cache)
    replay = encode_replay(*parts, checked.replay_records, checked.max_length, cache)
    plan = RunPlan(**vars(checked), examples=examples, replay=replay)
    plan.data.facts.notes += [*plan.retention.notes, *_notes_of_replay(plan)]
    return plan


def _notes_of_replay(plan: RunPlan) -> list[Message]:
    mixed = len(plan.with_replay) - len(plan.examples["train"])
    if not mixed or plan.replay is None:
        return []
    return [
        message(
            "data.replay_mixed",
            "{number:,} examples of {source} are mixed into training ({share:.1%} of an epoch).",
            number=mixed,
            source=plan.replay.records.source,
            share=mixed / len(plan.with_replay),
        )
    ]
