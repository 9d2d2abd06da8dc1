"""Registration with PEFT: `PeftModel.from_pretrained` loads the folders of our methods."""

from __future__ import annotations

from typing import Any

from welltuned.models.compat.peft_api import register_method
from welltuned.strategies.peft_methods import bottleneck, prefix, prompt


def register_with_peft(peft: object) -> None:
    """Make `PeftModel.from_pretrained` load our methods. Calling it again changes nothing."""
    methods: list[tuple[Any, Any, Any]] = [
        (bottleneck, bottleneck.BottleneckConfig, bottleneck.BottleneckTuner),
        (prompt, prompt.PromptConfig, prompt.PromptTuner),
        (prefix, prefix.PrefixConfig, prefix.PrefixTuner),
    ]
    for method, config, tuner in methods:
        register_method(method.PEFT_TYPE, method.PREFIX, config, tuner)
