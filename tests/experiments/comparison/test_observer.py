"""The state of a comparison, as observers are shown it."""

from __future__ import annotations

from welltuned.experiments.comparison.observer import Board, StrategyRow


def row(name: str, model: str | None = None) -> StrategyRow:
    shown = name if model is None else f"{name} · {model}"
    return StrategyRow(shown, name, model=model)


def test_a_board_counts_strategies_and_the_models_they_are_on() -> None:
    assert Board([row("lora"), row("full")]).size == "2 strategies"
    on_two = [row(name, model) for name in ("lora", "full", "head") for model in ("a", "b")]
    assert Board(on_two).size == "3 strategies on 2 models"
    assert Board([*on_two, row("mine")]).size == "4 strategies on 2 models"
