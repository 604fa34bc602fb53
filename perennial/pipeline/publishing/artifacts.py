"""What Prefect's interface shows of a published day: how retention stands, where the page is, the segments.

Imported inside a Prefect flow run only.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connectors.store import PublishedDay
from perennial.pipeline.scoring.kpis import KPIS
from reports.tiles import tiles, verdict
from reports.words import Words

PAGE, SEGMENTS = "retention-page", "retention-segments"  # by which Prefect keeps their history
Json = Mapping[str, Any]


def show_day(day: PublishedDay) -> None:
    """Leave a published day with the flow run that is under way: two artifacts.

    Parameters
    ----------
    day
        As it was published.
    """
    from prefect.artifacts import create_markdown_artifact, create_table_artifact

    record, kpis = day.record(), json.loads(day.file(KPIS).read_text())
    said = f"{record['store']}, {record['as_of']}"
    create_markdown_artifact(
        page_markdown(record, kpis, day.file("report.html")), key=PAGE, description=said
    )
    create_table_artifact(segment_rows(record), key=SEGMENTS, description=said)


def page_markdown(record: Json, kpis: Json, page: Path) -> str:
    """Write the page's headline as Markdown, and where the page is.

    Parameters
    ----------
    record, kpis
        What ``run.json`` and ``kpis.json`` say of the day.
    page
        The page's file.
    """
    words = Words(record["currency"], record["locale"])
    rows = [
        f"| {tile.label} | **{tile.text}** | {tile.meaning} | {tile.change} |"
        for tile in tiles(record, kpis, words)
    ]
    return "\n".join(
        [
            f"# {record['store']}: retention as of {record['as_of']}",
            "",
            verdict(record, kpis, words),
            "",
            "| | | | since the last page |",
            "|---|---|---|---|",
            *rows,
            "",
            f"The page: [{page.name}]({page.as_uri()}) at `{page}`, and with MLflow's run `{record['run_id']}`.",
        ]
    )


def segment_rows(record: Json) -> list[dict[str, str]]:
    """Return the segments, figures as people read them.

    Parameters
    ----------
    record
        What ``run.json`` says of the day.
    """
    words = Words(record["currency"], record["locale"])
    return [
        {
            "segment": row["segment"].replace("_", " "),
            "customers": words.count(row["customers"]),
            "order in 90 days": words.percent(row["p_order_90d"]),
            "expected value": words.money(row["expected_value"]),
            **{tier: words.count(row[tier]) for tier in ("heavy", "standard", "light")},
        }
        for row in record["segments"]
    ]
