"""How text is generated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from welltuned.schema.part import Part
from welltuned.tasks import chat

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Decoding(Part):
    """Decoding parameters, all explicit and saved with the model."""

    max_new_tokens: int = Field(default=128, ge=1)
    """The maximum length of an answer, in tokens."""
    temperature: float = Field(default=0.0, ge=0)
    """Sampling temperature; 0 decodes greedily, higher values are more random."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus sampling: only from the likeliest tokens that together have this probability."""
    repetition_penalty: float = Field(default=1.0, gt=0)
    """Above 1, tokens that have already occurred become less likely."""
    num_beams: int = Field(default=1, ge=1)
    """Beams of the beam search; 1 switches it off."""

    def options(self, tokenizer: PreTrainedTokenizerBase) -> dict[str, object]:
        """The same as `generate` of transformers takes it."""
        options: dict[str, object] = {
            "max_new_tokens": self.max_new_tokens,
            "do_sample": self.temperature > 0,
            "repetition_penalty": self.repetition_penalty,
            "num_beams": self.num_beams,
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": chat.stop_ids(tokenizer),
        }
        if self.temperature > 0:
            options |= {"temperature": self.temperature, "top_p": self.top_p, "top_k": 0}
        return options
