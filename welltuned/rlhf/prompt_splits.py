"""Prompt splits of an RL stage, and the order of training prompts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from welltuned.data.config import DataConfig
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records
from welltuned.data.table import SPLITS
from welltuned.errors import Faults
from welltuned.rlhf.actors.base import Actor
from welltuned.rlhf.actors.classifier import ClassifierActor, TextPrompts
from welltuned.rlhf.actors.generator import GeneratorActor
from welltuned.rlhf.algorithms import Algorithm
from welltuned.rlhf.defaults import batches_of
from welltuned.rlhf.policy import Policy
from welltuned.rlhf.prompt_columns import PromptColumns
from welltuned.rlhf.prompts import Prompts, room_for
from welltuned.tasks import Problem
from welltuned.training.preparation.data_cache import DataCache


def collect_prompts(data: DataConfig, problem: Problem, cache: DataCache) -> DataSplits:
    """Three splits of records with prompts; labels have to be those that are known.

    Raises `InputError` with all faults.
    """
    faults = Faults()
    collected = cache.splits(data, problem, faults)
    if collected is not None and problem.actions == "label":
        for split in SPLITS:
            problem.codec.read_targets(collected[split], faults)
    faults.raise_if_any()
    assert collected is not None
    return collected


def make_actor(policy: Policy, algorithm: Algorithm) -> Actor:
    """The actor for what the policy does. Raises `InputError` when there is no room to answer."""
    shared = policy, algorithm.temperature, algorithm.rollout_batch_size
    if policy.problem.actions == "label":
        return ClassifierActor(*shared, has_values=algorithm.needs_values)
    room_for(policy.max_length, algorithm.response_length)
    lengths = algorithm.response_length, algorithm.prompt_length
    return GeneratorActor(*shared, *lengths, has_values=algorithm.needs_values)


@dataclass(frozen=True)
class PromptSplits:
    """The prompts of each split, as an actor reads them."""

    train: Any
    validation: Any
    test: Any
    records: dict[str, Records]
    """What they came from."""
    notes: list[str]

    @classmethod
    def of(
        cls,
        data: DataSplits,
        actor: Actor,
        algorithm: Algorithm,
        cache: DataCache | None = None,
        columns: PromptColumns | None = None,
    ) -> PromptSplits:
        """All training prompts, and as many of the others as are looked at."""
        records = {split: data[split] for split in SPLITS}
        sampled = ("validation", "test") if isinstance(actor, GeneratorActor) else ("validation",)
        for split in sampled:
            some = range(min(algorithm.eval_examples, len(records[split])))
            records[split] = records[split].take(some)
        asked = {split: _asked(actor, records[split], cache or DataCache()) for split in SPLITS}
        if columns is not None:
            beside = {split: columns.of(split, records[split]) for split in SPLITS}
            asked = {split: replace(asked[split], columns=beside[split]) for split in SPLITS}
        cut = {split: part.cut for split, part in asked.items() if isinstance(part, Prompts)}
        notes = [
            f"{split}: {number:,} prompts are too long and lose their beginning; "
            "task.max_length and rl.response_length set the limit."
            for split, number in cut.items()
            if number
        ]
        return cls(**asked, records=records, notes=notes)

    def batches(self, algorithm: Algorithm) -> Iterator[Any]:
        """The training prompts of each batch: all are asked before one is asked again.

        The order is a pure function of the seed.
        """
        waiting: list[int] = []
        passes = 0
        size = algorithm.batch_size // algorithm.samples_per_prompt
        for _ in range(batches_of(algorithm)):
            while len(waiting) < size:
                random = np.random.default_rng((algorithm.seed, passes))
                waiting += random.permutation(len(self.train)).tolist()
                passes += 1
            yield self.train.take(waiting[:size])
            waiting = waiting[size:]


def _asked(actor: Actor, records: Records, cache: DataCache) -> TextPrompts | Prompts:
    if isinstance(actor, GeneratorActor):
        return actor.prompts(records)
    policy = actor.policy
    return TextPrompts(cache.examples(policy.problem, policy.tokenizer, records, policy.max_length))
