"""Soft prompts: learned vectors among the input embeddings.

(Lester et al. 2021, arXiv 2104.08691.) They stand in front of the text for
decoders. For encoders they stand *after the first token*: poolers and heads
read index 0, which in front of the text would be a prompt and not `[CLS]`.

The prompt is invisible from outside the trunk: its positions are cut out of
what the trunk returns, so heads, poolers, labels and lengths are the text's
own, on whichever side it is padded.

In generation the first call puts the prompt into the key/value cache. Later
calls bring new tokens alone; mask and positions go on counting the prompt's places.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from welltuned.models.anatomy import position_offset
from welltuned.models.compat.peft_api import MethodTuner
from welltuned.models.graph_attention import GRAPH, with_tokens
from welltuned.strategies.peft_methods.base import InjectedLayer, InjectionConfig

PEFT_TYPE = "WELLTUNED_PROMPT"
PREFIX = "prompt_"


@dataclass
class PromptConfig(InjectionConfig):
    """`target_modules` is the trunk."""

    num_virtual_tokens: int = field(default=20)
    position: int = field(default=0)
    """How many real tokens stand before the prompt: 0, or 1 to keep the first token first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PEFT_TYPE


class SoftPrompt(nn.Module):
    """P learned vectors (P, E) in the space of the word embeddings."""

    def __init__(self, config: PromptConfig, width: int) -> None:
        super().__init__()
        self.embeddings = nn.Parameter(torch.zeros(config.num_virtual_tokens, width))
        self.position = config.position


class PromptedTrunk(InjectedLayer):
    """A trunk that reads prompt and text, and returns what belongs to the text."""

    adapter_layer_names = ("prompt_parts",)

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__(base_layer)
        self.prompt_parts = nn.ModuleDict()
        self._accepts = frozenset(inspect.signature(base_layer.forward).parameters)
        self._position_offset = position_offset(base_layer)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        **given: Any,
    ) -> Any:
        if parts := self.active_parts(self.prompt_parts):
            return self._read(parts, input_ids, attention_mask, **given)
        return self.base_layer(input_ids=input_ids, attention_mask=attention_mask, **given)

    def _read(
        self,
        parts: list[SoftPrompt],
        input_ids: torch.Tensor | None,
        attention_mask: torch.Tensor | None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **rest: Any,
    ) -> Any:
        if inputs_embeds is None:
            inputs_embeds = self.base_layer.get_input_embeddings()(input_ids)
        prompt_PE = torch.cat([part.embeddings for part in parts]).to(inputs_embeds.dtype)
        cache = rest.get("past_key_values")
        cached = cache.get_seq_length() if cache is not None else 0
        mask_BK = _text_mask(attention_mask, position_ids, inputs_embeds, cached, len(prompt_PE))
        places = _Places(mask_BK, len(prompt_PE), parts[0].position)
        mask = places.insert(mask_BK, 1)
        # A filled cache holds the prompt since the first call; the mask alone has to show it.
        if not cached:
            inputs_embeds = places.insert(inputs_embeds, prompt_PE)
            if token_type_ids is not None:
                token_type_ids = places.insert(token_type_ids, 0)
        if "position_ids" in self._accepts:
            rest["position_ids"] = self._number(mask)[:, -inputs_embeds.shape[1] :]
        if token_type_ids is not None:
            rest["token_type_ids"] = token_type_ids
        if (graph := rest.pop(GRAPH, None)) is not None:
            rest[GRAPH] = places.order(with_tokens(graph, len(prompt_PE)))
        outputs = self.base_layer(inputs_embeds=inputs_embeds, attention_mask=mask, **rest)
        return outputs if cached else places.cut(outputs)

    def _number(self, mask_BN: torch.Tensor) -> torch.Tensor:
        """Positions, counted over real tokens: padding takes no number.

        By itself RoBERTa would number it.
        """
        return (mask_BN.cumsum(dim=1) - 1).clamp(min=0) + self._position_offset


def _text_mask(
    attention_mask: torch.Tensor | None,
    position_ids: torch.Tensor | None,
    embeds_BTE: torch.Tensor,
    cached: int,
    length: int,
) -> torch.Tensor:
    """Which places of the text hold real tokens (B, K): those in the cache, then the T new ones.

    Raises `ValueError` when prompt and text could not be told apart.
    """
    rows, new = embeds_BTE.shape[:2]
    places = cached - length + new if cached else new
    if attention_mask is None:
        if position_ids is not None:  # generation drops a mask of ones, but numbers its tokens
            _check_numbers(position_ids, places, bool(cached))
        return embeds_BTE.new_ones(rows, places, dtype=torch.long)
    if not isinstance(attention_mask, torch.Tensor) or attention_mask.ndim != 2:
        raise ValueError(
            "prompts need a mask of two dimensions, rows by places; "
            "for generation use a cache that grows (no `cache_implementation`)"
        )
    if attention_mask.shape[1] != places:
        raise _other_text(attention_mask.shape[1], places)
    return attention_mask


def _check_numbers(position_ids: torch.Tensor, places: int, cached: bool) -> None:
    if not cached and bool((position_ids.diff() != 1).any()):
        raise ValueError(
            "a row holds several texts, and a prompt would stand before the first alone; "
            "give each text a row of its own (no packing)"
        )
    if cached and int(position_ids.max()) + 1 != places:
        raise _other_text(int(position_ids.max()) + 1, places)


def _other_text(shown: int, places: int) -> ValueError:
    return ValueError(
        f"mask or positions tell of {shown} tokens, but those in the cache without the prompt's, "
        f"and the new ones, are {places}; pass the new tokens alone, and a cache that was filled "
        "with this prompt"
    )


class _Places:
    """Where P prompt positions go in rows of T tokens, and how to take them out again."""

    def __init__(self, mask_BT: torch.Tensor, length: int, after: int) -> None:
        rows, width = mask_BT.shape
        start_B1 = (mask_BT.argmax(dim=1) + after).clamp(max=width).unsqueeze(1)
        old_T = torch.arange(width, device=mask_BT.device)
        new_N = torch.arange(width + length, device=mask_BT.device)
        inside_BN = (new_N >= start_B1) & (new_N < start_B1 + length)
        # Indices into [text ; prompt] for each new position, and into the new row for each old one.
        self.source_BN = torch.where(
            inside_BN,
            width + new_N - start_B1,
            torch.where(new_N < start_B1, new_N, new_N - length),
        )
        self.target_BT = torch.where(old_T < start_B1, old_T, old_T + length)
        self.rows_B1 = torch.arange(rows, device=mask_BT.device).unsqueeze(1)
        self.length = length

    def insert(self, text: torch.Tensor, prompt: torch.Tensor | int) -> torch.Tensor:
        """Put the prompt (P, E), or a constant, into a batch (B, T, …)."""
        if isinstance(prompt, int):
            filler = text.new_full((text.shape[0], self.length), prompt)
        else:
            filler = prompt.unsqueeze(0).expand(text.shape[0], -1, -1)
        return torch.cat([text, filler], dim=1)[self.rows_B1, self.source_BN]

    def order(self, mask_BNN: torch.Tensor) -> torch.Tensor:
        """Put a mask of text and prompt, the prompt last, into the order of the new rows."""
        rows_B11 = self.rows_B1.unsqueeze(2)
        return mask_BNN[rows_B11, self.source_BN[:, :, None], self.source_BN[:, None, :]]

    def cut(self, outputs: Any) -> Any:
        """Remove the prompt's positions from every hidden state the trunk returns."""
        outputs.last_hidden_state = outputs.last_hidden_state[self.rows_B1, self.target_BT]
        if getattr(outputs, "hidden_states", None) is not None:
            outputs.hidden_states = tuple(
                state[self.rows_B1, self.target_BT] for state in outputs.hidden_states
            )
        return outputs


class PromptTuner(MethodTuner[PromptedTrunk, PromptConfig]):
    prefix = PREFIX
    tuner_layer_cls = PromptedTrunk

    def begin(self, peft_config: PromptConfig, model: nn.Module) -> None:
        """Name a pooler by its parts: PEFT wraps no direct child of an injected layer."""
        trunk = model.get_submodule(str(peft_config.target_modules))
        named: list[str] = []
        for name in peft_config.modules_to_save or ():
            child = getattr(trunk, name, None)
            parts = child.named_modules() if isinstance(child, nn.Module) else ()
            named += [f"{name}.{part}" for part, module in parts if _has_weights(module)] or [name]
        peft_config.modules_to_save = named

    def add(
        self, layer: PromptedTrunk, adapter_name: str, peft_config: PromptConfig, current_key: str
    ) -> None:
        width = layer.base_layer.get_input_embeddings().weight.shape[1]
        layer.prompt_parts[adapter_name] = SoftPrompt(peft_config, width)


def _has_weights(module: nn.Module) -> bool:
    """Whether a module holds weights by itself, those of its children aside."""
    return any(True for _ in module.parameters(recurse=False))
