"""Registration of our methods with PEFT, so that `PeftModel.from_pretrained` loads their folders.

PEFT's own `register_peft_method` takes only names of its enum; an outside method has to enter
the mappings under a plain string.
"""

from __future__ import annotations

from typing import Any

from peft import mapping

from welltuned.strategies.peft_methods import bottleneck, prefix, prompt


def register_with_peft(peft: Any) -> None:
    """Make `PeftModel.from_pretrained` load our methods. Calling it again changes nothing."""
    methods: list[tuple[str, str, Any, Any]] = [
        (
            bottleneck.PEFT_TYPE,
            bottleneck.PREFIX,
            bottleneck.BottleneckConfig,
            bottleneck.BottleneckTuner,
        ),
        (prompt.PEFT_TYPE, prompt.PREFIX, prompt.PromptConfig, prompt.PromptTuner),
        (prefix.PEFT_TYPE, prefix.PREFIX, prefix.PrefixConfig, prefix.PrefixTuner),
    ]
    for name, parameter_prefix, config, tuner in methods:
        mapping.PEFT_TYPE_TO_CONFIG_MAPPING[name] = config  # type: ignore[index]
        mapping.PEFT_TYPE_TO_TUNER_MAPPING[name] = tuner  # type: ignore[index]
        mapping.PEFT_TYPE_TO_PREFIX_MAPPING[name] = parameter_prefix  # type: ignore[index]
