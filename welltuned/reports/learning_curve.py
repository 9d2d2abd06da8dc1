"""Learning-curve report: one HTML file made from `learning_curve.json`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from welltuned.reports.advice import advise_on_curve
from welltuned.reports.charts import FIRST, MUTED, SECOND, drawn
from welltuned.reports.page import metric_name, render_page
from welltuned.reports.translations import Translator
from welltuned.runs.folder import write_atomically
from welltuned.schema.versions import LEARNING_CURVE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_curve_report(folder: Path, language: str | None = None) -> Path:
    """Write `report.html` into a curve's folder and return its path.

    In the language of its config, unless another is asked for.
    """
    found = LEARNING_CURVE.read(folder / "learning_curve.json")
    language = language or str(found.get("language", "en"))
    _ = Translator(language)
    model = Path(found["model"]).name
    content = {
        **found,
        "language": language,
        "name": folder.name,
        "title": _(
            "Learning curve of {strategy} · {model}", strategy=found["strategy"], model=model
        ),
        "metric_name": _(metric_name(found["metric"])),
        "advice": advise_on_curve(found, _),
        "chart": _chart(found, _),
        "config_text": (folder / "config.yaml").read_text(encoding="utf-8"),
    }
    file = folder / "report.html"
    write_atomically(file, render_page("learning_curve.html.j2", content, language))
    return file


def _chart(found: dict[str, Any], _: Translator) -> Markup:
    """Scores over the number of examples, the law with its band, and what it predicts."""
    metric, curve = _(metric_name(found["metric"])), found["curve"]
    points, ahead = found["points"], found["predictions"][1:]

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import FuncFormatter, NullFormatter

        axis = figure.subplots()
        sizes = [row["examples"] for row in curve]
        low, high = ([row[end] for row in curve] for end in ("low", "high"))
        axis.fill_between(sizes, low, high, color=FIRST, alpha=0.15, linewidth=0)
        axis.plot(sizes, [row["value"] for row in curve], color=FIRST, label=_("fitted law"))
        for point in points:
            across = [point["examples"]] * len(point["scores"])
            axis.plot(across, point["scores"], "o", color=FIRST, markersize=3.5, alpha=0.6)
        axis.plot(
            [point["examples"] for point in points],
            [point["value"] for point in points],
            "_", color=FIRST, markersize=14, label=_("measured, and its mean"),
        )  # fmt: skip
        errors = [[abs(p["value"] - p[end]) for p in ahead] for end in ("low", "high")]
        axis.errorbar(
            [point["examples"] for point in ahead], [point["value"] for point in ahead], errors,
            fmt="D", color=SECOND, markersize=5, linewidth=1.4, capsize=3, label=_("predicted"),
        )  # fmt: skip
        axis.axvline(found["examples"], color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
        axis.set_xscale("log")
        axis.set_xticks([row["examples"] for row in [*points, *ahead]])
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:,.0f}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.tick_params(axis="x", which="minor", length=0)
        axis.set(xlabel=_("training examples"), ylabel=_("validation {metric}", metric=metric))
        axis.legend(loc="best", fontsize=8)

    title = _("Validation {metric} over the number of training examples", metric=metric)
    return drawn(draw, (7.2, 3.8), title)
