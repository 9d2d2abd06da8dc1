"""Fine-tuning strategies: which weights train, and when.

To add one: write a file with a class, and name it in `STRATEGIES`. The CLI,
the schema, the docs and the contract tests follow from that.
"""

from typing import Annotated

from welltuned.models.loading import ModelConfig
from welltuned.schema.plugins import OneOf
from welltuned.strategies.adapter import Adapter
from welltuned.strategies.base import Context, ParameterGroup, Progress, Strategy
from welltuned.strategies.full import Full
from welltuned.strategies.gradual import Gradual
from welltuned.strategies.lora import Lora
from welltuned.strategies.partial import Partial
from welltuned.strategies.prefix import Prefix
from welltuned.strategies.prompt import Prompt

STRATEGIES = OneOf("strategies", Strategy, Full, Partial, Gradual, Lora, Prompt, Prefix, Adapter)
AnyStrategy = Annotated[Strategy, STRATEGIES]


def default_strategy() -> Strategy:
    """The strategy where a config names none: full fine-tuning."""
    return Full()


def frugal_strategy() -> Strategy:
    """The parameter-efficient strategy to suggest where fewer weights should train."""
    return Lora()


def looking_strategy(model: ModelConfig) -> Strategy:
    """One that a base model allows, for those who only look at the model."""
    return default_strategy() if model.quantization is None else frugal_strategy()


__all__ = [
    "STRATEGIES",
    "Adapter",
    "AnyStrategy",
    "Context",
    "Full",
    "Gradual",
    "Lora",
    "ParameterGroup",
    "Partial",
    "Prefix",
    "Progress",
    "Prompt",
    "Strategy",
    "default_strategy",
    "frugal_strategy",
    "looking_strategy",
]
