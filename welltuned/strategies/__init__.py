"""Fine-tuning strategies: which weights train, and when.

To add one: write a file with a class, and name it in `STRATEGIES`. The CLI,
the schema, the docs and the contract tests follow from that.
"""

from typing import Annotated

from welltuned.schema.plugins import OneOf
from welltuned.strategies.adapter import Adapter
from welltuned.strategies.base import Context, ParameterGroup, Progress, Strategy
from welltuned.strategies.bitfit import BitFit
from welltuned.strategies.full import Full
from welltuned.strategies.gradual import Gradual
from welltuned.strategies.lora import Lora
from welltuned.strategies.partial import Partial
from welltuned.strategies.peft import Peft
from welltuned.strategies.prefix import Prefix
from welltuned.strategies.prompt import Prompt

STRATEGIES = OneOf(
    "strategies", Strategy, Full, Partial, Gradual, Lora, Prompt, Prefix, Adapter, BitFit, Peft
)
AnyStrategy = Annotated[Strategy, STRATEGIES]


def default_strategy() -> Strategy:
    """The strategy where a config names none: full fine-tuning."""
    return Full()


def frugal_strategy() -> Strategy:
    """The parameter-efficient strategy to suggest where fewer weights should train."""
    return Lora()


__all__ = [
    "STRATEGIES",
    "Adapter",
    "AnyStrategy",
    "BitFit",
    "Context",
    "Full",
    "Gradual",
    "Lora",
    "ParameterGroup",
    "Partial",
    "Peft",
    "Prefix",
    "Progress",
    "Prompt",
    "Strategy",
    "default_strategy",
    "frugal_strategy",
]
