"""What a tuned model is asked for and cannot give."""

from __future__ import annotations

from welltuned.errors import Fault, Place


def no_rewards(task: str) -> Fault:
    return Fault(
        "predict.not_a_reward_model",
        "the model does {task} and gives no rewards",
        None,
        "give a run of task reward",
        task=task,
    )


def unequal_numbers(prompts: int, responses: int) -> Fault:
    return Fault(
        "predict.prompts_and_responses_differ",
        "{prompts} prompts but {responses} responses",
        None,
        "give one response for each prompt",
        prompts=prompts,
        responses=responses,
    )


def no_text(task: str) -> Fault:
    return Fault(
        "predict.not_generative",
        "the model does {task} and cannot chat",
        None,
        "use `welltuned predict`",
        task=task,
    )


def nothing_to_score(file: str, tokens: int) -> Fault:
    return Fault(
        "predict.nothing_to_score",
        "no example can be scored within {tokens} tokens",
        Place(file),
        "check the file with `welltuned data`",
        tokens=tokens,
    )
