"""How a policy that writes text is asked: prompts as tokens, and as the text that judges read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from welltuned.data.records import Records
from welltuned.tasks import chat
from welltuned.tasks.generation.codec import ConversationCodec
from welltuned.tasks.parts import Prompter

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class TextPrompter(Prompter):
    """Conversations through the chat template, or texts to go on from."""

    codec: ConversationCodec

    @property
    def joint(self) -> str:
        """A conversation's answer stands on a line of its own; a text goes on where it was."""
        return "\n" if self.codec.style == "chat" else ""

    def prompt(
        self, tokenizer: PreTrainedTokenizerBase, records: Records, index: int, beginning: int
    ) -> tuple[list[int], str]:
        if self.codec.style == "chat":
            turns = records["messages"][index]
            return _tokens(tokenizer, turns), _asked(turns)
        if prompt := records["prompt"][index]:
            return _tokens(tokenizer, prompt), prompt
        text = str(records["completion"][index] or records["text"][index])
        asked, _ = chat.prompt_of(tokenizer, text)
        ids = chat.tokenise_beginning(tokenizer, asked, beginning).tolist()
        return ids, str(tokenizer.decode(ids, skip_special_tokens=True))

    def as_answers(self, prompts: Sequence[str]) -> Records:
        records = self.codec.records_of(list(prompts))
        if self.codec.style == "plain":
            answers = [" " + prompt for prompt in prompts]
            return replace(records, columns={**records.columns, "completion": answers})
        for turns, prompt in zip(records["messages"], prompts, strict=True):
            turns.append({"role": "assistant", "content": prompt})
        return records


def _tokens(tokenizer: PreTrainedTokenizerBase, given: chat.Messages | str) -> list[int]:
    asked, _ = chat.prompt_of(tokenizer, given)
    return chat.tokenise_prompts(tokenizer, [asked])[0].tolist()


def _asked(messages: Sequence[dict[str, str]]) -> str:
    """The last question alone, or every turn with who said it where there are several."""
    turns = list(messages[:-1] if messages[-1]["role"] == "assistant" else messages)
    if len(turns) == 1:
        return turns[0]["content"]
    return "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)
