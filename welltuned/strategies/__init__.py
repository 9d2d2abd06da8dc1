"""Fine-tuning strategies: which weights train, and when.

To add one: write a file with a class, and name it in `STRATEGIES`. The CLI,
the schema, the docs and the contract tests follow from that.
"""

from typing import Annotated

from welltuned.models.config import ModelConfig
from welltuned.schema.plugins import OneOf, PluginError
from welltuned.strategies.adapter import Adapter
from welltuned.strategies.base import (
    Context,
    ContrastOptions,
    ParameterGroup,
    Progress,
    Strategy,
)
from welltuned.strategies.bitfit import BitFit
from welltuned.strategies.contrastive import Contrastive
from welltuned.strategies.full import Full
from welltuned.strategies.gradual import Gradual
from welltuned.strategies.lora import Lora
from welltuned.strategies.partial import Partial
from welltuned.strategies.peft import Peft
from welltuned.strategies.prefix import Prefix
from welltuned.strategies.prompt import Prompt

STRATEGIES = OneOf(
    "strategies", Strategy,
    Full, Partial, Gradual, Lora, Prompt, Prefix, Adapter, BitFit, Contrastive, Peft,
)  # fmt: skip
AnyStrategy = Annotated[Strategy, STRATEGIES]


def usual_strategies() -> list[str]:
    """The types that `all` means; a plug-in that cannot be used is told of where it is read."""
    kinds = {name: _usable(name) for name in STRATEGIES.names}
    return [name for name, kind in kinds.items() if kind is None or kind.stands_in_all]


def every_variant() -> list[str | dict[str, object]]:
    """What `everything` means: strategies by their types, or by variants where there are some."""
    every: list[str | dict[str, object]] = []
    for name in STRATEGIES.names:
        kind = _usable(name)
        plain: dict[str, object] = {"type": name}
        variants = [plain] if kind is None else kind.variants()
        every += [name] if variants == [plain] else variants
    return every


def _usable(name: str) -> type[Strategy] | None:
    """None for a plug-in that cannot be used."""
    try:
        return STRATEGIES.find(name)
    except PluginError:
        return None


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
    "BitFit",
    "Context",
    "ContrastOptions",
    "Contrastive",
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
    "every_variant",
    "frugal_strategy",
    "looking_strategy",
    "usual_strategies",
]
