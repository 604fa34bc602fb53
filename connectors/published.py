"""The names of what is published: the files of a day, and the pointer to the current one."""

from enum import StrEnum

POINTER = "CURRENT.json"


class PublishedFile(StrEnum):
    """A file of every published day."""

    SCORES = "scores.parquet"
    SEGMENTS = "segments.csv"
    COMMITMENTS = "commitments.parquet"
    EXPECTED = "expected.parquet"
    KPIS = "kpis.json"
    TRIGGERS = "triggers.csv"
    NEW_CUSTOMERS = "new_customers.csv"
    REJECTS = "rejects.csv"
    REPORT = "report.html"
    RECORD = "run.json"
