"""Registration of our PEFT methods and models with PEFT and transformers.

* PEFT: our three methods, so that `PeftModel.from_pretrained` loads their folders.
* transformers: the pooled classifier, so that the auto classes load it without
  running code from the folder.

Both happen when the library itself is imported, not before: `import welltuned`
stays instant. PEFT's own `register_peft_method` takes only names of its enum;
an outside method has to enter the mappings under a plain string.
"""

from __future__ import annotations

from typing import Any

import wrapt


def register() -> None:
    """Arrange for both registrations. Calling it again changes nothing."""
    wrapt.register_post_import_hook(_register_with_peft, "peft")
    wrapt.register_post_import_hook(
        _register_with_transformers, "transformers.models.auto.modeling_auto"
    )


def _register_with_peft(peft: Any) -> None:
    from peft import mapping

    from welltuned.strategies.peft_methods import bottleneck, prefix, prompt

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


def _register_with_transformers(modeling_auto: Any) -> None:
    from transformers import AutoConfig

    from welltuned.models.modeling_pooled import PooledConfig, PooledForSequenceClassification

    AutoConfig.register(PooledConfig.model_type, PooledConfig, exist_ok=True)
    modeling_auto.AutoModelForSequenceClassification.register(
        PooledConfig, PooledForSequenceClassification, exist_ok=True
    )
