"""The retention page: one file, no network, no script, readable on a phone and in the dark."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from features.tables import Scores
from reports import drawings
from reports.advocacy import advocacy_table
from reports.dashboard import quadrants
from reports.grids import MOST_AGES, chances, cohorts, rfm
from reports.measures.definitions import DEFINITIONS
from reports.monitoring import monitoring_tables
from reports.quality import holdout_table
from reports.tiles import tiles, verdict
from reports.words import Words

SECTIONS = {
    "budget": "Budget",
    "segments": "Segments",
    "dashboard": "Quadrants",
    "cohorts": "Cohorts and forecast",
    "second_order": "Second order",
    "grids": "Who will order",
    "holdout": "Was it right before",
    "monitoring": "Monitoring",
    "products": "Products and bundles",
    "advocacy": "Advocacy",
    "experiments": "Did it pay",
    "data": "Data",
    "definitions": "Definitions",
    "run": "How it was made",
}

Json = Mapping[str, Any]


def render_page(record: Json, kpis: Json) -> str:
    """Render a published day as one HTML file; text from data is escaped.

    Parameters
    ----------
    record
        What ``run.json`` says of it.
    kpis
        What ``kpis.json`` says.
    """
    words = Words(record["currency"], record["locale"])
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = words.count
    table = cohorts(kpis["cohorts"], words)
    html: str = environment.get_template("page.html.j2").render(
        words=words,
        record=record,
        kpis=kpis,
        sections=SECTIONS,
        verdict=verdict(record, kpis, words),
        tiles=tiles(record, kpis, words),
        dashboard=quadrants(kpis["dashboard"], words),
        cohorts=table,
        alarm=_alarm(kpis["cohort_alarm"], words),
        rfm=rfm(record["rfm"], words),
        chances=chances(record["order_chances"], kpis["least_customers"], words),
        holdout=holdout_table(record["backtest"]),
        monitoring=monitoring_tables(record.get("monitoring"), words),
        advocacy=advocacy_table(kpis["advocacy"], kpis["loyalty"], words),
        pictures=_pictures(record, kpis, table["cost"]),
        measures=DEFINITIONS,
        definitions={name: column.meaning for name, column in Scores.columns().items()},
    )
    return html


def _pictures(record: Json, kpis: Json, cost: float | None) -> dict[str, Any]:
    """Draw what the page shows; what there is nothing for is None."""
    curve = record["budget"].get("curve")
    second, found = kpis["second_order"], kpis["cohorts"]
    months = [m["ages"][:MOST_AGES] for m in found["months"] if len(m["ages"]) > 1]
    average = found["average"][:MOST_AGES]
    return {
        "budget": drawings.budget_curve(
            curve, curve["spent"], "Margin gained less its cost, by budget spent today"
        )
        if curve and len(curve["budget"]) > 1
        else None,
        "cohorts": drawings.cohort_lines(
            months, average, cost, "Cumulative margin per customer by months since the first order"
        )
        if len(average) > 1
        else None,
        "second_order": drawings.second_order_curve(
            second["curve"],
            second["median_days"],
            "Share of customers who ordered again, by days since the first order",
        ),
        "quality": _of_backtest(record),
        "monitoring": _of_weeks(record),
    }


def _of_weeks(record: Json) -> Markup | None:
    found = record.get("monitoring") or {"weeks": []}
    rows = [
        {"as_of": week["as_of"], **{name: week["7"][name] for name in ("ratio", "low", "high")}}
        for week in found["weeks"]
        if week["7"]["ratio"] is not None
    ]
    if not rows:
        return None
    title = "Weekly orders over the expected, with the band that luck explains"
    return drawings.weekly_ratios(rows, found["tolerance"], title)


def _of_backtest(record: Json) -> list[tuple[str, Markup]]:
    pictures: list[tuple[str, Markup]] = []
    if record["frequency_fit"]:
        title = (
            "Customers by repeat orders so far, beside what the model expects of as many new ones"
        )
        drawn = drawings.pairs(record["frequency_fit"], "repeat_orders", "repeat orders", title)
        pictures.append((title, drawn))
    for cutoff in (record["backtest"] or {"cutoffs": []})["cutoffs"][-1:]:
        if cutoff.get("deciles"):
            title = "Later value per customer, by tenth of the forecast"
            rows = cutoff["deciles"]
            pictures.append((title, drawings.pairs(rows, "decile", "tenth, 10 = highest", title)))
        if cutoff.get("curves", {}).get("weekly"):
            title = f"Orders by week after {cutoff['as_of']}"
            pictures.append((title, drawings.tracking(cutoff["curves"]["weekly"], title)))
    return pictures


def _alarm(alarm: Json | None, words: Words) -> str:
    if not alarm:
        return ""
    if alarm.get("difference") is None:
        return str(alarm.get("why", ""))
    recent, before = (words.percent(alarm[name]["value"]) for name in ("recent", "before"))
    ends = [words.decimal(100 * alarm[name], 1) for name in ("difference", "low", "high")]
    said = (
        f"Of the last three months' cohorts {recent} came back within {alarm['age_days']} days, of those a "
        f"year before {before}: {ends[0]} points ({ends[1]} to {ends[2]})."
    )
    return f"Alarm: {said}" if alarm["is_alarm"] else said
