"""Strategy: which weights train, when, and how they are saved.

A strategy is its own config. It is called, in this order, to `check` the anatomy before any weight
is loaded, to `prepare` the loaded model, for its `parameter_groups`, to `advance` as training
progresses, to `finish`, to `save` and, later, to `merge`. It knows nothing of tasks or engines.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from welltuned.errors import Fault, InputError
from welltuned.models.silence import quiet
from welltuned.schema.part import Part
from welltuned.schema.search_space import Around

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from welltuned.models.anatomy import Anatomy


UpdateKind = Literal["weights", "product", "nothing"]
"""How pretrained weights change: themselves, by a product of low rank that is added to each, or
not at all, since what trains was put in beside them."""


@dataclass(frozen=True)
class Progress:
    """How far training is, before an optimizer step."""

    fraction: float
    """Steps taken over steps planned, 0 to 1."""
    epoch: float
    """Epochs taken, fractions included."""


END = Progress(1.0, float("inf"))
"""When everything that ever trains does."""


@dataclass
class ParameterGroup:
    """Parameters that share a learning rate and whether they decay."""

    name: str
    parameters: list[nn.Parameter] = field(repr=False)
    learning_rate_scale: float = 1.0
    decays: bool = True
    in_blocks: bool = False
    """Whether they lie in the model's blocks, and neither in its embeddings nor in a head."""


@dataclass(frozen=True)
class Context:
    """What a strategy may use to prepare a model, besides the model."""

    anatomy: Anatomy
    tokenizer: PreTrainedTokenizerBase
    model_name: str
    task_type: str
    seed: int
    examples: Sequence[Sequence[int]]
    """A few training texts as token ids, for initialisations that start from real text."""


@dataclass(frozen=True)
class ContrastOptions:
    """By which groups of texts a model learns, and by what loss."""

    loss: Literal["supcon", "cosine"]
    temperature: float
    """Of supcon."""
    group_size: int
    """Texts of a group."""
    rounds: int
    """How many times an epoch draws each text."""
    label_template: str | None
    """A text for each label, in which {label} stands for its name."""


class Strategy(Part):
    """The base class of all strategies; by itself it describes whole-weight training."""

    shorthand: ClassVar[str | None] = "type"
    plausible_rates: ClassVar[tuple[float, float]] = (1e-6, 1e-1)
    """Learning rates from far too low to far too high, for range tests."""
    saves_whole_model: ClassVar[bool] = True
    """Whether its artifact holds all weights, and not only what was put in beside them."""
    trains_few: ClassVar[bool] = False
    """Whether it trains few weights already, so that fewer are no remedy."""
    needs_import: ClassVar[bool] = False
    """Whether the plain libraries load its artifact only after `import welltuned`."""
    starts_unchanged: ClassVar[bool] = True
    """Whether the initial model computes exactly what the base model does."""
    stands_in_all: ClassVar[bool] = True
    """Whether it is among `all` strategies of a comparison or a plan, and not only among
    `everything`."""
    starts_with_head: ClassVar[bool] = False
    """Whether the head trains first, and what lies below it later."""
    deepens: ClassVar[bool] = False
    """Whether training reaches further down block by block, while the rest is frozen."""
    merge_refusal: ClassVar[str | None] = None
    """Why it cannot be merged into the pretrained weights; none where it can."""
    rl_learning_rate: ClassVar[float | None] = None
    """The usual learning rate of a policy; without one, a tenth of that from labels."""
    defaults: ClassVar[Sequence[Mapping[str, Any]]] = ()
    """Default hyper-parameters of a strategy that has none in `strategies/defaults.yaml`: entries
    as they are there. Each value is a pair of the number and where it comes from."""

    type: str
    head_learning_rate_scale: Annotated[
        Annotated[float, Field(gt=0)] | Literal["auto"], Around(10)
    ] = Field(default="auto", examples=[10])
    """Learning rate of the new head, as a multiple of `training.learning_rate`."""

    @classmethod
    def variants(cls) -> list[dict[str, object]]:
        """What `everything` tries of it, each as it stands in a config."""
        return [{"type": cls.model_fields["type"].default}]

    @property
    def input_positions(self) -> int:
        """How many input positions the strategy takes for itself."""
        return 0

    @property
    def changes_base(self) -> bool:
        """Whether it begins by moving a part of the pretrained weights into what it trains."""
        return False

    @property
    def quantization_refusal(self) -> str | None:
        """Why its base cannot be held in a few bits; none where that stays as it was loaded."""
        if self.saves_whole_model:
            return "its artifact holds the pretrained weights themselves"
        if self.changes_base:
            return "it begins by moving a part of the pretrained weights into what it trains"
        return None

    def chosen_for(self, examples: int) -> Mapping[str, tuple[int, str]]:
        """What its own keys that say auto become for so many training examples, and why."""
        return {}

    def continued(self) -> Strategy:
        """The strategy with which an artifact of this one goes on training."""
        return self

    def check(self, anatomy: Anatomy) -> Iterator[Fault]:
        """Yield why this strategy cannot train this model; called before any weight is loaded."""
        yield from ()

    def needs_blocks(self, anatomy: Anatomy) -> Iterator[Fault]:
        """Yield why it cannot tell blocks apart, for strategies that train some and not others."""
        if anatomy.shared_layers is not None:
            yield Fault(
                "strategy.layers_share_weights",
                "strategy '{strategy}' as configured trains some blocks and not others, but the "
                "{layers} layers of '{family}' share the weights of {blocks}",
                None,
                "use full, lora, adapter, prefix or prompt, or {{type: partial, num_blocks: 0}} "
                "for the head alone",
                strategy=self.type,
                layers=anatomy.shared_layers,
                family=anatomy.family,
                blocks=anatomy.num_blocks,
            )

    @abstractmethod
    def prepare(self, model: PreTrainedModel, context: Context) -> nn.Module:
        """Freeze, or inject. Returns the model to train."""

    @property
    def update_kind(self) -> UpdateKind:
        """How it changes the pretrained weights."""
        return "weights"

    @property
    def contrast(self) -> ContrastOptions | None:
        """The groups from which it learns what texts are alike, where it does not learn from labels
        themselves; the head is then solved for."""
        return None

    @property
    def trains_head_alone(self) -> bool:
        """Whether pretrained weights stay as they are and nothing is put in beside them."""
        return self.update_kind == "nothing" and self.saves_whole_model

    @contextmanager
    def base_model(self, model: object) -> Iterator[None]:
        """Context in which a model that no step has changed yet computes as the base model."""
        yield

    def merged_for_inference(self, model: nn.Module) -> AbstractContextManager[None]:
        """Context in which a model in eval mode computes the same, up to rounding, with less work.

        For many passes from which nothing is learned, such as those that generate text.
        """
        return nullcontext()

    def advance(self, model: nn.Module, anatomy: Anatomy, progress: Progress) -> str | None:
        """Change what trains, as a pure function of progress.

        Returns what changed, in words, or None.
        """
        return None

    def ever_trains(self, name: str, parameter: nn.Parameter, anatomy: Anatomy) -> bool:
        """Whether a parameter trains at any time; called after `prepare`."""
        return parameter.requires_grad

    def learning_rate_scale(self, name: str, anatomy: Anatomy) -> float:
        """The learning rate of a parameter as a multiple of the base rate."""
        return self.head_scale if anatomy.depth(name) == 0 else 1.0

    @property
    def head_scale(self) -> float:
        """The number in `head_learning_rate_scale`. Raises `ValueError` while it says auto."""
        if self.head_learning_rate_scale == "auto":
            raise ValueError("head_learning_rate_scale is still auto; a run puts its default there")
        return self.head_learning_rate_scale

    def parameter_groups(self, model: nn.Module, anatomy: Anatomy) -> list[ParameterGroup]:
        """All parameters that ever train, grouped by depth, learning rate and decay.

        They are registered up front, those still frozen included: an optimizer
        skips what has no gradient, and starts its moments at the first one. So
        unfreezing adds no group and disturbs no state. Vectors (biases, norms) do
        not decay.
        """
        groups: dict[tuple[int, float, bool], ParameterGroup] = {}
        for name, parameter in model.named_parameters():
            if not self.ever_trains(name, parameter, anatomy):
                continue
            depth, scale, decays = (
                anatomy.depth(name),
                self.learning_rate_scale(name, anatomy),
                parameter.ndim > 1,
            )
            label = anatomy.region(depth) + ("" if decays else ", no decay")
            in_blocks = 0 < depth <= anatomy.num_blocks
            group = groups.setdefault(
                (depth, scale, decays), ParameterGroup(label, [], scale, decays, in_blocks)
            )
            group.parameters.append(parameter)
        return [
            groups[key] for key in sorted(groups, key=lambda key: (key[0], -key[1], not key[2]))
        ]

    def finish(self, model: nn.Module) -> None:
        """After training, before saving: let go of what only training needed.

        Whole weights are written in float32, so that what trained loses nothing to
        the half precision of what was frozen.
        """
        model.float()

    def save(self, model: Any, folder: Path) -> None:
        """Write the artifact: for whole weights, a Hugging Face folder."""
        model.save_pretrained(folder)

    def merge(self, model: Any) -> PreTrainedModel:
        """The tuned model as a plain Hugging Face model. Raises `InputError`."""
        self.require_mergeable()
        return model

    def require_mergeable(self) -> None:
        """Raise `InputError` when there is a `merge_refusal`."""
        if self.merge_refusal is not None:
            raise InputError(
                Fault(
                    "strategy.cannot_merge",
                    "strategy '{strategy}' cannot be merged: {reason}",
                    None,
                    "load the folder with PEFT after `import welltuned`, or use lora",
                    strategy=self.type,
                    reason=self.merge_refusal,
                )
            )


class InjectedStrategy(Strategy):
    """Freezes the model and injects adapter modules through PEFT; the head trains in full."""

    plausible_rates: ClassVar[tuple[float, float]] = (1e-5, 1.0)
    trains_few: ClassVar[bool] = True
    saves_whole_model: ClassVar[bool] = False
    merge_refusal: ClassVar[str | None] = "it adds computation that no weight can hold"

    @abstractmethod
    def peft_config(self, context: Context) -> PeftConfig:
        """What to inject, and where."""

    def initialise(self, model: PeftModel, context: Context) -> None:
        """Initialise the injected parameters, where PEFT has not done so."""
        return None

    def prepare(self, model: PreTrainedModel, context: Context) -> PeftModel:
        import torch
        from peft import get_peft_model

        torch.manual_seed(context.seed)
        config = self.peft_config(context)
        config.base_model_name_or_path = context.model_name
        with quiet():
            injected = get_peft_model(model, config)
        self.initialise(injected, context)
        return injected

    @property
    def update_kind(self) -> UpdateKind:
        return "nothing"

    @contextmanager
    def base_model(self, model: Any) -> Iterator[None]:
        training = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
        with model.disable_adapter():
            yield
        for parameter, trains in training:  # PEFT has its own idea of what trains afterwards
            parameter.requires_grad_(trains)

    def merged_for_inference(self, model: nn.Module) -> AbstractContextManager[None]:
        from welltuned.models.merged_weights import merged_into_weights

        return nullcontext() if self.merge_refusal else merged_into_weights(model)

    def finish(self, model: nn.Module) -> None:
        return None

    def save(self, model: PeftModel, folder: Path) -> None:
        """Write the artifact: a PEFT folder with the injected parts and the head."""
        model.save_pretrained(str(folder), save_embedding_layers=False)


def modules_to_save(anatomy: Anatomy) -> list[str]:
    """The head and pooler as PEFT wants them.

    By last name, since injected wrappers lengthen the rest.
    """
    return [name.rpartition(".")[2] for name in (*anatomy.head, *anatomy.pooler)]
