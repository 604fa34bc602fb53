"""The retention measures of a day."""

from perennial.pipeline.scoring.kpis.measures import KPIS, REFILLS, measure_retention

__all__ = ["KPIS", "REFILLS", "measure_retention"]
