"""Numbers in place of every `auto` of `ppo:`, each with its source."""

from __future__ import annotations

from welltuned.models.anatomy import Anatomy
from welltuned.rlhf.config import PpoConfig, ResolvedPpo
from welltuned.strategies import Strategy
from welltuned.training.defaults import Choice

_PASSES = 3
_LOOKS = 10
_MAX_KL = {"classification": 10.0, "generation": 100.0}
_RATES = {
    "full": 1e-5,
    "partial": 3e-5,
    "gradual": 3e-5,
    "lora": 1e-4,
    "prompt": 1e-3,
    "prefix": 1e-3,
    "adapter": 3e-4,
}
"""Learning rates of the policy: a tenth or so of those that are usual for learning from labels."""


def resolve_rl_defaults(
    config: PpoConfig, strategy: Strategy, anatomy: Anatomy, task: str, prompts: int
) -> tuple[ResolvedPpo, list[Choice]]:
    """The finished config, and what was chosen."""
    choices = []
    if config.learning_rate == "auto":
        rate = _RATES[strategy.type]
        choices.append(Choice("ppo.learning_rate", rate, f"usual for {strategy.type}"))
    if config.total_episodes == "auto":
        wanted = max(config.batch_size, _PASSES * prompts)
        source = f"{_PASSES} passes over {prompts:,} prompts"
        choices.append(Choice("ppo.total_episodes", wanted, source))
    if config.max_kl == "auto":
        choices.append(Choice("ppo.max_kl", _MAX_KL[task], f"usual for {task}"))
    chosen = {choice.name.removeprefix("ppo."): choice.value for choice in choices}
    if "total_episodes" in chosen:
        chosen["total_episodes"] = int(chosen["total_episodes"])
    values = {name: getattr(config, name) for name in PpoConfig.model_fields} | chosen
    if config.eval_steps == "auto":
        batches = count_batches(values["total_episodes"], config.batch_size)
        values["eval_steps"] = -(-batches // _LOOKS)
    return ResolvedPpo.model_validate(values), choices


def batches_of(config: ResolvedPpo) -> int:
    """How many whole batches there are."""
    return count_batches(config.total_episodes, config.batch_size)


def count_batches(episodes: int, batch_size: int) -> int:
    """Whole batches of so many episodes; at least one."""
    return max(1, episodes // batch_size)
