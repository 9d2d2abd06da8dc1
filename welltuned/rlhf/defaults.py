"""Numbers in place of every `auto` of `rl:`, each with its source."""

from __future__ import annotations

from dataclasses import replace

from welltuned.models.anatomy import Anatomy
from welltuned.rlhf.algorithms import Algorithm
from welltuned.strategies import Strategy
from welltuned.tasks import Problem
from welltuned.training.preparation.defaults import Choice, defaults_for, for_optimizer

_PASSES = 3
_LOOKS = 10
_MAX_KL = {"label": 10.0, "text": 100.0}
"""Nats a response, by what a policy chooses."""


def resolve_rl_defaults(
    config: Algorithm, strategy: Strategy, anatomy: Anatomy, problem: Problem, prompts: int
) -> tuple[Algorithm, list[Choice]]:
    """The finished config, and what was chosen. Raises `InputError`."""
    choices = []
    if config.learning_rate == "auto":
        chosen_rate = _learning_rate(strategy, anatomy, prompts)
        rate = for_optimizer(replace(chosen_rate, name="learning_rate"), config.optim)
        choices.append(replace(rate, name=chosen_rate.name))
    if config.total_episodes == "auto":
        wanted = max(config.batch_size, _PASSES * prompts * config.samples_per_prompt)
        source = f"{_PASSES} passes over {prompts:,} prompts"
        choices.append(Choice("rl.total_episodes", wanted, source))
    if config.max_kl == "auto":
        assert problem.actions is not None, "refused before"
        most = _MAX_KL[problem.actions]
        choices.append(Choice("rl.max_kl", most, f"usual for {problem.title}"))
    chosen = {choice.name.removeprefix("rl."): choice.value for choice in choices}
    if "total_episodes" in chosen:
        chosen["total_episodes"] = int(chosen["total_episodes"])
    config = config.model_copy(update=chosen)
    if config.eval_steps == "auto":
        config = config.model_copy(update={"eval_steps": -(-batches_of(config) // _LOOKS)})
    return config, choices


def _learning_rate(strategy: Strategy, anatomy: Anatomy, prompts: int) -> Choice:
    """Of the policy: a tenth or so of what is usual for learning from labels.

    Raises `InputError` when the strategy has no defaults.
    """
    name = "rl.learning_rate"
    if strategy.rl_learning_rate is not None:
        return Choice(name, strategy.rl_learning_rate, f"usual for {strategy.type}")
    supervised = defaults_for(strategy, anatomy, prompts)["learning_rate"]
    return Choice(name, supervised.value / 10, f"a tenth of that from labels: {supervised.source}")


def batches_of(config: Algorithm) -> int:
    """How many whole batches there are."""
    assert config.total_episodes != "auto"
    return count_batches(config.total_episodes, config.batch_size)


def count_batches(episodes: int, batch_size: int) -> int:
    """Whole batches of so many episodes; at least one."""
    return max(1, episodes // batch_size)
