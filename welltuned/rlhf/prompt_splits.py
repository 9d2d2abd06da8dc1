"""Prompt splits of an RL stage, and the order of training prompts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
from welltuned.rlhf.config import PpoConfig, ResolvedPpo
from welltuned.rlhf.defaults import batches_of
from welltuned.rlhf.policy import Policy
from welltuned.rlhf.prompts import Prompts, room_for
from welltuned.tasks import GenerationProblem, Problem
from welltuned.training.data_cache import DataCache


def collect_prompts(data: DataConfig, problem: Problem, cache: DataCache) -> DataSplits:
    """Three splits of records with prompts; labels have to be those that are known.

    Raises `InputError` with all faults.
    """
    faults = Faults()
    collected = cache.splits(data, problem, faults)
    if collected is not None and not isinstance(problem, GenerationProblem):
        for split in SPLITS:
            problem.read_targets(collected[split], faults)
    faults.raise_if_any()
    assert collected is not None
    return collected


def make_actor(policy: Policy, config: PpoConfig) -> Actor:
    """The actor for what the policy does. Raises `InputError` when there is no room to answer."""
    rows = config.rollout_batch_size
    if not isinstance(policy.problem, GenerationProblem):
        return ClassifierActor(policy, config.temperature, rows)
    room_for(policy.max_length, config.response_length)
    lengths = config.response_length, config.prompt_length
    return GeneratorActor(policy, config.temperature, rows, *lengths)


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
        config: PpoConfig,
        cache: DataCache | None = None,
    ) -> PromptSplits:
        """All training prompts, and as many of the others as are looked at."""
        records = {split: data[split] for split in SPLITS}
        sampled = ("validation", "test") if isinstance(actor, GeneratorActor) else ("validation",)
        for split in sampled:
            some = range(min(config.eval_examples, len(records[split])))
            records[split] = records[split].take(some)
        asked = {split: _asked(actor, records[split], cache or DataCache()) for split in SPLITS}
        cut = {split: part.cut for split, part in asked.items() if isinstance(part, Prompts)}
        notes = [
            f"{split}: {number:,} prompts are too long and lose their beginning; "
            "task.max_length and ppo.response_length set the limit."
            for split, number in cut.items()
            if number
        ]
        return cls(**asked, records=records, notes=notes)

    def batches(self, config: ResolvedPpo) -> Iterator[Any]:
        """The training prompts of each batch: all are asked before one is asked again.

        The order is a pure function of the seed.
        """
        waiting: list[int] = []
        passes = 0
        for _ in range(batches_of(config)):
            while len(waiting) < config.batch_size:
                random = np.random.default_rng((config.seed, passes))
                waiting += random.permutation(len(self.train)).tolist()
                passes += 1
            yield self.train.take(waiting[: config.batch_size])
            waiting = waiting[config.batch_size :]


def _asked(actor: Actor, records: Records, cache: DataCache) -> TextPrompts | Prompts:
    if isinstance(actor, GeneratorActor):
        return actor.prompts(records)
    policy = actor.policy
    return TextPrompts(cache.examples(policy.problem, policy.tokenizer, records, policy.max_length))
