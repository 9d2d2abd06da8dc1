"""Prefix tuning: learned keys and values in every block's attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from welltuned.errors import Fault
from welltuned.schema.search_space import Range
from welltuned.strategies.base import Context, InjectedStrategy, modules_to_save

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from torch import nn

    from welltuned.models.anatomy import Anatomy
    from welltuned.strategies.peft_methods.prefix import PrefixConfig


class Prefix(InjectedStrategy):
    """`num_virtual_tokens` keys and values in each block.

    Only they and the head train.
    """

    needs_import: ClassVar[bool] = True
    starts_unchanged: ClassVar[bool] = False
    merge_refusal: ClassVar[str | None] = (
        "its keys and values belong to no token, and no weight computes them"
    )
    rl_learning_rate: ClassVar[float | None] = 1e-3

    type: Literal["prefix"] = "prefix"
    num_virtual_tokens: Annotated[int, Range(5, 50, log=True)] = Field(default=20, ge=1)
    """Prefix length: keys and values added to each block. Real tokens keep their positions."""
    init: Literal["auto", "text", "random"] = "auto"
    """Initialise from the keys and values of a training text, or with small noise.

    auto: text for decoders, which then start as if that text preceded the input; noise for
    encoders, whose tokens would attend to a text that cannot attend back
    (benchmarks/prefix_init.py), and for encoder-decoders.
    """
    prefix_dropout: Annotated[float, Range(0.0, 0.2)] = Field(default=0.0, ge=0, lt=1)
    """Dropout on the prefix."""
    prefix_projection: bool = False
    """Reparameterise the prefix through a two-layer MLP, which is dropped after training."""
    encoder_hidden_size: int = Field(default=128, ge=1)
    """The hidden size of that MLP."""

    def check(self, anatomy: Anatomy) -> Iterator[Fault]:
        if self.init == "text" and anatomy.kind == "encoder-decoder":
            yield Fault(
                "strategy.prefix_text_unsupported",
                "'strategy.init: text' does not support '{family}': its decoder begins with a "
                "response, and no text stands before that",
                None,
                "set strategy.init=auto",
                family=anatomy.family,
            )
        if not all(block.attention for block in anatomy.blocks):
            yield Fault(
                "strategy.attention_unsupported",
                "strategy 'prefix' does not support '{family}': it does not compute attention "
                "through transformers' attention registry, where a prefix enters",
                None,
                "use prompt, lora or adapter",
                family=anatomy.family,
            )
        elif len({block.key_shape for block in anatomy.blocks}) > 1:
            yield Fault(
                "strategy.key_heads_differ",
                "strategy 'prefix' does not support '{family}': the shape of its key heads differs "
                "between blocks",
                None,
                "use prompt, lora or adapter",
                family=anatomy.family,
            )

    def peft_config(self, context: Context) -> PrefixConfig:
        from welltuned.strategies.peft_methods.prefix import PrefixConfig

        heads, size = context.anatomy.blocks[0].key_shape
        return PrefixConfig(
            task_type=context.task_type,
            target_modules=[str(block.attention) for block in context.anatomy.blocks],
            modules_to_save=modules_to_save(context.anatomy),
            num_virtual_tokens=self.num_virtual_tokens,
            num_key_heads=heads,
            head_size=size,
            dropout=self.prefix_dropout,
            prefix_projection=self.prefix_projection,
            encoder_hidden_size=self.encoder_hidden_size,
        )

    def initialise(self, model: PeftModel, context: Context) -> None:
        import torch

        inner: Any = model.base_model.model
        layers = [inner.get_submodule(str(block.attention)) for block in context.anatomy.blocks]
        generator = torch.Generator().manual_seed(context.seed)
        if self._begins_with_noise(context):
            for layer in layers:
                part = layer.prefix_parts["default"]
                for parameter in part.parameters() if part.projection is None else ():
                    parameter.data.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
            return
        text = self._some_text(context, generator)
        keys, values = self._states_of_text(
            model, [layer.base_layer for layer in layers], context, text
        )
        for layer, key, value in zip(layers, keys, values, strict=True):
            layer.prefix_parts["default"].start_from(key, value)

    def _begins_with_noise(self, context: Context) -> bool:
        return self.init == "random" or (self.init == "auto" and context.anatomy.kind != "decoder")

    def _some_text(self, context: Context, generator: torch.Generator) -> list[int]:
        """P tokens of training texts, one text after another, from the first again at the end."""
        import torch

        order = torch.randperm(len(context.examples), generator=generator).tolist()
        tokens = [token for i in order for token in context.examples[i]]
        length = self.num_virtual_tokens
        return (tokens * (length // len(tokens) + 1))[:length]

    def _states_of_text(
        self, model: PeftModel, attentions: list[nn.Module], context: Context, text: Sequence[int]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """What each block computes for P tokens of text: keys and values (heads, P, head size).

        Where positions may be negative they count up to the text's own, from 0 on. So a decoder
        begins as if that text stood before every input.
        """
        import torch

        from welltuned.strategies.peft_methods.prefix import captured

        longest = context.anatomy.max_length or len(text)
        keys: list[list[torch.Tensor]] = [[] for _ in attentions]
        values: list[list[torch.Tensor]] = [[] for _ in attentions]
        model.eval()
        with torch.no_grad(), model.disable_adapter(), captured(attentions) as seen:
            for start in range(0, len(text), longest):
                ids = torch.tensor([text[start : start + longest]], device=model.device)
                places = torch.arange(start, start + ids.shape[1], device=model.device) - len(text)
                numbered = {"position_ids": places[None]} if context.anatomy.rotary else {}
                model(input_ids=ids, **numbered)
                for i, attention in enumerate(attentions):
                    keys[i].append(seen[id(attention)][0][0])
                    values[i].append(seen[id(attention)][1][0])
        return [torch.cat(states, dim=1) for states in keys], [
            torch.cat(states, dim=1) for states in values
        ]

    def finish(self, model: Any) -> None:
        from welltuned.strategies.peft_methods.prefix import PrefixedAttention

        for module in model.modules():
            if isinstance(module, PrefixedAttention):
                parts: Any = module.prefix_parts
                for part in parts.values():
                    part.drop_projection()
        model.peft_config["default"].prefix_projection = False
