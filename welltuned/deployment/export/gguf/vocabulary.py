"""The tokenizer of a GGUF file: tokens with their kinds, merges or scores, and special tokens.

Two kinds are held: byte-level BPE (`gpt2`), whose merges are written as they are, and BPE over
letters with bytes for the rest (`llama`, SentencePiece's). Of the latter llama.cpp merges by the
score of what comes out; where merges say anything else, there is no such file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from welltuned.deployment.export.base import cannot_hold
from welltuned.errors import InputError
from welltuned.models.gguf.splittings import splitting_of
from welltuned.tasks import chat

if TYPE_CHECKING:
    from gguf import GGUFWriter
    from transformers import PreTrainedTokenizerBase

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""Kinds of tokens, numbered as in GGUF (`gguf.TokenType`)."""
_SPACE = "▁"
"""What stands for a space in pieces of SentencePiece."""
_REMEDY = "export to=plain"


@dataclass(frozen=True)
class Vocabulary:
    """Everything of a tokenizer that a GGUF file holds."""

    model: str
    """`tokenizer.ggml.model`."""
    splitting: str
    """`tokenizer.ggml.pre`."""
    tokens: Sequence[str]
    kinds: Sequence[int]
    merges: Sequence[str]
    """Of byte-level BPE, best first."""
    scores: Sequence[float]
    """Of SentencePiece's: of two pairs the one is merged whose result has the greater."""
    special: Mapping[str, int]
    """Ids by what `GGUFWriter` calls them: bos, eos, unk, pad and eot."""
    begins: bool
    """Whether the tokenizer begins every text with bos."""
    ends: bool
    """Whether it ends every text with eos."""
    puts_space_first: bool
    """Whether it puts a space before every text."""

    def write(self, writer: GGUFWriter) -> None:
        """As the file's metadata."""
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.splitting)
        writer.add_token_list(list(self.tokens))
        writer.add_token_types(list(self.kinds))
        if self.scores:
            writer.add_token_scores(list(self.scores))
        if self.merges:
            writer.add_token_merges(list(self.merges))
        for name, number in self.special.items():
            getattr(writer, f"add_{name}_token_id")(number)
        writer.add_add_bos_token(self.begins)
        writer.add_add_eos_token(self.ends)
        writer.add_add_space_prefix(self.puts_space_first)


def read_vocabulary(tokenizer: PreTrainedTokenizerBase, rows: int) -> Vocabulary:
    """Of a tokenizer whose model has so many embeddings.

    Raises `InputError` where the format cannot hold it.
    """
    if not tokenizer.is_fast:
        raise _unheld("its tokenizer has no tokenizer.json")
    backend: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    model = backend["model"]
    if model["type"] != "BPE" or not model["merges"]:
        raise _unheld(f"its tokenizer is no BPE with merges but {model['type']}")
    merges = [tuple(pair.split(" ") if isinstance(pair, str) else pair) for pair in model["merges"]]
    read = _of_pieces if model.get("byte_fallback") else _of_bytes
    return read(tokenizer, backend, merges, rows)


def _of_bytes(
    tokenizer: PreTrainedTokenizerBase, backend: dict[str, Any], merges: list[Any], rows: int
) -> Vocabulary:
    """Byte-level BPE."""
    splitting = splitting_of(backend)
    if splitting is None:
        raise _unheld("its tokenizer splits texts in a way that llama.cpp has no name for")
    if backend["normalizer"] not in (None, {"type": "NFC"}):
        raise _unheld("its tokenizer changes texts before it splits them")
    tokens, kinds = _tokens(backend, rows, unk=None)
    begins, ends = _added(tokenizer)
    return Vocabulary(
        "gpt2", splitting.name, tokens, kinds, [" ".join(pair) for pair in merges], (),
        _special(tokenizer), begins, ends, puts_space_first=False,
    )  # fmt: skip


def _of_pieces(
    tokenizer: PreTrainedTokenizerBase, backend: dict[str, Any], merges: list[Any], rows: int
) -> Vocabulary:
    """SentencePiece's BPE."""
    tokens, kinds = _tokens(backend, rows, backend["model"].get("unk_token"))
    scores = piece_scores(backend["model"]["vocab"], merges)
    if scores is None:
        raise _unheld("the merges of its tokenizer do not follow from scores of its pieces")
    lowest = -float(len(merges))
    begins, ends = _added(tokenizer)
    return Vocabulary(
        "llama", "default", tokens, kinds, (), [scores.get(token, lowest) for token in tokens],
        _special(tokenizer), begins, ends, _puts_space_first(backend),
    )  # fmt: skip


def piece_scores(
    vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]
) -> dict[str, float] | None:
    """The score of each piece that merges make; None where merges do not follow from scores.

    They do where every two tokens that make up a piece may be merged, and all merges into one
    piece come before those into the next.
    """
    scores: dict[str, float] = {}
    last = ""
    for rank, (left, right) in enumerate(merges):
        piece = left + right
        if piece in scores and piece != last:
            return None
        scores.setdefault(piece, -float(rank))
        last = piece
    known = {tuple(pair) for pair in merges}
    for piece in vocabulary:
        if _is_byte(piece) or (piece[:1] == "<" and piece[-1:] == ">"):
            continue  # no merge makes bytes or special tokens
        halves = ((piece[:at], piece[at:]) for at in range(1, len(piece)))
        if any(a in vocabulary and b in vocabulary and (a, b) not in known for a, b in halves):
            return None
    return scores


def _tokens(backend: Mapping[str, Any], rows: int, unk: str | None) -> tuple[list[str], list[int]]:
    """(token, kind) of every row of the embeddings; rows without a token are unused."""
    by_id = {number: token for token, number in backend["model"]["vocab"].items()}
    added = {one["id"]: one for one in backend["added_tokens"]}
    by_id |= {number: one["content"] for number, one in added.items()}
    if max(by_id) >= rows:
        raise _unheld(f"its tokenizer has {max(by_id) + 1:,} tokens, and it embeds {rows:,}")
    tokens = [by_id.get(number, f"[PAD{number}]") for number in range(rows)]
    kinds = [
        _kind(token, added.get(number), number in by_id, unk, backend)
        for number, token in enumerate(tokens)
    ]
    return tokens, kinds


def _kind(
    token: str, added: Mapping[str, Any] | None, known: bool, unk: str | None, backend: Any
) -> int:
    if not known:
        return UNUSED
    if token == unk:
        return UNKNOWN
    if added is not None:
        return CONTROL if added["special"] else USER_DEFINED
    return BYTE if backend["model"].get("byte_fallback") and _is_byte(token) else NORMAL


def _is_byte(piece: str) -> bool:
    """Whether a piece stands for a byte, as `<0x0A>` does."""
    return len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")


def _special(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """The ids of special tokens; `eot` ends a turn where that is another than `eos`."""
    named = {
        "bos": tokenizer.bos_token_id,
        "eos": tokenizer.eos_token_id,
        "unk": tokenizer.unk_token_id,
        "pad": tokenizer.pad_token_id,
    }
    ends = [token for token in chat.stop_ids(tokenizer) if token != tokenizer.eos_token_id]
    found = {name: int(number) for name, number in named.items() if isinstance(number, int)}
    return found | ({"eot": ends[0]} if ends else {})


def _added(tokenizer: PreTrainedTokenizerBase) -> tuple[bool, bool]:
    """Whether the tokenizer puts bos before a text, and eos behind it."""
    whole, bare = (
        list(tokenizer("a", add_special_tokens=adds)["input_ids"]) for adds in (True, False)
    )
    begins = whole[:1] == [tokenizer.bos_token_id] != bare[:1]
    ends = whole[-1:] == [tokenizer.eos_token_id] != bare[-1:]
    if whole[int(begins) : len(whole) - int(ends)] != bare:
        raise _unheld("its tokenizer puts other tokens around a text than bos and eos")
    return begins, ends


def _puts_space_first(backend: Mapping[str, Any]) -> bool:
    """Whether a space is put before a text. Raises `InputError` for what llama.cpp does not do."""
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}
    first = {"type": "Prepend", "prepend": _SPACE}
    changes = list(_parts(backend["normalizer"], "normalizers"))
    splits = list(_parts(backend["pre_tokenizer"], "pretokenizers"))
    if not splits and changes in ([first, spaces], [spaces]):
        return first in changes
    metaspace = splits[0] if len(splits) == 1 and splits[0]["type"] == "Metaspace" else None
    if metaspace is not None and not changes and metaspace["replacement"] == _SPACE:
        return metaspace["prepend_scheme"] != "never"
    raise _unheld("its tokenizer changes texts in another way than putting ▁ for spaces")


def _parts(part: Mapping[str, Any] | None, name: str) -> Iterator[Mapping[str, Any]]:
    if part is not None:
        yield from part[name] if part["type"] == "Sequence" else [part]


def _unheld(reason: str) -> InputError:
    return InputError(cannot_hold("gguf", reason, _REMEDY))
