"""Training by contrast: an engine trains all but the head, which is solved for when scores are due.

    the engine's steps                 on groups of texts, by a contrastive loss
    before each validation             the optimum of the head on the features as they are then
    after the last step                that of the weights that are kept

So validation, early stopping and the best checkpoint are those of any run: the head that is kept
belongs to the weights below it. It follows from them alone, and a resumed run finds it again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from welltuned.engines.events import Listener
from welltuned.engines.job import Job, Outcome
from welltuned.engines.lbfgs import fit_by_lbfgs
from welltuned.engines.linear_head import LinearHead, head_refusal
from welltuned.errors import Fault, InputError
from welltuned.runs.results_schema import HeadSolution, Scores
from welltuned.training.session.session import Session


def fit_by_contrast(session: Session, job: Job, engine: Callable[[Job], Outcome]) -> Outcome:
    """Train `job.model` in place. Raises `NotFinite` as engines do, and `InputError` for a head
    that only looks linear."""
    solver = HeadSolver(session, job)
    solver.check()

    def score() -> Scores:
        solver.solve()
        return job.validate()

    def keep(step: int, scores: Scores) -> None:
        solver.keep()
        job.keep(step, scores)

    outcome = engine(replace(job, validate=score, keep=keep))
    if outcome.best_step is None or not job.training.load_best_model_at_end:
        solver.solve()
        solver.keep()
    outcome.head = solver.kept
    return outcome


class HeadSolver:
    """Solves for the head of a model as it is when asked."""

    def __init__(self, session: Session, job: Job) -> None:
        prepared = session.prepared
        validation = prepared.examples["validation"]
        assert validation.targets is not None
        targets = validation.targets

        def score() -> Scores:
            # Past the session's memo, which would hash all weights for each strength of L2.
            outputs = session.predict_examples(validation, "validation", job.precision)
            return session.problem.scorer.score(outputs, targets)

        self._job = replace(
            job,
            problem=session.problem,
            examples=prepared.labelled,
            validate=score,
            listener=Listener(),
            guards=(),
        )
        self._found: HeadSolution | None = None
        self.kept: HeadSolution | None = None
        """That of the weights which are kept, where they were found in this process."""

    def check(self) -> None:
        """Raise `InputError` where the head is more than its readings."""
        why = head_refusal(self._job, LinearHead(self._job.model, self._job.anatomy))
        if why is not None:
            raise InputError(
                Fault(
                    "strategy.head_not_solvable",
                    "strategy '{strategy}' solves for the head, which this one does not allow: "
                    "{reason}",
                    None,
                    "set task.pooling to mean, first or last",
                    strategy=self._job.strategy.type,
                    reason=why,
                )
            )

    def solve(self) -> None:
        """Put the optimum into the head."""
        self._found = fit_by_lbfgs(self._job).lbfgs

    def keep(self) -> None:
        """The weights as they are now are the best so far."""
        self.kept = self._found
