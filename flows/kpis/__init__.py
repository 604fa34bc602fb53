"""The retention measures of a day."""

from flows.kpis.measures import KPIS, measure_retention

__all__ = ["KPIS", "measure_retention"]
