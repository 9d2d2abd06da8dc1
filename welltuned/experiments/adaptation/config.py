"""AdaptConfig: a run whose model first reads unlabelled texts."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from welltuned.config import RunConfig
from welltuned.engines.config import TrainingConfig
from welltuned.protection import Protections
from welltuned.rlhf.stage_config import Nested
from welltuned.schema.part import conflict
from welltuned.strategies import AnyStrategy, default_strategy

USUAL = {"learning_rate": 1e-4, "warmup_ratio": 0.06, "weight_decay": 0.01}
"""What `auto` means for an encoder that reads unlabelled texts (Gururangan et al. 2020)."""


class AdaptationConfig(Nested):
    """How the model reads unlabelled texts before it learns the task."""

    strategy: AnyStrategy = Field(default_factory=default_strategy)
    """Which weights train meanwhile; one that changes the model's own, such as full or partial."""
    training_texts: bool = True
    """Read the texts of the labelled training examples, too."""
    mlm_probability: float = Field(default=0.15, gt=0, lt=1)
    """The share of a text's tokens that an encoder is to foretell."""
    whole_word_mask: bool = True
    """Hide all pieces of a word together; a word is a character in Chinese and its like."""
    max_length: int | Literal["auto"] = Field(default="auto", examples=[128])
    """Maximum tokens per row, special tokens included; longer texts are split into rows. auto: the
    model's limit, at most 512."""
    new_tokens: int = Field(default=0, ge=0, examples=[1000])
    """Vocabulary extension: at most so many words of the texts that an encoder's tokenizer takes
    apart become tokens. Each begins as the mean of its pieces, and is trained."""
    training: TrainingConfig = TrainingConfig()
    """Hyper-parameters of the reading. auto: for an encoder a learning rate of 1e-4, a warm-up of
    6% and a weight decay of 0.01."""
    protection: Protections = ()
    """Regularisation against catastrophic forgetting while the texts are read."""
    folder: str | None = Field(default=None, examples=["runs/adapted"])
    """Where adapted models are kept, each in a folder named by a hash of what it follows from:
    whatever asks for the same model finds it there. Default: `adapted` beside the run's folder."""

    @model_validator(mode="after")
    def _changes_the_model(self) -> AdaptationConfig:
        if not self.strategy.saves_whole_model:
            raise conflict(
                "adapt.strategy_of_adapters",
                "'adaptation.strategy: {strategy}' would leave the model's own weights as they "
                "are, and any strategy is to start from them",
                "use full or partial",
                strategy=self.strategy.type,
            )
        return self


class AdaptConfig(RunConfig):
    """A run whose model is adapted to unlabelled texts first."""

    reads_unlabelled: ClassVar[bool] = True

    pipeline: Literal["adapt"] = "adapt"
    """Reading unlabelled texts, then an ordinary run."""
    adaptation: AdaptationConfig = AdaptationConfig()
    """How the unlabelled texts are read."""

    @model_validator(mode="after")
    def _texts_are_apart(self) -> AdaptConfig:
        if self.data.folds is not None:
            raise conflict(
                "adapt.folds_unsupported",
                "'data.folds' has other training texts in each fold, and 'pipeline: adapt' reads "
                "them once",
                "remove data.folds",
            )
        if self.data.unlabelled is None and not self.adaptation.training_texts:
            raise conflict(
                "adapt.nothing_to_read",
                "'adaptation.training_texts: false' leaves no text to read, for 'data.unlabelled' "
                "names none",
                "add data.unlabelled=texts.jsonl",
            )
        return self
