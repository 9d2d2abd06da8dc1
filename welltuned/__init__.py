"""welltuned: fine-tune a pretrained language model, and see with evidence which way is right.

    import welltuned as wt

    run = wt.train(model="…", data="train.jsonl", strategy="lora")
    wt.load(run).predict(["a text"])

`__all__` is the public interface. What it names is imported when it is asked for, so that
`import welltuned` loads neither torch nor transformers. Progress is logged at INFO and, where no
logging is set up, printed to standard error; `observer=wt.Observer()` keeps a call silent.
"""

from __future__ import annotations

from welltuned.schema import safe_path  # noqa: F401 (before all else: it mends the path)

# isort: split
from collections.abc import Collection, Mapping
from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING, Any

from welltuned.errors import (
    Fault,
    Faults,
    InputError,
    NotFinite,
    Place,
    Pruned,
    RunFailed,
    Stopped,
    WelltunedError,
)
from welltuned.models.compat import AUTO_MODELS, MODEL_INDEX
from welltuned.schema.imports import after_import
from welltuned.schema.progress import show_progress

if TYPE_CHECKING:
    from welltuned.artifact.predictor import Predictor
    from welltuned.config import RunConfig
    from welltuned.experiments.adaptation.config import AdaptConfig
    from welltuned.experiments.comparison.config import CompareConfig
    from welltuned.experiments.comparison.log import LoggingComparisonObserver
    from welltuned.experiments.comparison.observer import ComparisonObserver
    from welltuned.rlhf import api as rl
    from welltuned.rlhf.config import RlhfConfig
    from welltuned.runs import Run
    from welltuned.runs.comparison_folder import Comparison
    from welltuned.training.log import LoggingObserver
    from welltuned.training.observer import Observer

__version__ = "0.1.0"
__all__ = [
    "CompareConfig",
    "Comparison",
    "ComparisonObserver",
    "Fault",
    "InputError",
    "LoggingComparisonObserver",
    "LoggingObserver",
    "NotFinite",
    "Observer",
    "Place",
    "Predictor",
    "Pruned",
    "RlhfConfig",
    "Run",
    "RunConfig",
    "RunFailed",
    "Stopped",
    "WelltunedError",
    "__version__",
    "compare",
    "load",
    "resume",
    "rl",
    "train",
]

_MODULES = {
    "CompareConfig": "welltuned.experiments.comparison.config",
    "Comparison": "welltuned.runs.comparison_folder",
    "ComparisonObserver": "welltuned.experiments.comparison.observer",
    "LoggingComparisonObserver": "welltuned.experiments.comparison.log",
    "LoggingObserver": "welltuned.training.log",
    "Observer": "welltuned.training.observer",
    "Predictor": "welltuned.artifact.predictor",
    "RlhfConfig": "welltuned.rlhf.config",
    "Run": "welltuned.runs",
    "RunConfig": "welltuned.config",
}
"""Where the names of `__all__` are that are imported late."""

# Both libraries learn of our parts when they are imported themselves, and transformers of where its
# index is: `import welltuned` stays instant. A hook named by its path is not imported before.
after_import(
    {
        "peft": "welltuned.strategies.peft_methods.register:register_with_peft",
        AUTO_MODELS: "welltuned.models.register:register_with_transformers",
        MODEL_INDEX: "welltuned.models.compat.model_index:keep_index",
    }
)


def train(
    config: RunConfig | RlhfConfig | Mapping[str, object] | str | PathLike[str] | None = None,
    *,
    observer: Observer | None = None,
    **values: object,
) -> Run:
    """Carry out a run and return its folder.

    `config` is a config, a mapping, or the path of a YAML file; `values` are further keys, and
    those of a file may be dotted. With `data.folds` it is a run for each fold and one on all of
    them, with `pipeline: rlhf` a pipeline of three runs, with `pipeline: adapt` one whose model
    reads unlabelled texts first.
    `observer` hears of everything that happens; without one it is logged.

    Raises `InputError` before any weight is loaded when something cannot work, and `RunFailed`
    when training or its proof fails; the folder then says why.

        wt.train(model="…", data="train.jsonl", strategy={"type": "lora", "r": 16})
        wt.train("reviews.yaml", **{"training.seed": 1})
    """
    if observer is None:
        show_progress("train", "checking config and data")
    from welltuned.training.log import LoggingObserver

    observer = observer or LoggingObserver()
    # What is wrong with a config is told before torch is imported, which takes seconds.
    kind = _pipeline_of(config, values)
    if kind == "adapt":
        adapting = _adapt_config(config, values)
        from welltuned.experiments.adaptation.pipeline import run_adaptation

        return run_adaptation(adapting, observer)
    if kind is not None:
        pipeline = _rlhf_config(config, values)
        from welltuned.rlhf.pipeline import run_pipeline

        return run_pipeline(pipeline, observer)
    run = _run_config(config, values)
    if run.data.is_cross_validated:
        from welltuned.experiments.cross_validation.cross_validate import run_cross_validation

        return run_cross_validation(run, observer)
    from welltuned.training.train import run_training

    return run_training(run, observer)


def resume(
    run: Run | str | PathLike[str],
    *overrides: str,
    accept: Collection[str] = (),
    observer: Observer | None = None,
) -> Run:
    """Go on with a run that was stopped, killed or failed, as if nothing had happened.

    On a CPU its model, metrics and order of examples are, bit for bit, those of a run that never
    was interrupted. A pipeline goes on with the stage that was interrupted. `overrides` are what
    changes from here on, as `key=value`; a finished run trains for longer where they say how long,
    in a folder of its own. `accept` names keys of the config, or `data`, that may have changed
    since. Raises `InputError` where it cannot go on, and `RunFailed` as `train` does.

        wt.resume("runs/mine")
        wt.resume("runs/done", "training.num_train_epochs=6")
    """
    from pathlib import Path

    from welltuned.runs import Run
    from welltuned.runs.comparison_folder import Comparison
    from welltuned.runs.cross_validated import is_cross_validated
    from welltuned.training.log import LoggingObserver

    folder = run.folder if isinstance(run, Run) else Path(run)
    observer = observer or LoggingObserver()
    if Comparison.is_at(folder):
        raise Comparison(folder).resumed_otherwise()
    run = Run.open(folder)
    if "stage" in run.config:  # the RL stage of a pipeline, which has no config of its own
        run = Run.open(folder.parent.parent)
        observer.noted(f"{folder} is a stage of {run.folder}, which goes on")
    if run.is_pipeline:
        return _resume_pipeline(run, overrides, accept, observer)
    from welltuned.runs.phases import phase
    from welltuned.schema.collector import collector_paused

    if is_cross_validated(run):
        with phase("import"), collector_paused(freeze=True):
            from welltuned.experiments.cross_validation import cross_validate

        changes = [*overrides, *accept]
        return cross_validate.resume_cross_validation(run.folder, observer, changes=changes)
    with phase("import"), collector_paused(freeze=True):
        from welltuned.experiments.adaptation.pipeline import tell_of_reading
        from welltuned.training.train import extend_training, resume_training

    if run.is_finished and overrides:
        return tell_of_reading(extend_training(run.folder, overrides, observer))
    resumed = resume_training(run.folder, observer, overrides=overrides, accepted=accept)
    return tell_of_reading(resumed)


def compare(
    config: CompareConfig | Mapping[str, object] | str | PathLike[str] | None = None,
    *,
    observer: ComparisonObserver | None = None,
    **values: object,
) -> Comparison:
    """Compare strategies on the same data; returns the comparison, with `folder` and `results`.

    Takes a config as `train` does, or the path of data. Without a model those are taken that suit
    the data and are here. Runs that are finished already are not run again. Raises `InputError`
    before any run when something cannot work.

        wt.compare(model="…", data="train.jsonl", strategies=["full", "lora"], seeds=3)
        wt.compare(models=["…", "…"], data="train.jsonl", strategies=["lora"])
    """
    if observer is None:
        show_progress("compare", "checking config and data")
    from welltuned.experiments.comparison.compare import run_comparison
    from welltuned.experiments.comparison.config import (
        CompareConfig,
        comparison_from,
        read_comparison,
    )
    from welltuned.experiments.comparison.log import LoggingComparisonObserver

    observer = observer or LoggingComparisonObserver()
    if isinstance(config, CompareConfig):
        config = config.model_dump(mode="json", exclude_unset=True)
    if config is None or isinstance(config, Mapping):
        return run_comparison(comparison_from({**(config or {}), **values}), None, observer)
    faults = Faults()
    read, document = read_comparison(str(config), _overrides(values), faults)
    faults.raise_if_any()
    assert read is not None
    return run_comparison(read, document, observer)


def load(
    run: Run | str | PathLike[str],
    device: str = "auto",
    merge: bool = True,
    quantized: bool = True,
) -> Predictor:
    """A predictor from a run, its folder, the folder of a model alone, or an exported one.

    `device` is auto, cpu, cuda or mps. With `merge` LoRA is merged into the weights where these can
    hold it: answers come faster and differ by rounding, and `model` is a plain transformers model;
    without, it is PEFT's. A base that was quantised for training is so again, and nothing is merged
    into it; with `quantized=False` it is as it was read, answers differ a little, and it can be
    merged. Raises `InputError` when the folder is none of these, or not as it was saved.

        wt.load("runs/mine").predict(["a text", "another"])
    """
    from welltuned.deployment.open import open_predictor

    return open_predictor(run, device, merge, quantized)


def _pipeline_of(config: Any, values: Mapping[str, Any]) -> object:
    """What `pipeline:` says in the config, however it is given; None where it says nothing."""
    from welltuned.schema.document import peek
    from welltuned.schema.part import Part

    if isinstance(config, Part):
        return getattr(config, "pipeline", None)
    if config is None or isinstance(config, Mapping):
        return {**(config or {}), **values}.get("pipeline")
    return peek(str(config), _overrides(values), "pipeline")


def _run_config(config: Any, values: Mapping[str, Any]) -> RunConfig:
    from welltuned.config import RunConfig, run_config_from
    from welltuned.training.preparation.load_config import load_config

    if isinstance(config, RunConfig):
        if not values:
            return config
        config = config.model_dump(mode="json")
    if config is None or isinstance(config, Mapping):
        return run_config_from({**(config or {}), **values})
    return load_config(str(config), _overrides(values))


def _rlhf_config(config: Any, values: Mapping[str, Any]) -> RlhfConfig:
    from welltuned.rlhf.read_config import load_rlhf_config, rlhf_config_from
    from welltuned.schema.part import Part

    if isinstance(config, Part):
        config = config.model_dump(mode="json")
    if config is None or isinstance(config, Mapping):
        return rlhf_config_from({**(config or {}), **values})
    return load_rlhf_config(str(config), _overrides(values))


def _adapt_config(config: Any, values: Mapping[str, Any]) -> AdaptConfig:
    from welltuned.experiments.adaptation.read_config import adapt_config_from, load_adapt_config
    from welltuned.schema.part import Part

    if isinstance(config, Part):
        config = config.model_dump(mode="json")
    if config is None or isinstance(config, Mapping):
        return adapt_config_from({**(config or {}), **values})
    return load_adapt_config(str(config), _overrides(values))


def _resume_pipeline(
    run: Run, overrides: Collection[str], accept: Collection[str], observer: Observer
) -> Run:
    from welltuned.rlhf.read_config import load_rlhf_config
    from welltuned.runs.phases import phase
    from welltuned.schema.collector import collector_paused

    if accept:
        raise InputError(
            Fault(
                "rlhf.accepted_by_stage",
                "what has changed since is accepted for a stage of the pipeline, not for all",
                Place(str(run.folder)),
                "`welltuned resume {folder}/stages/sft --accept {keys}`, then the pipeline without",
                folder=run.folder,
                keys=" --accept ".join(accept),
            )
        )
    config = load_rlhf_config(
        str(run.folder / "config.yaml"), [*overrides, f"output_dir={run.folder}"]
    )
    with phase("import"), collector_paused(freeze=True):
        from welltuned.rlhf.pipeline import run_pipeline

    return run_pipeline(config, observer)


def _overrides(values: Mapping[str, Any]) -> list[str]:
    """Keyword arguments beside a file, as they would stand on a command line."""
    return [f"{key}={value}" for key, value in values.items()]


def __getattr__(name: str) -> Any:
    """The names of `__all__`, imported when they are asked for."""
    if name == "rl":
        return import_module("welltuned.rlhf.api")
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'welltuned' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
