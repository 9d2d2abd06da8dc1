"""Fine-tuning strategies: which weights train, and when.

To add one: write a file with a class, and name it in `AnyStrategy`. The CLI,
the schema, the docs and the contract tests follow from that.
"""

from typing import Annotated

from pydantic import Field

from welltuned.strategies.adapter import Adapter
from welltuned.strategies.base import Context, ParameterGroup, Progress, Strategy
from welltuned.strategies.full import Full
from welltuned.strategies.gradual import Gradual
from welltuned.strategies.lora import Lora
from welltuned.strategies.partial import Partial
from welltuned.strategies.prefix import Prefix
from welltuned.strategies.prompt import Prompt

AnyStrategy = Annotated[
    Full | Partial | Gradual | Lora | Prompt | Prefix | Adapter,
    Field(discriminator="type"),
]

__all__ = [
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
]
