"""Chat templates: rendering conversations, and which of their tokens are trained on.

A template writes a conversation as text; what is learned are spans of that text,
carried over to tokens by their offsets.
"""

from welltuned.tasks.chat.findings import findings
from welltuned.tasks.chat.mending import ensure_template
from welltuned.tasks.chat.packing import pack
from welltuned.tasks.chat.rendering import (
    Rendered,
    TrainOn,
    prompt_of,
    render_chat,
    render_plain,
)
from welltuned.tasks.chat.template import DEFAULT_TEMPLATE, Messages
from welltuned.tasks.chat.tokens import (
    UNLIMITED,
    stop_ids,
    tokenise_beginning,
    tokenise_chat,
    tokenise_prompts,
    trained_tokens,
    windows,
)
from welltuned.tasks.chat.tool_calls import calls_as_text, parse_calls, reads

__all__ = [
    "DEFAULT_TEMPLATE",
    "UNLIMITED",
    "Messages",
    "Rendered",
    "TrainOn",
    "calls_as_text",
    "ensure_template",
    "findings",
    "pack",
    "parse_calls",
    "prompt_of",
    "reads",
    "render_chat",
    "render_plain",
    "stop_ids",
    "tokenise_beginning",
    "tokenise_chat",
    "tokenise_prompts",
    "trained_tokens",
    "windows",
]
