"""Chat templates of model families, as short as their formats allow.

Each writes what the family's own template writes for these turns: marks, white space, which turns
it takes, what it closes an answer with. Tools, dates and default system texts are left away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from talking import byte_tokenizer


@dataclass(frozen=True)
class Family:
    """A family's format."""

    template: str
    special: tuple[str, ...]
    """Every special token that the template writes."""
    eos: str
    end: str
    """What closes an answer in a run: the family's own token, or the one that is added."""
    bos: str | None = None
    lost: tuple[str, ...] = ()
    """Roles of a conversation with a system text that the template leaves out."""
    refuses: tuple[str, ...] = ()
    """Roles that it refuses."""
    mended: tuple[str, ...] = ()
    """What it lacks."""

    def tokenizer(self) -> Any:
        names = {"eos_token": self.eos, "pad_token": self.eos}
        names |= {"bos_token": self.bos} if self.bos else {}
        return byte_tokenizer(self.template, self.special, **names)


def marked(before: str, after: str, ask: str, start: str = "") -> str:
    """A template whose turns all have one form; `ROLE` stands for the role in it."""
    role = "' + m.role + '"
    turn = f"{{{{ '{before.replace('ROLE', role)}' + m.content + '{after}' }}}}"
    turns = f"{{% for m in messages %}}{turn}{{% endfor %}}"
    return f"{start}{turns}{{% if add_generation_prompt %}}{{{{ '{ask}' }}}}{{% endif %}}"


BOS = "{{ bos_token }}"
CHATML = marked(r"<|im_start|>ROLE\n", r"<|im_end|>\n", r"<|im_start|>assistant\n")
IM = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
BEGIN, END = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"

FAMILIES: dict[str, Family] = {
    "qwen2": Family(CHATML, IM, "<|im_end|>", "<|im_end|>"),
    "smollm2": Family(CHATML, IM, "<|im_end|>", "<|im_end|>", bos="<|im_start|>"),
    "chatml-on-a-base-model": Family(CHATML, IM, "<|endoftext|>", "<|im_end|>"),
    "qwen3": Family(  # the last answer has a thought, be it empty; earlier ones have none
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}"
        "{% if m.role == 'assistant' %}"
        "{% set said = m.content.split('</think>')[-1].lstrip('\\n') %}"
        "{% set thought = m.content.split('</think>')[0].split('<think>')[-1].strip('\\n')"
        " if '</think>' in m.content else '' %}"
        "{% if loop.last %}{{ '<think>\\n' + thought + '\\n</think>\\n\\n' + said }}"
        "{% else %}{{ said }}{% endif %}"
        "{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
        IM,
        "<|im_end|>",
        "<|im_end|>",
    ),
    "llama-2": Family(
        "{% set system = messages[0].content if messages[0].role == 'system' else '' %}"
        "{% set turns = messages | rejectattr('role', 'equalto', 'system') | list %}"
        "{% for m in turns %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' }}"
        "{% if loop.first and system %}{{ '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' }}{% endif %}"
        "{{ m.content | trim + ' [/INST]' }}"
        "{% else %}{{ ' ' + m.content | trim + ' ' + eos_token }}{% endif %}{% endfor %}",
        ("<s>", "</s>"),
        "</s>",
        "</s>",
        bos="<s>",
    ),
    "llama-3": Family(
        BOS + "{% for m in messages %}"
        "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim }}"
        "{{ '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
        "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
        (
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eot_id|>",
        ),
        "<|end_of_text|>",
        "<|eot_id|>",
        bos="<|begin_of_text|>",
    ),
    "mistral": Family(  # the system text goes before the last question
        BOS + "{% set system = messages[0].content if messages[0].role == 'system' else '' %}"
        "{% set turns = messages | rejectattr('role', 'equalto', 'system') | list %}"
        "{% set asked = turns | selectattr('role', 'equalto', 'user') | list %}"
        "{% for m in turns %}{% if m.role == 'user' %}{{ '[INST] ' }}"
        "{% if system and m == asked[-1] %}{{ system + '\\n\\n' }}{% endif %}"
        "{{ m.content + '[/INST]' }}"
        "{% else %}{{ ' ' + m.content | trim + eos_token }}{% endif %}{% endfor %}",
        ("<s>", "</s>", "[INST]", "[/INST]"),
        "</s>",
        "</s>",
        bos="<s>",
    ),
    "gemma": Family(
        BOS + "{% for m in messages %}"
        "{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' }}"
        "{{ m.content | trim + '<end_of_turn>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}",
        ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
        "<eos>",
        "<end_of_turn>",
        bos="<bos>",
        refuses=("system",),
    ),
    "phi-3": Family(
        marked(r"<|ROLE|>\n", r"<|end|>\n", r"<|assistant|>\n"),
        ("<|user|>", "<|system|>", "<|assistant|>", "<|end|>", "<|endoftext|>"),
        "<|endoftext|>",
        "<|end|>",
    ),
    "zephyr": Family(
        marked(r"<|ROLE|>\n", r"</s>\n", r"<|assistant|>\n"), ("<s>", "</s>"), "</s>", "</s>"
    ),
    "deepseek": Family(
        BOS + "{% for m in messages %}{% if m.role == 'system' %}{{ m.content + '\\n\\n' }}"
        "{% elif m.role == 'user' %}{{ 'User: ' + m.content + '\\n\\n' }}"
        "{% else %}{{ 'Assistant: ' + m.content + eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}",
        (BEGIN, END),
        END,
        END,
        bos=BEGIN,
    ),
    "deepseek-r1": Family(  # thoughts are left out of every answer
        BOS + "{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}"
        "{% elif m.role == 'user' %}{{ '<｜User｜>' + m.content }}"
        "{% else %}{{ '<｜Assistant｜>' + m.content.split('</think>')[-1] + eos_token }}{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %}",
        (BEGIN, END, "<｜User｜>", "<｜Assistant｜>"),
        END,
        END,
        bos=BEGIN,
    ),
    "command-r": Family(
        BOS + "{% for m in messages %}{{ '<|START_OF_TURN_TOKEN|>' }}"
        "{{ {'user': '<|USER_TOKEN|>', 'system': '<|SYSTEM_TOKEN|>',"
        " 'assistant': '<|CHATBOT_TOKEN|>'}[m.role] + m.content | trim }}"
        "{{ '<|END_OF_TURN_TOKEN|>' }}{% endfor %}{% if add_generation_prompt %}"
        "{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}",
        (
            "<BOS_TOKEN>",
            "<|START_OF_TURN_TOKEN|>",
            "<|END_OF_TURN_TOKEN|>",
            "<|USER_TOKEN|>",
            "<|SYSTEM_TOKEN|>",
            "<|CHATBOT_TOKEN|>",
        ),
        "<|END_OF_TURN_TOKEN|>",
        "<|END_OF_TURN_TOKEN|>",
        bos="<BOS_TOKEN>",
    ),
    "falcon": Family(  # nothing closes an answer, and nothing asks for one
        "{% for m in messages %}{% if not loop.first %}{{ '\\n\\n' }}{% endif %}"
        "{{ {'system': '', 'user': 'User: ', 'assistant': 'Assistant: '}[m.role] + m.content }}"
        "{% endfor %}",
        ("<|endoftext|>",),
        "<|endoftext|>",
        "<|endoftext|>",
        mended=("end of turn", "generation prompt"),
    ),
    "olmo-2": Family(
        BOS + "{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content }}"
        "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}"
        "{% if not (m.role == 'assistant' and loop.last) %}{{ '\\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}",
        ("<|endoftext|>",),
        "<|endoftext|>",
        "<|endoftext|>",
        bos="<|endoftext|>",
    ),
    "vicuna": Family(
        "{% for m in messages %}{% if m.role == 'system' %}{{ m.content + ' ' }}"
        "{% elif m.role == 'user' %}{{ 'USER: ' + m.content + ' ' }}"
        "{% else %}{{ 'ASSISTANT: ' + m.content + eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}",
        ("<s>", "</s>"),
        "</s>",
        "</s>",
        bos="<s>",
    ),
    "of-an-early-fine-tune": Family(  # system texts go, and only the last answer is closed
        "{% for m in messages if m.role != 'system' %}"
        "{{ '### ' + m.role + ':\\n' + m.content }}"
        "{% if loop.last and m.role == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '### assistant:\\n' }}{% endif %}",
        ("<s>", "</s>"),
        "</s>",
        "</s>",
        lost=("system",),
        mended=("end of earlier turns",),
    ),
}
