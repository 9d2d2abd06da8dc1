"""Policy from a finished run: what trains, the reference, and what will be saved.

SFT left          RL trains            the reference is
whole weights     a new adapter        the model with its adapter off
an adapter        the same adapter     the adapter's first values, put back for a while
whole weights     whole weights        a real copy of what trains; the frozen rest is shared
LoRA              whole weights        the same, after LoRA was merged
nothing           a new adapter        the pretrained model with its adapter off
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

from welltuned.artifact.manifest import ArtifactManifest, Origin, Precision, is_adapter
from welltuned.artifact.save_load import Artifact, load_artifact, save_artifact
from welltuned.errors import Fault, InputError, Place
from welltuned.models import anatomy as anatomies
from welltuned.models.checksums import weights_fingerprint
from welltuned.models.config import ModelConfig, Quantization
from welltuned.models.loading import Head, build_skeleton
from welltuned.models.quantization import quantize_base
from welltuned.rlhf.reference import AdapterOff, InitialWeights, ReferencePolicy
from welltuned.strategies import AnyStrategy, Context, Strategy
from welltuned.tasks import Problem

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from welltuned.models.anatomy import Anatomy


@dataclass
class Policy:
    """A model that is about to learn, and all that its artifact needs to know."""

    model: Any
    reference: ReferencePolicy
    tokenizer: PreTrainedTokenizerBase
    head: Head
    anatomy: Anatomy
    manifest: ArtifactManifest

    @property
    def problem(self) -> Problem:
        return self.manifest.problem

    @property
    def strategy(self) -> AnyStrategy:
        return self.manifest.strategy

    @property
    def max_length(self) -> int:
        return self.manifest.max_length

    @property
    def precision(self) -> Precision:
        return self.manifest.precision

    def save(self, folder: Path) -> int:
        """Write the artifact; returns its size in bytes."""
        artifact = Artifact(self.model, self.tokenizer, self.head.config, self.manifest)
        return save_artifact(artifact, folder)


def check_policy(theirs: Strategy, whole: bool, strategy: Strategy, place: Place) -> None:
    """Raise `InputError` when RL cannot go on with `strategy` where SFT used `theirs`.

    `whole` tells that SFT left all weights, and not an adapter.
    """
    if strategy.contrast is not None:
        raise InputError(
            Fault(
                "rlhf.strategy_by_contrast",
                "strategy '{strategy}' learns from labels which texts are alike, and a policy from "
                "rewards",
                place,
                "name another one in rl.strategy",
                strategy=strategy.type,
            )
        )
    if strategy.saves_whole_model:
        if not whole:
            theirs.require_mergeable()
    elif whole:
        if not strategy.starts_unchanged:
            raise InputError(
                Fault(
                    "rlhf.strategy_starts_changed",
                    "strategy '{strategy}' changes the model's outputs before any training, so "
                    "the policy would not start from the SFT model",
                    place,
                    "use the same strategy for sft, or lora, adapter, full or partial for rl",
                    strategy=strategy.type,
                )
            )
    elif differing := _differing(strategy, theirs):
        raise InputError(
            Fault(
                "rlhf.adapter_options_differ",
                "RL trains the SFT run's adapter further, and its 'strategy.{option}' is {sft}, "
                "not {rl}",
                place,
                "leave out rl.strategy, make the two equal, or let sft train whole weights",
                option=differing[0],
                sft=differing[1],
                rl=differing[2],
            )
        )


def _differing(strategy: Strategy, theirs: Strategy) -> tuple[str, Any, Any] | None:
    """The first option that tells two adapters apart, theirs first; learning rates do not."""
    rates = ("head_learning_rate_scale", "loraplus_lr_ratio")
    one, other = strategy.model_dump(mode="json"), theirs.model_dump(mode="json")
    for key in one | other:
        if key not in rates and one.get(key) != other.get(key):
            return key, other.get(key), one.get(key)
    return None


def head_of(folder: Path, manifest: ArtifactManifest) -> tuple[Head, Anatomy]:
    """What a finished run's model is built of; no weight is loaded."""
    head = Head(
        getattr(transformers, manifest.problem.auto_class),
        transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False),
        new=manifest.problem.has_new_head,
    )
    return head, anatomies.examine_anatomy(build_skeleton(head), head.new)


def from_run(
    folder: Path,
    strategy: AnyStrategy,
    device: torch.device,
    seed: int,
    quantization: Quantization | None = None,
) -> Policy:
    """The model of a finished run, prepared to learn further. Raises `InputError`.

    Beneath an adapter the weights are quantised as the run had them, or as `quantization` says.
    """
    before, whole = ArtifactManifest.read(folder), not is_adapter(folder)
    check_policy(before.strategy, whole, strategy, Place(str(folder)))
    strategy = _with_its_head(strategy)
    goes_on = not whole and not strategy.saves_whole_model
    in_bits = quantization if goes_on else None
    artifact = load_artifact(folder, device, quantized=goes_on, quantization=in_bits)
    model, base, origin = artifact.model, artifact.manifest.base, before.origin
    head, anatomy = head_of(folder, before)
    if goes_on:
        model.set_adapter("default")  # type: ignore[operator]
        strategy = strategy.continued()
    else:
        if not whole:
            model = before.strategy.merge(model)
            base = base.model_copy(update={"quantization": None})
        elif not strategy.saves_whole_model:
            base = ModelConfig(
                name=str(folder.resolve()), dtype=base.dtype, quantization=quantization
            )
            origin = Origin(weights_fingerprint(model), ())
            quantize_base(model, base, anatomy, device)  # type: ignore[arg-type]
        context = Context(
            anatomy, artifact.tokenizer, base.name, before.problem.peft_task_type, seed, []
        )
        model = strategy.prepare(model, context)  # type: ignore[arg-type]
    in_float32(model, strategy, anatomy)
    return Policy(
        model.to(device),
        reference_policy_of(model, strategy, anatomy, goes_on),
        artifact.tokenizer,
        head,
        anatomy,
        replace(
            before,
            problem=before.problem.without_rule(),
            strategy=strategy,
            base=base,
            origin=origin,
        ),
    )


def _with_its_head(strategy: Strategy) -> Strategy:
    """A head that has learned already is no new one: by default it learns as fast as the rest."""
    if strategy.head_learning_rate_scale != "auto":
        return strategy
    return strategy.model_copy(update={"head_learning_rate_scale": 1.0})


def in_float32(model: nn.Module, strategy: Strategy, anatomy: Anatomy) -> None:
    """Whatever trains: half precision cannot hold small updates."""
    for name, parameter in model.named_parameters():
        if strategy.ever_trains(name, parameter, anatomy):
            parameter.data = parameter.data.float()


def adapter_can_be_off(strategy: Strategy, goes_on: bool) -> bool:
    """Whether switching the adapter off gives the reference for nothing."""
    return not (strategy.saves_whole_model or strategy.changes_base or goes_on)


def reference_policy_of(
    model: nn.Module, strategy: Strategy, anatomy: Anatomy, goes_on: bool
) -> ReferencePolicy:
    """`goes_on` tells that the adapter has learned already, so that off is not where it began."""
    if adapter_can_be_off(strategy, goes_on):
        return AdapterOff(model)
    groups = strategy.parameter_groups(model, anatomy)
    return InitialWeights([parameter for group in groups for parameter in group.parameters])
