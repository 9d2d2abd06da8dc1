"""Tasks: each a config that, bound to data, becomes a problem of small parts with one role each.

To add one: a file or folder with a config and its problem, and its name in `TASKS`.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from welltuned.data.records import Records
from welltuned.schema.plugins import OneOf, PluginError
from welltuned.tasks.base import Actions, Problem, Task
from welltuned.tasks.classification import Classification, ClassificationProblem
from welltuned.tasks.examples import Examples
from welltuned.tasks.generation import Generation, GenerationProblem
from welltuned.tasks.kto import Kto, KtoProblem
from welltuned.tasks.masked_language_modelling import (
    MaskedLanguageModelling,
    MaskedLanguageModellingProblem,
)
from welltuned.tasks.parts import (
    Codec,
    LinearReadout,
    Objective,
    Presenter,
    Prompter,
    Scorer,
    Verdict,
)
from welltuned.tasks.preference import Preference, PreferenceProblem
from welltuned.tasks.responder import Responder
from welltuned.tasks.reward import Reward, RewardProblem
from welltuned.tasks.token_classification import TokenClassification, TokenClassificationProblem

TASKS = OneOf(
    "tasks",
    Task,
    Classification,
    TokenClassification,
    Generation,
    Reward,
    Preference,
    Kto,
    MaskedLanguageModelling,
    default=Classification.name(),
)
AnyTask = Annotated[Task, TASKS]
"""The config of any task, told apart by `type`."""


DEFAULT_TASK: Task = Classification()
"""The task where nothing is said."""
JUDGE_TASK: Task = Reward()
"""What a reward model is trained as where nothing else is said."""
TEXT_TASK: Task = Generation()
"""How plain texts and conversations are read where a language model's own loss is asked for."""
RECOGNISED_TASKS: tuple[Task, ...] = (
    TokenClassification(),
    Preference(),
    Kto(),
    Classification(),
    Generation(),
)
"""Tasks that a file's columns can tell, in the order in which they are tried: text with labels is
text, too, and so what asks for more comes first."""


def restore_problem(memory: Mapping[str, object]) -> Problem:
    """The problem an artifact remembers, from `Problem.to_dict`.

    Raises `ValueError` or `KeyError` for what is none.
    """
    name = str(memory["type"])
    try:
        task = TASKS.find(name)
    except KeyError:
        raise ValueError(f"there is no task '{name}'") from None
    except PluginError as error:
        raise ValueError(error.faults[0].what) from error
    return task.restore(memory)


def language_modelling(records: Records) -> Problem:
    """The problem of foretelling some texts or conversations, as a language model does by itself.

    `records` are those of generation.
    """
    return GenerationProblem(Generation(), "plain").reading(records)


PLAIN_TEXT_ROLES = MaskedLanguageModelling.roles
"""How files of plain texts are read."""


def text_task(max_length: int | Literal["auto"]) -> Task:
    """Plain texts to go on with, as a language model is pretrained; none is answered."""
    return Generation(format="text", packing=True, scored_examples=0, max_length=max_length)


def masked_text_task(
    mlm_probability: float, whole_word_mask: bool, max_length: int | Literal["auto"]
) -> Task:
    """Plain texts whose hidden words are to be foretold, as an encoder is pretrained."""
    return MaskedLanguageModelling(
        mlm_probability=mlm_probability, whole_word_mask=whole_word_mask, max_length=max_length
    )


def masked_language_modelling() -> Problem:
    """The problem of foretelling hidden words of texts, as an encoder does by itself."""
    return MaskedLanguageModellingProblem(MaskedLanguageModelling())


__all__ = [
    "DEFAULT_TASK",
    "JUDGE_TASK",
    "PLAIN_TEXT_ROLES",
    "RECOGNISED_TASKS",
    "TASKS",
    "TEXT_TASK",
    "Actions",
    "AnyTask",
    "Classification",
    "ClassificationProblem",
    "Codec",
    "Examples",
    "Generation",
    "GenerationProblem",
    "Kto",
    "KtoProblem",
    "LinearReadout",
    "MaskedLanguageModelling",
    "MaskedLanguageModellingProblem",
    "Objective",
    "Preference",
    "PreferenceProblem",
    "Presenter",
    "Problem",
    "Prompter",
    "Responder",
    "Reward",
    "RewardProblem",
    "Scorer",
    "Task",
    "TokenClassification",
    "TokenClassificationProblem",
    "Verdict",
    "language_modelling",
    "masked_language_modelling",
    "masked_text_task",
    "restore_problem",
    "text_task",
]
