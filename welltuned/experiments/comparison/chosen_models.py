"""The models of a comparison: those that are named, or those that are proposed and are here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from welltuned.data.language import Language, main_language
from welltuned.data.records import Records
from welltuned.errors import Fault, Faults, InputError
from welltuned.experiments.comparison.config import PROPOSED, CompareConfig
from welltuned.models.available import Available, find_available
from welltuned.models.config import ModelConfig
from welltuned.models.locations import require_model_there
from welltuned.models.proposals import Proposal, most_proposed, proposals_for
from welltuned.runs.comparison_schema import BESIDE, ModelRecord
from welltuned.schema.messages import Message, message
from welltuned.training.preparation.data_cache import DataCache

LOOKED_AT = 1000
"""Texts that tell the language."""
SPOKEN: dict[Language, str] = {
    "en": "texts in English", "zh": "texts in Chinese", "other": "texts in another language"
}  # fmt: skip
"""Languages as people are told of them."""


@dataclass(frozen=True)
class ChosenModel:
    """A model that takes part."""

    model: ModelConfig
    label: str | None = None
    """What rows call it where several are compared."""

    def row(self, name: str) -> str:
        """The name of what is called `name`, on this model."""
        return name if self.label is None else f"{name}{BESIDE}{self.label}"


@dataclass(frozen=True)
class ChosenModels:
    """The models that take part, and what is told of all that were named or proposed."""

    taking_part: tuple[ChosenModel, ...]
    records: tuple[ModelRecord, ...]


def choose_models(config: CompareConfig, cache: DataCache) -> ChosenModels:
    """The models that are named and can be had or, where none is named, those that are proposed.

    Raises `InputError` where none can be had, and for data of proposals that cannot be read.
    """
    if config.models:
        return _named(config.models)
    if config.model.name == PROPOSED:
        return _proposed(config, training_records(config, cache))
    record: ModelRecord = {
        "name": config.model.title, "label": _short(config.model), "here": True, "note": None
    }  # fmt: skip
    return ChosenModels((ChosenModel(config.model),), (record,))


def training_records(config: CompareConfig, cache: DataCache) -> Records:
    """The training split, read as every run reads it. Raises `InputError` where it cannot be."""
    faults = Faults()
    data = cache.splits(config.data, config.task, faults)
    faults.raise_if_any()
    assert data is not None
    return data.train


def labels_of(models: Sequence[ModelConfig]) -> list[str]:
    """What each is called among the others: short, or in full where that would be ambiguous."""
    short = [_short(model) for model in models]
    return [
        name if short.count(name) == 1 else model.title
        for name, model in zip(short, models, strict=True)
    ]


def is_about_model(fault: Fault) -> bool:
    """Whether it is the model that cannot be had, whatever the strategy."""
    return fault.code.partition(".")[0] in ("model", "tokenizer")


def left_out(
    records: Iterable[ModelRecord], missing: Mapping[str, Sequence[Fault]]
) -> list[ModelRecord]:
    """The records, with the reason where a model turned out to be missing; by label."""
    return [
        _missing(record["name"], record["label"], missing[record["label"]])
        if record["label"] in missing
        else record
        for record in records
    ]


def notes_of(records: Iterable[ModelRecord]) -> list[Message]:
    """What a person is told of the models."""
    return [record["note"] for record in records if record["note"] is not None]


def _short(model: ModelConfig) -> str:
    """The last part of its name, with what is set besides; a run's model is called as the run."""
    path = PurePath(model.name.removeprefix("package:"))
    last = path.parent.name if path.name == "model" and path.parent.name else path.name
    return (last or model.name) + model.title.removeprefix(model.name)


def _row_labels(models: Sequence[ModelConfig]) -> Sequence[str | None]:
    """Rows name their model only where there are several."""
    return labels_of(models) if len(models) > 1 else [None]


# --- Named --------------------------------------------------------------------------


def _named(models: Sequence[ModelConfig]) -> ChosenModels:
    """All that can be had, as far as their names tell: files and the Hub are looked at later."""
    _refuse_repeated(models)
    labels = _row_labels(models)
    chosen: list[ChosenModel] = []
    records: list[ModelRecord] = []
    faults: list[Fault] = []
    for model, label in zip(models, labels, strict=True):
        objections = _objections(model)
        faults += objections
        title, shown = model.title, label or _short(model)
        if objections:
            records.append(_missing(title, shown, objections))
        else:
            chosen.append(ChosenModel(model, label))
            records.append({"name": title, "label": shown, "here": True, "note": None})
    if not chosen:
        raise InputError(faults)
    return ChosenModels(tuple(chosen), tuple(records))


def _refuse_repeated(models: Sequence[ModelConfig]) -> None:
    titles = [model.title for model in models]
    twice = next((title for title in titles if titles.count(title) > 1), None)
    if twice is not None:
        raise InputError(
            Fault(
                "compare.model_repeated",
                "'models' names '{name}' twice",
                None,
                "keep one of them",
                name=twice,
            )
        )


def _objections(model: ModelConfig) -> list[Fault]:
    try:
        require_model_there(model.location)
    except InputError as error:
        return list(error.faults)
    return []


def _missing(name: str, label: str, faults: Sequence[Fault]) -> ModelRecord:
    note = message(
        "compare.model_left_out",
        "The model {name} is left out: {reason}",
        name=name,
        reason="; ".join(f"{fault.what} -> {fault.remedy}" for fault in dict.fromkeys(faults)),
    )
    return {"name": name, "label": label, "here": False, "note": note}


# --- Proposed -----------------------------------------------------------------------


def _proposed(config: CompareConfig, train: Records) -> ChosenModels:
    """The first ones of the table that are here."""
    language, kind = main_language(train.texts(LOOKED_AT)), config.task.proposed_kind
    proposals = proposals_for(kind, language, len(train))
    found = [(one, find_available(one.name, one.packages)) for one in proposals]
    here = [(one, there) for one, there in found if there is not None][: most_proposed()]
    if not here:
        raise InputError(_none_here(SPOKEN[language], proposals))
    models = [config.model.model_copy(update={"name": there.name}) for _, there in here]
    labels = _row_labels(models)
    notes = [_taken(one, there, SPOKEN[language], len(train)) for one, there in here]
    records: list[ModelRecord] = [
        {"name": model.title, "label": label or _short(model), "here": True, "note": note}
        for model, label, note in zip(models, labels, notes, strict=True)
    ]
    absent = _absent([one for one, there in found if there is None], len(here))
    chosen = tuple(map(ChosenModel, models, labels))
    return ChosenModels(chosen, (*records, *absent))


def _taken(proposal: Proposal, there: Available, language: str, examples: int) -> Message:
    return message(
        "compare.model_proposed",
        "No model was named, so {name} is taken, found in {where}. It is proposed for {language} "
        "with {examples} training examples: {why}.",
        name=there.name,
        where=there.where,
        language=language,
        examples=f"{examples:,}",
        why=proposal.why,
    )


def _absent(proposals: Sequence[Proposal], taken: int) -> list[ModelRecord]:
    """What would have been taken too, were it here."""
    wanted = proposals[: most_proposed() - taken]
    return [
        {
            "name": one.name,
            "label": one.name.rpartition("/")[2],
            "here": False,
            "note": message(
                "compare.model_not_here",
                "{name} is proposed too ({why}), but is not here; this brings it: {install}",
                name=one.name,
                why=one.why,
                install=one.install,
            ),
        }
        for one in wanted
    ]


def _none_here(language: str, proposals: Sequence[Proposal]) -> Fault:
    return Fault(
        "compare.no_model_here",
        "no model is named, and none that is proposed for {language} is here: {names}",
        None,
        "name one, model=NAME, or bring one: {install}",
        language=language,
        names=", ".join(one.name for one in proposals),
        install=proposals[0].install,
    )
