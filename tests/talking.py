"""Chat templates of several shapes, a tokenizer that reads bytes, and conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from faults import noted
from welltuned.tasks.chat import findings, prompt_of, render_chat

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role + '\n' + m.content }}<|im_end|>{{ '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant{{ '\n' }}{% endif %}"
)
INSTRUCT = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content | trim }}{{ eos_token }}{% endif %}{% endfor %}"
)
FORGETFUL = (  # earlier turns lose their thoughts, the last one is given empty ones
    "{% for m in messages %}<|im_start|>{{ m.role + '\n' }}"
    "{% if m.role == 'assistant' %}"
    "{% if not loop.last %}{{ m.content.split('</think>')[-1] | trim }}"
    "{% elif '</think>' in m.content %}{{ m.content }}"
    "{% else %}{{ '<think>\n\n</think>\n\n' + m.content }}{% endif %}"
    "{% else %}{{ m.content }}{% endif %}<|im_end|>{{ '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant{{ '\n' }}{% endif %}"
)
THINKING = CHATML.replace(  # an answer is made to begin with a thought, and keeps none
    "assistant{{ '\n' }}", "assistant{{ '\n<think>\n' }}"
).replace("m.content", "m.content.split('</think>')[-1]")
UNCLOSED = (
    "{% for m in messages %}{{ '### ' + m.role + ':\n' + m.content + '\n\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### assistant:\n' }}{% endif %}"
)
DEAF = "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"
STRICT = (
    "{% if messages[0].role != 'user' %}{{ raise_exception('user first') }}{% endif %}" + CHATML
)


SPECIAL = ("<s>", "</s>", "<|im_start|>", "<|im_end|>")


def byte_tokenizer(
    template: str | None = None, special: Sequence[str] = SPECIAL, **tokens: str
) -> Any:
    """One token a byte, so nothing is lost and a letter of Chinese has several tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({token: i for i, token in enumerate([*special, *letters])}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    tokens = {"eos_token": "</s>", "pad_token": "</s>", **tokens}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, extra_special_tokens=list(special), **tokens
    )
    tokenizer.chat_template = template
    return tokenizer


def chat(*said: str, first: str = "user") -> list[dict[str, str]]:
    """Turns of user and assistant in turn."""
    roles = ["user", "assistant"] if first == "user" else ["assistant", "user"]
    return [{"role": roles[i % 2], "content": content} for i, content in enumerate(said)]


def with_own_tokens(single: str) -> Any:
    from tokenizers import processors

    tokenizer = byte_tokenizer(bos_token="<s>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return tokenizer


def told(tokenizer: Any, *talks: Any, train_on: Any = "assistant") -> list[str]:
    """What is told of some conversations, on lines 1, 2 and so on."""
    rendered = [render_chat(tokenizer, one, train_on) for one in talks]
    lines = list(range(1, len(talks) + 1))
    said = findings(tokenizer, rendered, lines, lambda i: prompt_of(tokenizer, talks[i])[0])
    return [words.replace(" split=", "", 1) for words in noted(said)]
