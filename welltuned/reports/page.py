"""What every report page shares: templates, number formats and names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from welltuned.metrics import lower_is_better, metric_named
from welltuned.reports.flow_picture import flow_picture
from welltuned.reports.translations import Translator
from welltuned.runs.comparison_schema import ComparisonResults, ComparisonRow
from welltuned.schema.units import brief_number, duration_text, size_text

OF_POLICIES = {"kl": "KL to the reference, nats", "second_reward": "second reward"}
"""What is told of policies beside metrics, by the names people know it by."""


def report_language(config: Mapping[str, Any], asked: str | None = None) -> str:
    """The language asked for, else that of a run's config.

    Configs of pipelines did not always name one; those are English.
    """
    return asked or str(config.get("report", {}).get("language", "en"))


def render_page(template: str, content: Mapping[str, object], language: str = "en") -> str:
    """A page from its template. What comes from users is escaped; what is missing is an error.

    In the template `_("…")` is a sentence in the page's language.
    """
    return _environment(language).get_template(template).render(content)


@cache
def _environment(language: str) -> Environment:
    """What templates are compiled in, once for all pages of a process."""
    environment = Environment(
        loader=PackageLoader("welltuned.reports"),
        autoescape=select_autoescape(default_for_string=True, default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "flow": flow_picture,
        "number": number,
        "score": lambda value: f"{value:.3f}",
        "bytes": size_text,
        "duration": duration_text,
        "brief": brief_number,
        "metric": metric_name,
        "percent": lambda value, digits=1: f"{100 * value:.{digits}f}%",
    }
    environment.globals |= {
        "_": Translator(language), "language": language, "speed": speed,
        "region_name": region_name, "choice_with_reason": choice_with_reason,
    }  # fmt: skip
    return environment


def speed(per_second: float, many: str, few: str) -> str:
    """A rate by one of two labels: `many` a second or, below one, the seconds that `few` takes."""
    slow = 0 < per_second < 1
    return (few if slow else many).format(
        number=brief_number(1 / per_second if slow else per_second)
    )


def metric_name(name: str) -> str:
    """A score's name for people; a user's own metric has its import path."""
    metric = metric_named(name)
    return metric.title if metric is not None else OF_POLICIES.get(name, name)


def region_name(region: str, _: Translator) -> str:
    """A part of the network, as an anatomy calls it, for people: the embeddings, or a block."""
    part, is_block, number = region.rpartition("block ")
    names = {
        "": _("block {number}", number=number),
        "encoder ": _("encoder block {number}", number=number),
        "decoder ": _("decoder block {number}", number=number),
    }
    return names[part] if is_block else _(region)


def choice_with_reason(choice: str, _: Translator) -> str:
    """`KEY = VALUE (REASON)`, as it was chosen for the user, with the usual reasons translated."""
    chosen, bracket, reason = choice.removesuffix(")").partition(" (")
    return f"{chosen} ({_(reason)})" if bracket else choice


def number(value: float) -> str:
    """A number for people: whole ones in full, others to four digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def sorted_rows(results: ComparisonResults) -> list[ComparisonRow]:
    """Best first, those without a score at the end."""
    metric = results["metric"]
    sign = 1 if lower_is_better(metric) else -1
    scored = [row for row in results["rows"] if metric in row["scores"]]
    rest = [row for row in results["rows"] if metric not in row["scores"]]
    return sorted(scored, key=lambda row: sign * row["scores"][metric]["mean"]) + rest
