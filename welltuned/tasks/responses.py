"""Prompts with responses, encoded as one row per response.

An example is a prompt with all responses to it, so that the responses of a pair, and
all pairs of a prompt, meet in one batch, each response read once. What is too long
loses the beginning of its prompt first, for a response cut short may be the same as
the one it was compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from welltuned.data.records import Records
from welltuned.data.tokens import ragged, special_tokens
from welltuned.data.tokens.encoding import IGNORED, Encoded
from welltuned.data.tokens.windows import NO_ROW, is_short_of
from welltuned.schema.messages import Message
from welltuned.tasks import chat
from welltuned.tasks.grouped import Grouped, ResponseTarget
from welltuned.tasks.long import TRUNCATE, LongTexts, require_parts

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

Form = Literal["auto", "chat", "plain"]
"""How prompt and response become one text where no separator parts them.
auto: through the chat template where the tokenizer has one."""

_CHUNK = 1000


def in_grid(values_R: torch.Tensor, grid_BW: torch.Tensor) -> torch.Tensor:
    """A value for each row of a batch (R), by prompt (B, W); 0 where there is no row."""
    return values_R[grid_BW.clamp(min=0)].masked_fill(grid_BW == NO_ROW, 0.0)


# --- Encoding ------------------------------------------------------------------

_FIXED, _PROMPT, _RESPONSE = range(3)
"""What a token belongs to: what stands around texts, the prompt, or the response. Each is one more
than the text is called where windows are cut."""


@dataclass(frozen=True)
class _Row:
    """A prompt and a response as tokens, what each belongs to, and its segment if told apart."""

    ids_T: np.ndarray
    kinds_T: np.ndarray
    types_T: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids_T)

    def kept(self, long: LongTexts, max_length: int) -> list[np.ndarray]:
        """The tokens that a model reads, a row or more."""
        if long.reads_plainly:
            return [self._within(max_length)]
        return long.cut(self.kinds_T - _PROMPT, max_length)

    def _within(self, max_length: int) -> np.ndarray:
        """The prompt loses its beginning first, then the response its end."""
        prompt, response = (np.flatnonzero(self.kinds_T == kind) for kind in (_PROMPT, _RESPONSE))
        spare = np.concatenate([prompt, response[::-1]])[: max(0, len(self) - max_length)]
        return np.delete(np.arange(len(self)), spare)

    def only(self, kept: np.ndarray) -> _Row:
        types_T = None if self.types_T is None else self.types_T[kept]
        return _Row(self.ids_T[kept], self.kinds_T[kept], types_T)

    @property
    def labels_T(self) -> np.ndarray:
        return np.where(self.kinds_T == _RESPONSE, self.ids_T, IGNORED)

    @property
    def answer(self) -> bytes:
        """All but the prompt, to be compared."""
        return self.ids_T[self.kinds_T != _PROMPT].tobytes()


def encode_responses(
    tokenizer: PreTrainedTokenizerBase,
    records: Records,
    max_length: int,
    form: Form,
    joint: str = "",
    learned: bool = False,
    progress: Callable[[int], None] = lambda done: None,
    long: LongTexts = TRUNCATE,
) -> Grouped:
    """Every response with its prompt, and what is left of the judgements.

    `joint` parts prompt and response where they would touch. `learned`: rows have labels, the
    tokens of the response, which loses its end when cut; else that stays, a score is read there.
    """
    owners = [i for i, responses in enumerate(records["responses"]) for _ in responses]

    def heard(done: int) -> None:
        progress(owners[done - 1] + 1 if done else 0)

    said = [response for responses in records["responses"] for response in responses]
    whole, told = _rows(tokenizer, records, owners, said, form, joint, learned, heard)
    kept = [row.kept(long, max_length) for row in whole]
    rows = [row.only(one) for row, parts in zip(whole, kept, strict=True) for one in parts]
    lost = [is_short_of(parts, len(row)) for row, parts in zip(whole, kept, strict=True)]
    numbers = [len(parts) for parts in kept]
    encoded = Encoded.of(
        [row.ids_T for row in rows],
        np.repeat(lost, numbers).tolist(),
        labels=[row.labels_T for row in rows] if learned else None,
        type_ids=_told_apart(rows),
    )
    starts = ragged.offsets_of([len(group) for group in records["responses"]])
    windows = long.index(numbers)
    examples = Grouped(encoded, judged(records), records, starts, said=told, windows=windows)
    seen = whole if long.in_windows else rows
    return examples if examples.targets is None else _without_alike(examples, seen)


def _told_apart(rows: Sequence[_Row]) -> list[np.ndarray] | None:
    """Segments, where any row has a second one; without them models take the first."""
    types = [row.types_T for row in rows if row.types_T is not None]
    return types if any(types_T.any() for types_T in types) else None


def _rows(
    tokenizer: PreTrainedTokenizerBase,
    records: Records,
    owners: Sequence[int],
    responses: Sequence[str],
    form: Form,
    joint: str,
    learned: bool,
    progress: Callable[[int], None],
) -> tuple[list[_Row], tuple[Message, ...]]:
    """The rows, uncut, and what is told of them. `owners`: the record of each response."""
    alone = all(prompt is None for prompt in records["prompt"])
    if tokenizer.sep_token is not None and not learned:
        prompts = None if alone else [records["prompt"][owner] or "" for owner in owners]
        return list(_separated(tokenizer, prompts, responses, progress)), ()
    pairs = list(zip(owners, responses, strict=True))
    if alone or style_of(tokenizer, form) == "plain":
        rendered = [
            chat.render_plain(tokenizer, *touching(records["prompt"][owner] or "", said, joint))
            for owner, said in pairs
        ]
    else:
        rendered = [
            chat.render_chat(
                tokenizer,
                [*conversation(records, owner), {"role": "assistant", "content": said}],
                "last",
                records.place(owner),
            )
            for owner, said in pairs
        ]
    encoded = chat.tokenise_chat(tokenizer, rendered, chat.UNLIMITED, progress)
    rows = [_marked(encoded.take([i]), tokenizer, learned) for i in range(len(encoded))]
    lines = [records.lines[owner] for owner in owners]
    return rows, chat.findings(tokenizer, rendered, lines, learned=learned)


def fit_tokenizer(tokenizer: PreTrainedTokenizerBase, form: Form) -> None:
    """Conversations need a template, and one that lacks nothing."""
    if form == "chat" or (form == "auto" and tokenizer.chat_template):
        chat.ensure_template(tokenizer)


def style_of(tokenizer: PreTrainedTokenizerBase, form: Form) -> Literal["chat", "plain"]:
    """How prompt and response become one text for this tokenizer."""
    fit_tokenizer(tokenizer, form)
    return "plain" if form == "plain" or not tokenizer.chat_template else "chat"


def conversation(records: Records, index: int) -> list[dict[str, str]]:
    """What was answered, as turns."""
    turns = records["messages"][index]
    return list(turns or [{"role": "user", "content": records["prompt"][index] or ""}])


def touching(prompt: str, response: str, joint: str) -> tuple[str, str]:
    """Both, with `joint` at the prompt's end where nothing else would part them."""
    touch = prompt and not prompt[-1].isspace() and not response[:1].isspace()
    return prompt + (joint if touch else ""), response


def _marked(text: Encoded, tokenizer: PreTrainedTokenizerBase, learned: bool) -> _Row:
    """One text whose response is labelled. What begins a text stays, whatever is cut."""
    assert text.labels is not None
    said = np.flatnonzero(text.labels != IGNORED)
    kinds_T = np.full(len(text.ids), _FIXED, dtype=np.int8)
    kinds_T[: said[0] if len(said) else len(kinds_T)] = _PROMPT
    kinds_T[said if learned else said[:-1]] = _RESPONSE
    if tokenizer.bos_token_id is not None and text.ids[0] == tokenizer.bos_token_id:
        kinds_T[0] = _FIXED
    return _Row(text.ids, kinds_T)


def _separated(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str] | None,
    responses: Sequence[str],
    progress: Callable[[int], None],
) -> Iterator[_Row]:
    """Pairs of texts as encoders read them, with a separator between; or texts by themselves."""
    require_parts(tokenizer)
    for start in range(0, len(responses), _CHUNK):
        stop = start + _CHUNK
        said = list(responses[start:stop])
        texts = (said,) if prompts is None else (list(prompts[start:stop]), said)
        batch = special_tokens.tokenise(tokenizer, *texts, truncation=False, verbose=False)
        kind_of = {None: _FIXED, 0: _PROMPT, len(texts) - 1: _RESPONSE}
        for i, ids in enumerate(batch["input_ids"]):
            kinds = [kind_of[number] for number in batch.sequence_ids(i)]
            types = batch["token_type_ids"][i] if "token_type_ids" in batch else None
            yield _Row(
                np.asarray(ids, dtype=np.int32),
                np.asarray(kinds, dtype=np.int8),
                None if types is None else np.asarray(types, dtype=np.int8),
            )
        progress(min(stop, len(responses)))


# --- Judgements ----------------------------------------------------------------


def judged(records: Records) -> np.ndarray | None:
    """N times `ResponseTarget`; None where the records hold no judgements."""
    if "pairs" not in records and "score" not in records:
        return None
    targets = np.empty(len(records), dtype=object)
    for i, responses in enumerate(records["responses"]):
        targets[i] = ResponseTarget(
            np.array([len(response) for response in responses]),
            tuple(records["pairs"][i]) if "pairs" in records else (),
            records["score"][i] if "score" in records else None,
        )
    return targets


def _without_alike(examples: Grouped, rows: Sequence[_Row]) -> Grouped:
    """Without pairs of which the model would read the same, and prompts without any other."""
    targets, starts = examples.targets, examples.starts
    assert targets is not None
    alike: list[int] = []
    for i, target in enumerate(targets):
        answers = [row.answer for row in rows[starts[i] : starts[i + 1]]]
        told_apart = [p for p in target.pairs if answers[p.winner] != answers[p.loser]]
        alike += [pair.line for pair in target.pairs if pair not in told_apart]
        targets[i] = replace(target, pairs=tuple(told_apart))
    if not alike:
        return examples
    kept = [i for i, target in enumerate(targets) if target.pairs or target.score is not None]
    return replace(examples.take(kept), alike=tuple(alike))
