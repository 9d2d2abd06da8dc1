"""What is known of a head that was solved for: it has an optimum, and no curve."""

from __future__ import annotations

from welltuned.runs.results_schema import KnownSoFar
from welltuned.schema.messages import Message, message


def optimum_found(results: KnownSoFar) -> Message | None:
    """How near to its optimum L-BFGS came; None for a run of steps."""
    solution = results.get("lbfgs")
    if solution is None:
        return None
    kept = next(one for one in solution["path"] if one["l2"] == solution["l2"])
    told = {
        "iterations": sum(one["iterations"] for one in solution["path"]),
        "norm": f"{kept['gradient_norm']:.2g}",
    }
    if not kept.get("converged", True):
        return message(
            "diagnosis.not_converged",
            "there is no curve: L-BFGS stopped after {iterations:,} iterations before it "
            "converged (norm of the gradient {norm})",
            **told,
        )
    return message(
        "diagnosis.solved",
        "there is no curve: L-BFGS solved for the head and converged in {iterations:,} iterations "
        "(norm of the gradient {norm}), and what was learned generalises to validation",
        **told,
    )
