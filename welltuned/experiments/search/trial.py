"""A trial in a worker: an ordinary run that ends early where it is behind those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from welltuned.config import run_config_from
from welltuned.errors import Fault, InputError, Pruned, RunFailed
from welltuned.experiments.executors.shared_data import shared_data
from welltuned.experiments.executors.telling import TellingObserver
from welltuned.experiments.search.past import from_record, rungs_of, study_of
from welltuned.runs.results_schema import Scores
from welltuned.training.train import run_training

if TYPE_CHECKING:
    from welltuned.experiments.executors.process import Tell
    from welltuned.experiments.search.sweep import TrialRequest


def carry_out_trial(request: TrialRequest, tell: Tell) -> None:
    """Train, and tell how far it is.

    Tells `looked` at each evaluation; and, where it does not come to its end, `pruned` or
    `given_up`, with the reason.
    """
    config = run_config_from(request["config"])
    try:
        run_training(config, _Judge(request, tell), cache=shared_data(request))
    except Pruned as pruned:
        tell("pruned", reason=str(pruned))
    except (InputError, RunFailed) as error:
        foreseen = error.__cause__ is None  # else the machine is as likely at fault as the values
        tell("given_up", reason=" ".join(str(error).split()), foreseen=foreseen)


class _Judge(TellingObserver):
    """Compares each evaluation with those of the past, and ends the run where it is behind."""

    def __init__(self, request: TrialRequest, tell: Tell) -> None:
        from optuna.samplers import RandomSampler

        super().__init__(tell)
        self._metric = request["metric"]
        past = map(from_record, request["past"])
        self._study = study_of(past, request["maximize"], RandomSampler(0), request["pruner"])
        self._trial = self._study.ask()
        self._total = self._looks = 0

    def started(self, total_steps: int) -> None:
        self._total = total_steps

    def evaluated(self, step: int, epoch: float, scores: Scores, best: bool) -> None:
        self._looks += 1
        value = float(scores[self._metric])
        # Trials are compared look by look: with evaluations every epoch, after as many examples.
        self._trial.report(value, self._looks)
        behind = step < self._total and self._trial.should_prune()
        rungs = rungs_of(self._study.get_trials(deepcopy=False)[self._trial.number])
        self._tell("looked", look=self._looks, value=value, rungs=rungs)
        if behind:
            raise Pruned(
                Fault(
                    "sweep.pruned",
                    "pruned at step {step} of {steps}: {metric} {value:.4f} is behind that of "
                    "earlier trials",
                    step=step,
                    steps=self._total,
                    metric=self._metric,
                    value=value,
                )
            )
