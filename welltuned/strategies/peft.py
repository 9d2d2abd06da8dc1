"""Any method of PEFT's, by its name and with its own options."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from welltuned.errors import Fault, InputError
from welltuned.schema.part import conflict_of
from welltuned.strategies.base import Context, InjectedStrategy, modules_to_save
from welltuned.strategies.peft_library.methods import (
    comes_out_again,
    config_classes,
    merge_refusal_of,
    method_refusal,
    possible_methods,
    starts_unchanged_by,
)
from welltuned.strategies.peft_library.options import check_options, option_names

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel
    from torch import nn
    from transformers import PreTrainedModel

    from welltuned.models.anatomy import Anatomy


class Peft(InjectedStrategy):
    """What `method` injects trains, and the head. Every option of the method's config class in PEFT
    may be written here."""

    model_config = ConfigDict(extra="allow")

    stands_in_all: ClassVar[bool] = False

    type: Literal["peft"] = "peft"
    method: str = Field(default="ia3", examples=["vera"])
    """PEFT's name of the method: ia3, vera, oft, boft, ln_tuning, loha, lokr, fourierft, hra, miss,
    randlora, …"""
    target_modules: Literal["auto"] | str | tuple[str, ...] = "auto"
    """auto: every linear layer of every block, or what the method is for. Else names or a regular
    expression, as in PEFT."""

    @model_validator(mode="after")
    def _known_to_peft(self) -> Peft:
        if (fault := method_refusal(self.method)) is not None:
            raise conflict_of(fault)
        check_options(self.method, self.model_extra or {})
        return self

    @classmethod
    def variants(cls) -> list[dict[str, object]]:
        return [{"type": "peft", "method": method} for method in possible_methods()]

    @property
    def merge_refusal(self) -> str | None:  # type: ignore[override]
        return merge_refusal_of(self.method)

    @property
    def starts_unchanged(self) -> bool:  # type: ignore[override]
        return starts_unchanged_by(self.method)

    def check(self, anatomy: Anatomy) -> Iterator[Fault]:
        from welltuned.strategies.peft_library.placement import refused_by_peft, usual_targets

        if self.target_modules == "auto" and not usual_targets(self.method, anatomy):
            yield Fault(
                "strategy.peft_no_targets",
                "PEFT's method '{method}' has nothing to go into in the blocks of '{family}'",
                None,
                "name modules in strategy.target_modules",
                method=self.method,
                family=anatomy.family,
            )
            return
        if isinstance(self.target_modules, str) and self.target_modules != "auto":
            return  # whatever it matches shows on the model itself
        config = self._config(anatomy, None, [])
        reason = refused_by_peft(config, anatomy)
        if reason is not None:
            yield self._unsupported(anatomy, reason)

    def prepare(self, model: PreTrainedModel, context: Context) -> PeftModel:
        from welltuned.strategies.peft_library.placement import REFUSALS, said_by

        try:
            return super().prepare(model, context)
        except REFUSALS as error:  # what shows on the model's own weights alone
            if next(model.parameters()).is_meta:  # where these are none, nothing is refused
                raise NotImplementedError(said_by(error)) from error
            raise InputError(self._unsupported(context.anatomy, said_by(error))) from error

    def _unsupported(self, anatomy: Anatomy, reason: str) -> Fault:
        return Fault(
            "strategy.peft_unsupported",
            "PEFT's method '{method}' does not support the layers of '{family}': {reason}",
            None,
            "change the method's options as it says, or use lora",
            method=self.method,
            family=anatomy.family,
            reason=reason,
        )

    def peft_config(self, context: Context) -> PeftConfig:
        return self._config(context.anatomy, context.task_type, modules_to_save(context.anatomy))

    def _config(self, anatomy: Anatomy, task_type: str | None, saved: list[str]) -> PeftConfig:
        from welltuned.strategies.peft_library.placement import usual_options, usual_targets

        known = option_names(self.method)
        options: dict[str, Any] = {**usual_options(known, anatomy), **(self.model_extra or {})}
        targets: Any = self.target_modules
        if targets == "auto":
            targets = usual_targets(self.method, anatomy)
        elif isinstance(targets, tuple):
            targets = list(targets)
        if "target_modules" in known:
            options["target_modules"] = targets
        saved = list(dict.fromkeys([*saved, *(options.pop("modules_to_save", None) or [])]))
        return config_classes()[self.method](
            task_type=task_type, modules_to_save=saved or None, **options
        )

    def merged_for_inference(self, model: nn.Module) -> AbstractContextManager[None]:
        again = comes_out_again(self.method)
        return super().merged_for_inference(model) if again else nullcontext()

    def merge(self, model: Any) -> PreTrainedModel:
        self.require_mergeable()
        return model.merge_and_unload()
