"""Soft prompts: learned vectors among a trunk's input embeddings.

(Lester et al. 2021, arXiv 2104.08691.) They stand in front of the text for
decoders. For encoders they stand *after the first token*: poolers and heads
read index 0, which in front of the text would be a prompt and not `[CLS]`.

The prompt is invisible from outside the trunk: its positions are cut out of
what the trunk returns, so heads, poolers, labels and lengths are the text's
own, on whichever side it is padded.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from welltuned.injection.base import InjectedLayer, InjectedTuner, InjectionConfig
from welltuned.models.anatomy import position_offset

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
        self.peft_type = PEFT_TYPE  # type: ignore[assignment]


class Prompt(nn.Module):
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
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        parts = self.active_parts(self.prompt_parts)
        if not parts:
            given = {"token_type_ids": token_type_ids, "position_ids": position_ids, "inputs_embeds": inputs_embeds}
            given = {name: value for name, value in given.items() if value is not None}
            return self.base_layer(input_ids=input_ids, attention_mask=attention_mask, **given, **kwargs)
        embeds_BTE = self.base_layer.get_input_embeddings()(input_ids) if inputs_embeds is None else inputs_embeds
        mask_BT = embeds_BTE.new_ones(embeds_BTE.shape[:2], dtype=torch.long) if attention_mask is None else attention_mask
        prompt_PE = torch.cat([part.embeddings for part in parts]).to(embeds_BTE.dtype)
        places = _Places(mask_BT, len(prompt_PE), parts[0].position)
        mask = places.insert(mask_BT, 1)
        arguments: dict[str, Any] = {"inputs_embeds": places.insert(embeds_BTE, prompt_PE), "attention_mask": mask}
        if "position_ids" in self._accepts:
            # Counted over real tokens: padding takes no number, and RoBERTa would number it otherwise.
            arguments["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0) + self._position_offset
        if token_type_ids is not None:
            arguments["token_type_ids"] = places.insert(token_type_ids, 0)
        return places.cut(self.base_layer(**arguments, **kwargs))


class _Places:
    """Where P prompt positions go in rows of T tokens, and how to take them out again."""

    def __init__(self, mask_BT: torch.Tensor, length: int, after: int) -> None:
        rows, width = mask_BT.shape
        start_B1 = (mask_BT.argmax(dim=1) + after).clamp(max=width).unsqueeze(1)
        old_T = torch.arange(width, device=mask_BT.device)
        new_N = torch.arange(width + length, device=mask_BT.device)
        inside_BN = (new_N >= start_B1) & (new_N < start_B1 + length)
        # Indices into [text ; prompt] for each new position, and into the new row for each old one.
        self.source_BN = torch.where(inside_BN, width + new_N - start_B1, torch.where(new_N < start_B1, new_N, new_N - length))
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

    def cut(self, outputs: Any) -> Any:
        """Remove the prompt's positions from every hidden state the trunk returns."""
        outputs.last_hidden_state = outputs.last_hidden_state[self.rows_B1, self.target_BT]
        if getattr(outputs, "hidden_states", None) is not None:
            outputs.hidden_states = tuple(state[self.rows_B1, self.target_BT] for state in outputs.hidden_states)
        return outputs


class PromptTuner(InjectedTuner):
    prefix = PREFIX
    tuner_layer_cls = PromptedTrunk

    def _add(self, layer: Any, adapter_name: str, peft_config: PromptConfig, current_key: str) -> None:
        width = layer.base_layer.get_input_embeddings().weight.shape[1]
        layer.prompt_parts[adapter_name] = Prompt(peft_config, width)
