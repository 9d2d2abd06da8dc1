"""Many prompts answered by `generate` of transformers, without passes that no answer needs.

Prompts of like length go together, as many as a budget of tokens allows. The beginning that they
share, such as a system prompt, is read once, and its keys and values are repeated. Rows whose
answers have ended leave the batch. Each prompt has the answer that it has by itself, up to the
rounding of batches of other shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import StoppingCriteria

from welltuned.data.batching import batches_within
from welltuned.data.tokens.encoding import Encoded, pad
from welltuned.models.compat.transformers_api import read_once, take_rows

_SHORT = 8
"""A shared beginning of fewer tokens is not worth a pass of its own."""
_SHARE = 0.25
"""Of the rows, leaves at once: what is kept of the others is copied each time."""


@dataclass(frozen=True)
class BatchedDecoder:
    """A causal language model that answers prompts by `generate`."""

    model: Any
    options: Mapping[str, Any]
    """What `generate` is told: `max_new_tokens`, `eos_token_id`, `pad_token_id` and others."""

    @property
    def stops(self) -> Sequence[int]:
        """The tokens after which an answer is over."""
        return self.options["eos_token_id"]

    @property
    def max_new_tokens(self) -> int:
        return self.options["max_new_tokens"]

    @property
    def _is_search(self) -> bool:
        """Whether beams of all rows grow together, so that no row can leave."""
        return self.options.get("num_beams", 1) > 1

    def answer(
        self, prompts: Encoded, budget: int, progress: Callable[[int], None] = lambda done: None
    ) -> list[list[int]]:
        """The new tokens of each prompt, in order, its end token included.

        A batch has at most `budget` tokens, padding and answers included, or else a single row.
        """
        answers: dict[int, list[int]] = {}
        with torch.inference_mode():
            lengths = prompts.lengths + self.max_new_tokens
            for indices in batches_within(lengths, len(prompts), budget):
                batch = indices.tolist()
                for row, tokens in self._answer_together(prompts.take(batch)):
                    answers[batch[row]] = tokens
                    progress(len(answers))
        return [answers[row] for row in range(len(prompts))]

    def _answer_together(self, prompts: Encoded) -> Iterator[tuple[int, list[int]]]:
        """(row, new tokens) of each prompt, as the answers end."""
        given = self._read(prompts)
        start, rows = given["input_ids"].shape[1], list(range(len(prompts)))
        while rows:
            said = self._go_on(given, start)
            answers = said.sequences[:, start:].tolist()
            ends = [self._end(tokens) for tokens in answers]
            yield from ((rows[i], answers[i][:end]) for i, end in enumerate(ends) if end)
            going = [i for i, end in enumerate(ends) if end is None]
            given, rows = _taken(given, said, going), [rows[i] for i in going]

    def _go_on(self, given: Mapping[str, Any], start: int) -> Any:
        """`generate` until enough answers, which begin at `start`, have ended to leave."""
        stops = torch.tensor(self.stops, dtype=torch.long, device=given["input_ids"].device)
        options = {
            **self.options,
            "max_new_tokens": start + self.max_new_tokens - given["input_ids"].shape[1],
            "stopping_criteria": [] if self._is_search else [_EnoughEnded(start, stops)],
            "return_dict_in_generate": True,
        }
        return self.model.generate(**given, **options)

    def _end(self, tokens: list[int]) -> int | None:
        """The length of an answer; None where it is not over."""
        over = self._is_search or len(tokens) == self.max_new_tokens
        ends = (i + 1 for i, token in enumerate(tokens) if token in self.stops)
        return next(ends, len(tokens) if over else None)

    def _read(self, prompts: Encoded) -> dict[str, Any]:
        """Prompts as `generate` takes them; the beginning that all share has been read."""
        device, number, shared = next(self.model.parameters()).device, len(prompts), 0
        cache = None
        if number > 1 and not self._is_search and (common := _shared(prompts)) >= _SHORT:
            beginning_1P = torch.from_numpy(prompts[0][:common]).long().to(device)[None]
            cache = read_once(self.model, beginning_1P, number)
            shared = common if cache is not None else 0
        padded = _padded_behind(prompts, shared, self.options["pad_token_id"])
        batch = {name: torch.from_numpy(track).to(device) for name, track in padded.items()}
        return _with_cache(batch, cache)


class _EnoughEnded(StoppingCriteria):
    """Stops all rows when a share of the answers, which begin at `start`, has ended."""

    def __init__(self, start: int, stops_S: torch.Tensor) -> None:
        self.start = start
        self.stops_S = stops_S

    def __call__(
        self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: object
    ) -> torch.Tensor:
        ended_R = torch.isin(input_ids[:, self.start :], self.stops_S).any(dim=1)
        return (ended_R.sum() >= _SHARE * len(ended_R)).expand(len(ended_R))


def _shared(prompts: Encoded) -> int:
    """How many tokens all prompts begin with; each has one of its own after them."""
    width = int(prompts.lengths.min()) - 1
    first_BT = np.stack([prompts[i][:width] for i in range(len(prompts))])
    same_T = (first_BT == first_BT[0]).all(axis=0)
    return width if same_T.all() else int(same_T.argmin())


def _padded_behind(prompts: Encoded, shared: int, pad_id: int) -> dict[str, np.ndarray]:
    """A batch in which padding stands between what all prompts begin with and each one's own."""
    batch = pad(prompts, range(len(prompts)), pad_id, side="left")
    own_BT = batch["attention_mask"].cumsum(axis=1) > shared
    ids_BT = np.where(own_BT, batch["input_ids"], pad_id)
    ids_BT[:, :shared], own_BT[:, :shared] = prompts[0][:shared], True
    return {"input_ids": ids_BT, "attention_mask": own_BT.astype(np.int64)}


def _with_cache(batch: dict[str, Any], cache: object | None) -> dict[str, Any]:
    return batch if cache is None else {**batch, "past_key_values": cache}


def _taken(given: Mapping[str, Any], said: Any, rows: list[int]) -> dict[str, Any]:
    """What `generate` needs to go on with some rows of what it has said."""
    ids_BT, mask_BT = said.sequences, given["attention_mask"]
    places = torch.tensor(rows, dtype=torch.long, device=ids_BT.device)
    new = mask_BT.new_ones(len(mask_BT), ids_BT.shape[1] - mask_BT.shape[1])
    batch = {
        "input_ids": ids_BT[places],
        "attention_mask": torch.cat([mask_BT, new], dim=1)[places],
    }
    read = ids_BT.shape[1] - 1  # the last token has been said, but not read
    return _with_cache(batch, take_rows(getattr(said, "past_key_values", None), places, read))
