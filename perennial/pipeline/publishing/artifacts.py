"""What Prefect's interface shows of a published day: how retention stands, where the page is, the segments.

Imported inside a Prefect flow run only.
"""

from pathlib import Path

from connectors.published import PublishedFile
from connectors.store import PublishedDay
from perennial.pipeline.publishing.records import read_kpis, read_record
from reports.records import KpiReport, RunRecord
from reports.tiles import tiles, verdict
from reports.words import Words

PAGE, SEGMENTS = "retention-page", "retention-segments"  # by which Prefect keeps their history


def show_day(day: PublishedDay) -> None:
    """Leave a published day with the flow run that is under way: two artifacts.

    Parameters
    ----------
    day
        As it was published.
    """
    from prefect.artifacts import create_markdown_artifact, create_table_artifact

    record, kpis = read_record(day), read_kpis(day)
    title = f"{record.store}, {record.as_of}"
    create_markdown_artifact(
        page_markdown(record, kpis, day.file(PublishedFile.REPORT)), key=PAGE, description=title
    )
    create_table_artifact(segment_rows(record), key=SEGMENTS, description=title)


def page_markdown(record: RunRecord, kpis: KpiReport, page: Path) -> str:
    """Write the page's headline as Markdown, and where the page is.

    Parameters
    ----------
    record, kpis
        Of the day.
    page
        The page's file.
    """
    words = Words(record.currency, record.locale)
    rows = [
        f"| {tile.label} | **{tile.text}** | {tile.meaning} | {tile.change} |"
        for tile in tiles(record, kpis, words)
    ]
    return "\n".join(
        [
            f"# {record.store}: retention as of {record.as_of}",
            "",
            verdict(record, kpis, words),
            "",
            "| | | | since the last page |",
            "|---|---|---|---|",
            *rows,
            "",
            f"The page: [{page.name}]({page.as_uri()}) at `{page}`, and with MLflow's run `{record.run_id}`.",
        ]
    )


def segment_rows(record: RunRecord) -> list[dict[str, str]]:
    """Return the segments, figures as people read them.

    Parameters
    ----------
    record
        Of the day.
    """
    words = Words(record.currency, record.locale)
    return [
        {
            "segment": row.segment.replace("_", " "),
            "customers": words.count(row.customers),
            "order in 90 days": words.percent(row.p_order_90d),
            "expected value": words.money(row.expected_value),
            "heavy": words.count(row.heavy),
            "standard": words.count(row.standard),
            "light": words.count(row.light),
        }
        for row in record.segments
    ]
