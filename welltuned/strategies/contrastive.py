"""Contrastive fine-tuning, for few labels: texts of one label are drawn together, others apart.

Few texts have many pairs, and so more to learn from than their labels (SetFit, Tunstall et al.
2022, arXiv 2209.11055). Another strategy says what trains. The head takes no part in that: once the
rest has been trained, its optimum on the tuned features is solved for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from welltuned.errors import Fault
from welltuned.schema.field_types import GoesWith
from welltuned.schema.part import conflict
from welltuned.schema.plugins import OneOf
from welltuned.strategies.adapter import Adapter
from welltuned.strategies.base import (
    Context,
    ContrastOptions,
    Progress,
    Strategy,
    UpdateKind,
)
from welltuned.strategies.full import Full
from welltuned.strategies.lora import Lora
from welltuned.strategies.partial import Partial

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

    from welltuned.models.anatomy import Anatomy

TRAINERS = OneOf("strategies", Strategy, Full, Partial, Lora, Adapter)
"""What may train by contrast."""
_TEMPERATURE = 0.1
"""That of the paper on supervised contrast (Khosla et al. 2020, arXiv 2004.11362)."""
_LABEL = "{label}"
_ROUNDS, _MOST_DRAWN = 20, 10_000
"""As many as SetFit's pairs of each kind for a text (`num_iterations` in its examples), and the
most texts that an epoch draws by default."""


class Contrastive(Strategy):
    """For few labels: texts of one label are drawn together and others apart, by training what
    `trains` says; then the head is solved for."""

    stands_in_all: ClassVar[bool] = False
    trains_few: ClassVar[bool] = True

    type: Literal["contrastive"] = "contrastive"
    head_learning_rate_scale: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        default="auto", examples=[1]
    )
    """Of no use here: the head takes no steps."""
    trains: Annotated[Strategy, TRAINERS] = Field(
        default_factory=Full, examples=[{"type": "lora", "r": 16}]
    )
    """The strategy that says which weights train: full, partial, lora or adapter, with its
    options."""
    loss: Literal["supcon", "cosine"] = "supcon"
    """supcon: each text tells those with its labels from all others of its group (Khosla et al.
    2020, arXiv 2004.11362); cosine: the cosine of each pair goes to 1, or to 0 (as SetFit's, arXiv
    2209.11055). Of several labels, texts are alike by the share that they have in common."""
    temperature: Annotated[
        Annotated[float, Field(gt=0, le=1)] | None, GoesWith("loss", "supcon")
    ] = Field(default=None, examples=[0.2])
    """supcon: cosines are divided by this; the smaller, the more the nearest of the others count.
    Default: 0.1, as in its paper."""
    group_size: int = Field(default=16, ge=4, multiple_of=2)
    """Texts of a group, which stand in one batch and are compared with one another; half as many
    couples of one label each."""
    rounds: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(default="auto", examples=[10])
    """How many times an epoch draws each text, each time among others: pairs are drawn and never
    listed, so that an epoch takes time in proportion to the texts. auto: 20, and of more than 500
    texts fewer, so that about 10,000 are drawn, each at least once."""
    label_template: str | None = Field(default=None, examples=["This is about {label}."])
    """A text for each label, which is learned from beside the others, so that what labels are
    called counts too. {label} stands for its name; `task.label_names` gives names to numbers."""

    @field_validator("trains", mode="before")
    @classmethod
    def _spelt_out(cls, given: object) -> object:
        return {"type": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _consistent(self) -> Contrastive:
        if self.loss != "supcon" and self.temperature is not None:
            raise conflict(
                "strategy.temperature_without_supcon",
                "'strategy.temperature' requires 'strategy.loss: supcon'",
                "remove it, or use supcon",
            )
        if self.label_template is not None and _LABEL not in self.label_template:
            raise conflict(
                "strategy.template_without_label",
                "'strategy.label_template' does not say where the label's name goes",
                "write {label} there, in braces",
                label=_LABEL,
            )
        scales = self.head_learning_rate_scale, self.trains.head_learning_rate_scale
        if any(scale not in ("auto", 1) for scale in scales):
            raise conflict(
                "strategy.head_is_solved",
                "'strategy.head_learning_rate_scale' has no use here: the head takes no steps, for "
                "its optimum is solved for",
                "remove it",
            )
        return self

    @property
    def contrast(self) -> ContrastOptions:
        rounds = 1 if self.rounds == "auto" else self.rounds
        temperature = _TEMPERATURE if self.temperature is None else self.temperature
        return ContrastOptions(self.loss, temperature, self.group_size, rounds, self.label_template)

    def chosen_for(self, examples: int) -> Mapping[str, tuple[int, str]]:
        if self.rounds != "auto":
            return {}
        few = max(1, min(_ROUNDS, _MOST_DRAWN // max(1, examples)))
        return {"rounds": (few, f"of {examples:,} texts; not measured here")}

    # --- What trains ---

    def check(self, anatomy: Anatomy) -> Iterator[Fault]:
        yield from self.trains.check(anatomy)
        if self.trains.trains_head_alone:
            yield Fault(
                "strategy.contrast_of_nothing",
                "'strategy.trains' leaves all but the head as it is, and the head takes no part in "
                "the contrast, so nothing would train",
                None,
                "let blocks train, or use strategy {trains} by itself",
                trains=self.trains.type,
            )
        if anatomy.head and not anatomy.linear_head:
            yield Fault(
                "strategy.head_not_linear",
                "strategy '{strategy}' solves for a head that is one linear layer, and this one is "
                "more",
                None,
                "set task.pooling to mean, first or last",
                strategy=self.type,
            )

    def prepare(self, model: PreTrainedModel, context: Context) -> nn.Module:
        prepared = self.trains.prepare(model, context)
        for name, parameter in prepared.named_parameters():
            if context.anatomy.depth(name) == 0:
                parameter.requires_grad_(False)
        return prepared

    def ever_trains(self, name: str, parameter: nn.Parameter, anatomy: Anatomy) -> bool:
        if anatomy.depth(name) == 0:
            return ".original_module." not in name  # PEFT's spare copy of the head
        return self.trains.ever_trains(name, parameter, anatomy)

    def learning_rate_scale(self, name: str, anatomy: Anatomy) -> float:
        return 1.0 if anatomy.depth(name) == 0 else self.trains.learning_rate_scale(name, anatomy)

    def advance(self, model: nn.Module, anatomy: Anatomy, progress: Progress) -> str | None:
        return self.trains.advance(model, anatomy, progress)

    # --- What is known of it, and done with its artifact: as of the strategy that trains ---

    @property
    def plausible_rates(self) -> tuple[float, float]:  # type: ignore[override]
        return self.trains.plausible_rates

    @property
    def saves_whole_model(self) -> bool:  # type: ignore[override]
        return self.trains.saves_whole_model

    @property
    def needs_import(self) -> bool:  # type: ignore[override]
        return self.trains.needs_import

    @property
    def starts_unchanged(self) -> bool:  # type: ignore[override]
        return self.trains.starts_unchanged

    @property
    def merge_refusal(self) -> str | None:  # type: ignore[override]
        return self.trains.merge_refusal

    @property
    def input_positions(self) -> int:
        return self.trains.input_positions

    @property
    def changes_base(self) -> bool:
        return self.trains.changes_base

    @property
    def quantization_refusal(self) -> str | None:
        return self.trains.quantization_refusal

    @property
    def update_kind(self) -> UpdateKind:
        return self.trains.update_kind

    def continued(self) -> Contrastive:
        return self.model_copy(update={"trains": self.trains.continued()})

    @contextmanager
    def base_model(self, model: object) -> Iterator[None]:
        with self.trains.base_model(model):
            yield

    def merged_for_inference(self, model: nn.Module) -> AbstractContextManager[None]:
        return self.trains.merged_for_inference(model)

    def finish(self, model: nn.Module) -> None:
        self.trains.finish(model)

    def save(self, model: Any, folder: Path) -> None:
        self.trains.save(model, folder)

    def merge(self, model: Any) -> PreTrainedModel:
        return self.trains.merge(model)
