"""Reinforcement learning in a loop of your own: `wt.rl`.

learner = wt.rl.start("runs/sft", total_batches=100, learning_rate=1e-4)
right = wt.rl.reward("final_number")
for prompts, answers in my_batches:
    rollout = learner.rollout(prompts)
    scores = right(rollout.prompts, rollout.responses, {"answer": answers})
    stats = wt.rl.step(learner, rollout, scores)
wt.rl.save(learner, "my-policy")

A reward is any function of prompts and responses; `wt.rl.reward` makes those that a config names.
Where an algorithm has several responses to each prompt, its columns have as many cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from welltuned.artifact.manifest import ArtifactManifest, find_artifact
from welltuned.engines.device import choose_device
from welltuned.rlhf.actors.base import Rollout
from welltuned.rlhf.algorithms import AnyAlgorithm
from welltuned.rlhf.defaults import resolve_rl_defaults
from welltuned.rlhf.learner import Learner, Stats, require_reference, step
from welltuned.rlhf.policy import from_run
from welltuned.rlhf.prompt_splits import make_actor
from welltuned.rlhf.rewards import AnyRewards
from welltuned.rlhf.rewards.build import build_reward
from welltuned.rlhf.rewards.functions import WeightedReward
from welltuned.runs import Run
from welltuned.runs.disk import require_free
from welltuned.schema.document import Document
from welltuned.schema.part import Part
from welltuned.schema.validation import validated

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "Learner",
    "Rollout",
    "Stats",
    "WeightedReward",
    "require_reference",
    "reward",
    "save",
    "start",
    "step",
]


class _Options(Part):
    """The one key of a pipeline's config that a loop of one's own needs."""

    rl: AnyAlgorithm


def algorithm_of(options: Mapping[str, object]) -> AnyAlgorithm:
    """The algorithm that keys of a config's `rl:` describe. Raises `InputError`."""
    document = Document(values={"rl": dict(options)}, source="arguments")
    return validated(_Options, document).rl


class _Rewards(Part):
    """The key of a pipeline's config that says what is rewarded."""

    reward: AnyRewards


def reward(
    *sources: str | Mapping[str, object],
    tokenizer: PreTrainedTokenizerBase | None = None,
    device: str = "auto",
) -> WeightedReward:
    """What a config's `reward:` describes, as a function `(prompts, responses, columns)`.

    `columns` are `{name: cells}`, one cell a response, for rewards that read any. `tokenizer` is
    the policy's, for those that count its tokens. Raises `InputError`.

        wt.rl.reward("final_number", {"type": "length", "at_most": 200, "weight": 0.1})
    """
    document = Document(values={"reward": list(sources)}, source="arguments")
    found = validated(_Rewards, document).reward
    parts = choose_device(device), "", tokenizer
    return WeightedReward(tuple(build_reward(source, None, *parts) for source in found))


def start(run: Run | str | Path, total_batches: int, **options: object) -> Learner:
    """A learner whose policy is that of a finished run, or of a bare model folder.

    `options` are keys of the config's `rl:`, `type` among them. What is not given is as it is
    there; the learning rate goes down to zero over `total_batches`. Raises `InputError`.
    """
    config = algorithm_of(options)
    folder = find_artifact(run)
    strategy = config.strategy or ArtifactManifest.read(folder).strategy
    policy = from_run(folder, strategy, choose_device(config.device), config.seed)
    config, _ = resolve_rl_defaults(
        config, strategy, policy.anatomy, policy.problem, config.batch_size
    )
    return Learner.of(make_actor(policy, config), config, total_batches)


def save(learner: Learner, folder: str | Path) -> Path:
    """Write the policy as a model folder, for `wt.load` and for the plain libraries.

    Raises `InputError` when the folder holds anything.
    """
    target, policy = Path(folder).expanduser(), learner.actor.policy
    require_free(target)
    policy.strategy.finish(policy.model)
    policy.save(target)
    return target
