"""What Prefect is told of a day; that it is told, the demo's test sees in Prefect's own database."""

from pathlib import Path

from perennial.pipeline.publishing.artifacts import page_markdown, segment_rows
from reports.records import KpiReport, RunRecord
from tests.reports.sample import kpis, record, rich_record


def test_the_headline_is_the_pages_and_says_where_the_page_is():
    day, measures = RunRecord.model_validate(rich_record()), KpiReport.model_validate(kpis())
    result = page_markdown(day, measures, Path("/home/shop/report.html"))
    assert result.startswith("# Tiny Teas: retention as of 2024-06-30\n\nRetention is falling")
    assert "| Come back within 12 months | **30.0%** |" in result
    assert "up 2.0 points |" in result
    assert "[report.html](file:///home/shop/report.html)" in result
    assert "`r1`" in result


def test_segments_are_written_as_people_read_them():
    rows = segment_rows(RunRecord.model_validate(record()))
    loyal = next(row for row in rows if row["segment"] == "loyal")
    assert loyal == {
        "segment": "loyal", "customers": "2", "order in 90 days": "70.0%", "expected value": "€60.00",
        "heavy": "1", "standard": "0", "light": "0",
    }  # fmt: skip
