"""The retention measures of a day."""

from perennial.pipeline.scoring.kpis.measures import measure_retention

__all__ = ["measure_retention"]
