"""Registration of the pooled classifier with transformers.

Its auto classes then load it without running code from a model's folder.
"""

from __future__ import annotations

from types import ModuleType

from transformers import AutoConfig

from welltuned.models.modeling_pooled import PooledConfig, PooledForSequenceClassification


def register_with_transformers(modeling_auto: ModuleType) -> None:
    """Make the auto classes know `modeling_pooled`. Calling it again changes nothing."""
    AutoConfig.register(PooledConfig.model_type, PooledConfig, exist_ok=True)
    modeling_auto.AutoModelForSequenceClassification.register(
        PooledConfig, PooledForSequenceClassification, exist_ok=True
    )
