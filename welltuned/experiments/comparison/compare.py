"""Running a comparison: plan the cells, run the missing ones, summarise."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from welltuned.errors import Faults
from welltuned.experiments.comparison.chosen_models import (
    LOOKED_AT,
    choose_models,
    notes_of,
    training_records,
)
from welltuned.experiments.comparison.config import CompareConfig
from welltuned.experiments.comparison.few_labels import few_labels_note
from welltuned.experiments.comparison.folder import check_data, find_folder
from welltuned.experiments.comparison.locking import locked
from welltuned.experiments.comparison.observer import ComparisonObserver
from welltuned.experiments.comparison.plan import plan_comparison
from welltuned.experiments.comparison.run_cells import CellRunner
from welltuned.experiments.comparison.static_source import find_static
from welltuned.experiments.comparison.summary import summarise_comparison
from welltuned.experiments.comparison.variants import find_variants
from welltuned.experiments.comparison.worker.requests import Requester
from welltuned.reports.comparison import write_comparison_report
from welltuned.runs.code_version import code_version
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.status import interruptible
from welltuned.schema.document import Document
from welltuned.schema.messages import render_message
from welltuned.training.preparation.data_cache import DataCache


def run_comparison(
    config: CompareConfig,
    document: Document | None = None,
    observer: ComparisonObserver | None = None,
    command: str | None = None,
) -> Comparison:
    """Carry out a comparison, or what is missing of it, and return its folder.

    Raises `InputError` before any cell when something cannot work. A cell that fails
    stops no other.
    """
    observer, document = observer or ComparisonObserver(), document or Document(source="arguments")
    faults, cache = Faults(), DataCache(version=code_version())
    models = choose_models(config, cache)
    for note in notes_of(models.records):
        observer.noted(render_message(note))
    variants = find_variants(config, document, faults, models.taking_part)
    faults.raise_if_any()
    facts = check_data(variants, cache)
    static = find_static(config.static, lambda: training_records(config, cache).texts(LOOKED_AT))
    comparison = find_folder(config, facts, observer.noted)
    with (
        locked(comparison.folder),
        interruptible(),
        _shared(cache, comparison),
        config.executor.open() as pool,
    ):
        requester = Requester(pool, observer)
        plan = plan_comparison(
            comparison, config, variants, facts, cache, requester, command, models.records, static
        )
        missing = few_labels_note(config, variants, cache)
        if missing is not None:
            observer.noted(render_message(missing))
        observer.planned(comparison, plan.board)
        CellRunner(plan, pool, observer).run()
        results = summarise_comparison(comparison)
        write_comparison_report(comparison)
        plan.write("finished")
    observer.ended(comparison, results)
    return comparison


@contextmanager
def _shared(cache: DataCache, comparison: Comparison) -> Iterator[None]:
    """Data in the comparison's folder while its processes work, and for one that goes on later.

    Where planning refused, nothing is left: the folder is as free as it was.
    """
    cache.share(comparison.data)
    try:
        yield
    except BaseException:
        if not Comparison.is_at(comparison.folder):
            shutil.rmtree(comparison.data)
        raise
    cache.drop_files()
