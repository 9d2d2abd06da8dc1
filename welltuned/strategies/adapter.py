"""Adapters: small bottleneck networks in every block (Houlsby et al. 2019, arXiv 1902.00751)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from welltuned.errors import Fault
from welltuned.schema.search_space import Range
from welltuned.strategies.base import Context, InjectedStrategy, modules_to_save

if TYPE_CHECKING:
    from welltuned.models.anatomy import Anatomy
    from welltuned.strategies.peft_methods.bottleneck import BottleneckConfig


class Adapter(InjectedStrategy):
    """A bottleneck of a few features beside or after each sublayer.

    Only they and the head train.
    """

    needs_import: ClassVar[bool] = True
    merge_refusal: ClassVar[str | None] = "its non-linear layers cannot be folded into linear ones"
    rl_learning_rate: ClassVar[float | None] = 3e-4

    type: Literal["adapter"] = "adapter"
    placement: Literal["houlsby", "pfeiffer", "parallel"] = "houlsby"
    """houlsby: after attention and feed-forward; pfeiffer: after feed-forward;
    parallel: beside feed-forward."""
    reduction_factor: Annotated[float, Range(4, 64, log=True)] = Field(default=16, ge=1)
    """Bottleneck width: the hidden size divided by this."""
    non_linearity: str = Field(default="gelu", examples=["relu"])
    """The activation function, by transformers' name."""
    dropout: Annotated[float, Range(0.0, 0.2)] = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapter's input."""
    scale: float = Field(default=1.0, gt=0)
    """The adapter's output is multiplied by this (parallel adapters often use 4)."""
    init_weights: Literal["identity", "near_identity"] = "identity"
    """identity: the upward projection starts at zero, so nothing changes at first;
    near_identity: N(0, 0.02)."""
    train_layer_norm: bool = False
    """Whether the blocks' layer norms train too."""

    def check(self, anatomy: Anatomy) -> Iterator[Fault]:
        if not all(
            block.attention_output and block.feed_forward_output for block in anatomy.blocks
        ):
            yield Fault(
                "strategy.family_without_sublayers",
                "strategy 'adapter' does not support '{family}': the points where its sublayers "
                "write to the residual stream were not found",
                None,
                "use lora with target_modules by name",
                family=anatomy.family,
            )
        from welltuned.models.compat.transformers_api import ACT2FN

        if self.non_linearity not in ACT2FN:
            yield Fault(
                "strategy.non_linearity_unknown",
                "unknown strategy.non_linearity '{name}'",
                None,
                "gelu, relu, silu, tanh, …",
                name=self.non_linearity,
            )

    def peft_config(self, context: Context) -> BottleneckConfig:
        from welltuned.strategies.peft_methods.bottleneck import BottleneckConfig

        anatomy = context.anatomy
        targets = [str(block.feed_forward_output) for block in anatomy.blocks]
        if self.placement == "houlsby":
            targets += [str(block.attention_output) for block in anatomy.blocks]
        inputs: dict[str, str] = {}
        if self.placement == "parallel":
            inputs = {
                str(block.feed_forward_output): str(block.feed_forward_input)
                for block in anatomy.blocks
            }
        norms = (
            [norm for block in anatomy.blocks for norm in block.norms]
            if self.train_layer_norm
            else []
        )
        return BottleneckConfig(
            task_type=context.task_type,
            target_modules=targets,
            modules_to_save=[*modules_to_save(anatomy), *norms],
            bottleneck_size=max(1, int(anatomy.hidden_size / self.reduction_factor)),
            nonlinearity=self.non_linearity,
            dropout=self.dropout,
            scale=self.scale,
            init_weights=self.init_weights,
            features=anatomy.hidden_size,
            parallel_inputs=inputs,
        )
