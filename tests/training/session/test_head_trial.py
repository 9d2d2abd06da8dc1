"""A head that looks linear is tried before it is fitted."""

from __future__ import annotations

from collections.abc import Callable

from support import loaded_for

HEAD = {"type": "partial", "num_blocks": 0}


def test_a_head_that_only_looks_linear_is_trained_by_steps(
    tiny: Callable[..., str], sentiment: str
) -> None:
    """Llama's own classifier reads every token, and picks the last one's logits afterwards."""
    training = {"learning_rate": "auto", "optim": "lbfgs"}
    loaded = loaded_for(
        tiny("llama"), sentiment, HEAD, task={"pooling": "model"}, training=training
    )
    assert loaded.config.training.optim == "adamw"
