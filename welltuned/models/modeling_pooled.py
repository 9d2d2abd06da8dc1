"""Text classifier with a choice of pooling: first, mean or last token.

This file is saved beside the weights of such models and must need nothing but
torch and transformers: with `trust_remote_code=True` the plain libraries load
the folder through it. With `import welltuned` it is registered and no trust is
asked for.

The trunk keeps the attribute name of its own family (`bert`, `model`, …), so a
checkpoint of the family loads into it as it would into the family's own
classifier.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeGuard

import torch
from torch import nn
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class PooledConfig(PreTrainedConfig):
    """The trunk's own config, how its hidden states are pooled, and the labels.

    `pair: separate` says that rows are texts of pairs, which follow each other.
    """

    model_type = "welltuned-pooled"
    sub_configs: ClassVar[dict[str, Any]] = {"trunk": AutoConfig}

    def __init__(
        self,
        trunk: PreTrainedConfig | dict[str, Any] | None = None,
        pooling: str = "mean",
        classifier_dropout: float | None = None,
        pair: str = "together",
        **kwargs: Any,
    ) -> None:
        self.trunk: Any = AutoConfig.for_model(**trunk) if isinstance(trunk, dict) else trunk
        self.pooling = pooling
        self.classifier_dropout = classifier_dropout
        self.pair = pair
        if self.trunk is not None:
            kwargs.setdefault("pad_token_id", self.trunk.pad_token_id)
        super().__init__(**kwargs)

    def get_text_config(self, *args: object, **kwargs: object) -> PreTrainedConfig:
        """The trunk's config: where sizes and special tokens are to be read."""
        return self.trunk if self.trunk is not None else self


class PooledForSequenceClassification(PreTrainedModel):
    """trunk -> pooled hidden state (B, H) -> dropout -> linear layer (B, labels).

    Where pairs are read separately, B rows give B/2 answers, of `compare_pairs`.
    """

    config_class = PooledConfig
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _keys_to_ignore_on_load_unexpected = [r"(^|\.)pooler\.", r"^lm_head\.", r"^cls\."]  # noqa: RUF012

    def __init__(self, config: PooledConfig) -> None:
        from transformers import AutoModel  # not above: importing it registers this very class

        super().__init__(config)
        # Only a trunk whose config is code of its own may bring a model of its own: never ask.
        own_code = type(config.trunk).__module__.startswith("transformers_modules.")
        trunk = AutoModel.from_config(config.trunk, trust_remote_code=own_code)
        if getattr(trunk, "pooler", None) is not None:
            trunk.pooler = None  # never read here; a weight that trains on nothing misleads
        self.base_model_prefix = trunk.base_model_prefix
        setattr(self, self.base_model_prefix, trunk)
        dropout = config.classifier_dropout
        if dropout is None:
            dropout = getattr(config.trunk, "hidden_dropout_prob", 0.0)
        self.dropout = nn.Dropout(dropout)
        num_labels: Any = config.num_labels
        read = 4 if config.pair == "separate" else 1
        self.classifier = nn.Linear(read * config.trunk.hidden_size, num_labels)
        self.post_init()

    @property
    def _reads_left_to_right(self) -> bool:
        """Encoders have masked language models; they number tokens in ways of their own."""
        # Imported late: its import is what makes `welltuned` register this very file.
        from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

        return self.config.trunk.model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES

    def get_input_embeddings(self) -> nn.Module:
        trunk: Any = self.base_model
        return trunk.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        trunk: Any = self.base_model
        trunk.set_input_embeddings(value)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: object,
    ) -> SequenceClassifierOutput:
        """Logits (B, labels). Without a mask every token counts as real."""
        if self._reads_left_to_right and _is_padded_left(attention_mask):
            positions = (attention_mask.cumsum(dim=1) - 1).clamp(min=0)
            kwargs.setdefault("position_ids", positions)  # else padding would be counted
        outputs = self.base_model(input_ids=input_ids, attention_mask=attention_mask, **kwargs)
        pooled = pool(outputs.last_hidden_state, attention_mask, self.config.pooling)
        if self.config.pair == "separate":
            pooled = compare_pairs(pooled)
        logits = self.classifier(self.dropout(pooled))
        loss = None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=getattr(outputs, "hidden_states", None)
        )


def _is_padded_left(mask_BT: torch.Tensor | None) -> TypeGuard[torch.Tensor]:
    return mask_BT is not None and mask_BT.ndim == 2 and not bool(mask_BT[:, 0].all())


def compare_pairs(pooled_RH: torch.Tensor) -> torch.Tensor:
    """What is read of two vectors that follow each other (R/2, 4 H).

    Both, how far they are apart in each feature, and their product (Conneau et al. 2017, arXiv
    1705.02364).
    """
    first_BH, second_BH = pooled_RH[0::2], pooled_RH[1::2]
    apart_BH = (first_BH - second_BH).abs()
    return torch.cat([first_BH, second_BH, apart_BH, first_BH * second_BH], dim=-1)


def pool(hidden_BTH: torch.Tensor, mask_BT: torch.Tensor | None, pooling: str) -> torch.Tensor:
    """Pool hidden states (B, T, H) to (B, H) over real tokens.

    The padding may stand on either side.
    """
    if mask_BT is None:
        mask_BT = hidden_BTH.new_ones(hidden_BTH.shape[:2], dtype=torch.long)
    if pooling == "mean":
        weights_BT1 = mask_BT.unsqueeze(-1).to(hidden_BTH.dtype)
        return (hidden_BTH * weights_BT1).sum(1) / weights_BT1.sum(1).clamp(min=1)
    positions_T = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    rows_B = torch.arange(mask_BT.shape[0], device=mask_BT.device)
    if pooling == "first":
        return hidden_BTH[rows_B, mask_BT.argmax(dim=1)]
    if pooling == "last":
        return hidden_BTH[rows_B, (mask_BT * positions_T).argmax(dim=1)]
    raise ValueError(f"unknown pooling '{pooling}'; choose first, mean or last")
