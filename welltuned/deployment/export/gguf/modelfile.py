"""The Modelfile by which Ollama runs a GGUF file: its template, where answers end, and sampling.

Ollama's templates are Go's (https://docs.ollama.com/modelfile). The one that is written says what
the tokenizer's own template does, turn by turn; where that is more than turns can say, none is
written, and Ollama goes by the template within the GGUF file as far as it knows it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from welltuned.deployment.export.gguf.turns import Turns, turns_of
from welltuned.tasks import chat

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from welltuned.artifact.save_load import Artifact
    from welltuned.deployment.export.gguf.vocabulary import Vocabulary
    from welltuned.tasks.generation.decoding import Decoding

MODELFILE = "Modelfile"
PLAIN = "{{ .Prompt }}"
"""The template of a model that goes on with a text as it stands."""
_QUOTES = '"""'


def modelfile(weights: str, artifact: Artifact, vocabulary: Vocabulary) -> str:
    """The file beside `weights`, of an artifact that writes text."""
    tokenizer, responder = artifact.tokenizer, cast(Any, artifact.problem.responder)
    decoding: Decoding = responder.config.decoding
    lines = [f"FROM ./{weights}"]
    template = PLAIN if responder.style == "plain" else _template(tokenizer, vocabulary)
    if template is not None:
        lines.append(f"TEMPLATE {_QUOTES}{template}{_QUOTES}")
    stops = tokenizer.convert_ids_to_tokens(chat.stop_ids(tokenizer))
    lines += [f"PARAMETER stop {json.dumps(stop, ensure_ascii=False)}" for stop in stops]
    sampling = {
        "num_ctx": artifact.max_length,
        "num_predict": decoding.max_new_tokens,
        "temperature": f"{decoding.temperature:g}",
        "top_p": f"{decoding.top_p:g}",
        "top_k": 0,
        "repeat_penalty": f"{decoding.repetition_penalty:g}",
    }
    lines += [f"PARAMETER {name} {value}" for name, value in sampling.items()]
    return "\n".join(lines) + "\n"


def _template(tokenizer: PreTrainedTokenizerBase, vocabulary: Vocabulary) -> str | None:
    """Ollama's template; None where there is none that writes the same."""
    turns = turns_of(tokenizer)
    if turns is None:
        return None
    bos = tokenizer.bos_token if vocabulary.begins else None
    template = go_template(turns, bos or "")
    return None if _QUOTES in template else template


def go_template(turns: Turns, bos: str = "") -> str:
    """Turns as a template of Go's; `bos` is left away at the beginning, as llama.cpp puts it."""
    start, before_system = (
        _literal(text.removeprefix(bos)) for text in (turns.start, turns.before_system)
    )
    opening = start
    if turns.takes_system:
        system = f"{before_system}{{{{ .System }}}}{_literal(turns.after_system)}"
        opening = f"{{{{ if .System }}}}{system}{{{{ else }}}}{start}{{{{ end }}}}"
    said = [
        f'{{{{ if eq .Role "{role}" }}}}{_literal(before)}{{{{ .Content }}}}{_literal(behind)}'
        "{{ end }}"
        for role, (before, behind) in (("user", turns.user), ("assistant", turns.assistant))
    ]
    return f"{opening}{{{{ range .Messages }}}}{''.join(said)}{{{{ end }}}}{_literal(turns.ask)}"


def _literal(text: str) -> str:
    """Words of a template; where they could be taken for its commands, as a string."""
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}" if "{{" in text else text
