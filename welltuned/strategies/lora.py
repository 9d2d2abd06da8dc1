"""LoRA: low-rank updates of linear layers, through PEFT (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from welltuned.errors import Fault
from welltuned.schema.part import conflict
from welltuned.schema.search_space import Range
from welltuned.strategies.base import Context, InjectedStrategy, UpdateKind, modules_to_save

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from transformers import PreTrainedModel

    from welltuned.models.anatomy import Anatomy

_OURS = {"type", "head_learning_rate_scale", "loraplus_lr_ratio", "target_modules"}


class Lora(InjectedStrategy):
    """Each linear layer W gets a low-rank update B·A of rank `r`.

    Every option of PEFT's `LoraConfig` may be written here.
    """

    model_config = ConfigDict(extra="allow")

    merge_refusal: ClassVar[str | None] = None
    rl_learning_rate: ClassVar[float | None] = 1e-4

    type: Literal["lora"] = "lora"
    r: Annotated[int, Range(4, 64, log=True)] = Field(default=8, ge=1)
    """The rank."""
    lora_alpha: Annotated[float, Range(8, 64, log=True)] = Field(default=16, gt=0)
    """The update is scaled by alpha / r (alpha / sqrt(r) with `use_rslora`)."""
    lora_dropout: Annotated[float, Range(0.0, 0.2)] = Field(default=0.0, ge=0, lt=1)
    """Dropout on A's input."""
    target_modules: Literal["auto"] | str | tuple[str, ...] = "auto"
    """auto: every linear layer of every block. Else names or a regular expression, as in PEFT."""
    use_rslora: bool = False
    """rsLoRA: scale by alpha / sqrt(r) (arXiv 2312.03732)."""
    use_dora: bool = False
    """DoRA: learn magnitude and direction separately (arXiv 2402.09353)."""
    init_lora_weights: bool | str = True
    """True: B starts at zero. `pissa`, `olora`, `gaussian`, …: see PEFT."""
    loraplus_lr_ratio: float = Field(default=1.0, gt=0)
    """LoRA+: B's learning rate as a multiple of A's (arXiv 2402.12354)."""

    @model_validator(mode="after")
    def _known_to_peft(self) -> Lora:
        if not self.model_extra:
            return self
        known = _peft_fields()
        for key in self.model_extra:
            if key not in known:
                close = difflib.get_close_matches(key, [*known, *_OURS], n=1)
                remedy = (
                    f"did you mean '{close[0]}'?"
                    if close
                    else "see PEFT's LoraConfig for the names"
                )
                raise conflict(
                    "config.key_unknown",
                    "unknown key '{key}'",
                    "{hint}",
                    key=f"strategy.{key}",
                    hint=remedy,
                )
        return self

    def check(self, anatomy: Anatomy) -> Iterator[Fault]:
        if self.target_modules == "auto" and not all(block.linears for block in anatomy.blocks):
            yield Fault(
                "strategy.no_linear_layers",
                "no linear layers were found in the blocks of '{family}'",
                None,
                "name them in strategy.target_modules",
                family=anatomy.family,
            )
        if isinstance(self.target_modules, tuple):
            linears = [linear for block in anatomy.blocks for linear in block.linears]
            for name in self.target_modules:
                if not any(linear == name or linear.endswith(f".{name}") for linear in linears):
                    real = sorted(
                        {
                            linear.removeprefix(f"{block.name}.")
                            for block in anatomy.blocks
                            for linear in block.linears
                        }
                    )
                    yield Fault(
                        "strategy.target_module_unknown",
                        "'{name}' in strategy.target_modules is not a linear layer",
                        None,
                        "this model has {known}",
                        name=name,
                        known=", ".join(real),
                    )

    def peft_config(self, context: Context) -> LoraConfig:
        from peft import LoraConfig

        anatomy = context.anatomy
        options = {key: value for key, value in self.model_dump().items() if key not in _OURS}
        targets: Any = self.target_modules
        if targets == "auto":
            targets = [linear for block in anatomy.blocks for linear in block.linears]
        saved = list(
            dict.fromkeys(
                [*modules_to_save(anatomy), *(options.pop("modules_to_save", None) or [])]
            )
        )
        return LoraConfig(
            target_modules=list(targets) if isinstance(targets, tuple) else targets,
            modules_to_save=saved,
            task_type=context.task_type,
            fan_in_fan_out=options.pop("fan_in_fan_out", _uses_conv1d(anatomy)),
            **options,
        )

    def learning_rate_scale(self, name: str, anatomy: Anatomy) -> float:
        if ".lora_B." in name or ".lora_embedding_B" in name:
            return self.loraplus_lr_ratio
        return super().learning_rate_scale(name, anatomy)

    def initialise(self, model: PeftModel, context: Context) -> None:
        if self.changes_base:
            # PiSSA and its kin move part of W into B·A. The start is kept, so that the
            # artifact can be written as an ordinary LoRA of the untouched base model.
            start: Any = {name: tensor.clone() for name, tensor in _lora_weights(model).items()}
            model.start_state = start

    def save(self, model: PeftModel, folder: Path) -> None:
        if not self.changes_base:
            super().save(model, folder)
            return
        from safetensors.torch import load_file, save_file

        with tempfile.TemporaryDirectory() as start:
            model.peft_config["default"].save_pretrained(start)
            save_file(model.start_state, Path(start) / "adapter_model.safetensors")
            model.save_pretrained(
                str(folder),
                save_embedding_layers=False,
                path_initial_model_for_weight_conversion=start,
            )
        # PEFT's conversion writes the factors alone; the head has to be put beside them.
        file = folder / "adapter_model.safetensors"
        weights = load_file(file)
        whole = {
            name: tensor.cpu().contiguous()
            for name, tensor in _lora_weights(model).items()
            if name not in weights
        }
        save_file({**weights, **whole}, file, metadata={"format": "pt"})

    @property
    def update_kind(self) -> UpdateKind:
        from_zero = self.init_lora_weights in (True, "gaussian")
        plain = from_zero and not self.use_dora and (self.model_extra or {}).get("bias") is None
        return "product" if plain else "nothing"

    @contextmanager
    def base_model(self, model: object) -> Iterator[None]:
        if self.changes_base:
            yield  # only with its first B·A is the base what it was
            return
        with super().base_model(model):
            yield

    @property
    def changes_base(self) -> bool:
        return isinstance(self.init_lora_weights, str) and self.init_lora_weights.startswith(
            ("pissa", "olora", "corda")
        )

    def continued(self) -> Lora:
        """However its factors began, an artifact holds plain ones."""
        return self.model_copy(update={"init_lora_weights": True})

    def merge(self, model: Any) -> PreTrainedModel:
        return model.merge_and_unload()


def _lora_weights(model: PeftModel) -> dict[str, Any]:
    from peft import get_peft_model_state_dict

    return dict(get_peft_model_state_dict(model))


def _peft_fields() -> set[str]:
    from peft import LoraConfig

    return {item.name for item in fields(LoraConfig) if item.init}


def _uses_conv1d(anatomy: Anatomy) -> bool:
    """GPT-2 stores its linear layers transposed.

    PEFT finds that out itself but warns when not told.
    """
    return anatomy.family in ("gpt2", "openai-gpt")
