"""Many prompts answered by an encoder-decoder: its encoder reads them, its decoder begins anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import DynamicCache, EncoderDecoderCache

from welltuned.data.batching import batches_within
from welltuned.data.tokens.encoding import Encoded, pad
from welltuned.tasks.generation.batched_decoding import BatchedDecoder

_START = 1
"""Tokens that a decoder is given before an answer, and that `generate` returns with it."""


@dataclass(frozen=True)
class Seq2SeqDecoder(BatchedDecoder):
    """An encoder-decoder that answers prompts by `generate`."""

    def answer(
        self, prompts: Encoded, budget: int, progress: Callable[[int], None] = lambda done: None
    ) -> list[list[int]]:
        answers: dict[int, list[int]] = {}
        with torch.inference_mode():
            lengths = prompts.lengths + self.max_new_tokens
            for indices in batches_within(lengths, len(prompts), budget):
                batch = indices.tolist()
                answers |= zip(batch, self._answers(prompts.take(batch)), strict=True)
                progress(len(answers))
        return [answers[row] for row in range(len(prompts))]

    def _answers(self, prompts: Encoded) -> list[list[int]]:
        """The new tokens of some prompts, read together."""
        device = next(self.model.parameters()).device
        padded = pad(prompts, range(len(prompts)), self.options["pad_token_id"])
        batch = {name: torch.from_numpy(track).to(device) for name, track in padded.items()}
        # It grows with the decoder; transformers would make one as deep as the encoder.
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        said_BT = self.model.generate(**batch, past_key_values=cache, **self.options)[:, _START:]
        return [self._until_end(tokens) for tokens in said_BT.tolist()]

    def _until_end(self, tokens: list[int]) -> list[int]:
        """An answer with its end token, without the padding behind it."""
        ends = (i + 1 for i, token in enumerate(tokens) if token in self.stops)
        return tokens[: next(ends, len(tokens))]
