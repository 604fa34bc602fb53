"""The records of a published day: ``run.json`` and ``kpis.json``."""

from reports.records.kpis import KpiReport
from reports.records.run import RunRecord

__all__ = ["KpiReport", "RunRecord"]
