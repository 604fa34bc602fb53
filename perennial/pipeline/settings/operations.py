"""What a store sets of its operation: engine, checks, retention of files, monitoring and folders."""

from dataclasses import fields
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from models.checks.scores import ScoreLimits
from models.checks.source import SourceLimits
from perennial.pipeline.settings.section import Address, Positive, Section, Share

SPARK_URLS = ("local", "spark://", "sc://", "yarn", "k8s://")


def _is_postgresql(url: str | None) -> bool:
    return (url or "").startswith(("postgresql://", "postgres://"))


class CheckSettings(Section):
    """Limits beyond which a day is refused; `perennial run --accept CHECK --because "…"` publishes it anyway."""

    least_orders_share: Share = Field(
        default=SourceLimits.least_orders_share,
        description="Minimum share of the weekday's usual orders, where 30 or more are usual.",
    )
    usual_orders_share: Share = Field(
        default=SourceLimits.usual_orders_share,
        description="Deviation from the weekday's usual orders from which on a warning is shown.",
    )
    least_customers_share: Share = Field(
        default=SourceLimits.least_customers_share,
        description="Minimum number of customers, as a share of the previous day's.",
    )
    most_history_change: Share = Field(
        default=SourceLimits.most_history_change,
        description="Maximum change in the number of past orders, since some arrive late or are deleted.",
    )
    old_model_days: int = Field(
        default=SourceLimits.old_model_days,
        ge=1,
        description="Age in days from which a model gets a warning.",
    )
    oldest_model_days: int = Field(
        default=SourceLimits.oldest_model_days,
        ge=1,
        description="Age in days from which a model is refused.",
    )
    most_value_change: Positive = Field(
        default=ScoreLimits.most_value_change,
        description="Maximum change of the mean expected value in a day; twice as much for a new model.",
    )
    most_share_change: Share = Field(
        default=ScoreLimits.most_share_change,
        description="Maximum change of a segment's share of all customers.",
    )
    most_switched: Share = Field(
        default=ScoreLimits.most_switched,
        description="Maximum share of customers who change segment.",
    )

    @property
    def source(self) -> SourceLimits:
        """Limits of what comes in."""
        names = (field.name for field in fields(SourceLimits))
        return SourceLimits(**{name: getattr(self, name) for name in names})

    @property
    def scores(self) -> ScoreLimits:
        """Limits of what comes out."""
        names = (field.name for field in fields(ScoreLimits))
        return ScoreLimits(**{name: getattr(self, name) for name in names})


class KeepSettings(Section):
    """How long old files are kept. `perennial clean` lists older ones; with --apply it removes them."""

    days: int = Field(
        default=400,
        ge=1,
        description="Published days kept in full; of older days, decisions and measurements remain.",
    )
    models: int = Field(
        default=20,
        ge=1,
        description="Latest model versions kept, in addition to those with an alias or that scored a kept day.",
    )


class MonitoringSettings(Section):
    """Comparison of weekly orders with the forecast; see docs/monitoring.md."""

    tolerance: float = Field(
        default=0.10,
        gt=0,
        lt=1,
        description="Deviation of a week that, beyond random variation, counts against the model.",
    )
    freeze: float = Field(
        default=0.25,
        gt=0,
        lt=1,
        description="Deviation of a week from which on nothing is sent to marketing.",
    )
    cooldown_days: int = Field(
        default=28,
        ge=0,
        le=366,
        description="Minimum number of days between two requests to train again.",
    )
    settle_days: int = Field(
        default=1,
        ge=0,
        le=28,
        description="Days after the end of a week until it is counted, for orders that arrive late.",
    )
    peaks: tuple[tuple[date, date], ...] = Field(
        default=(),
        description="Unusual periods, first and last day: shown, but excluded from alerts and the season.",
        examples=[[["2026-11-23", "2026-12-31"]]],
    )

    @model_validator(mode="after")
    def _check(self) -> "MonitoringSettings":
        if self.freeze < self.tolerance:
            raise ValueError(f"freeze must not be below tolerance, {self.tolerance:g}: raise it")
        if any(first > last for first, last in self.peaks):
            raise ValueError("each of peaks is [first day, last day]: mend their order")
        return self


class EngineSettings(Section):
    """The engine that computes tables; see docs/engines.md."""

    backend: Literal["duckdb", "spark", "postgresql"] = Field(
        default="duckdb", description='"duckdb", "spark" or "postgresql".'
    )
    url: Address | None = Field(
        default=None,
        description="Spark's master (spark://host:7077) or Connect address (sc://host:15002), or PostgreSQL's address.",
        examples=["local[4]"],
    )
    memory_limit: Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?[KMGT]i?B$")] | None = Field(
        default=None,
        description="Memory above which DuckDB spills to disk, or memory of Spark's driver.",
        examples=["4GB"],
    )

    @model_validator(mode="after")
    def _check_url(self) -> "EngineSettings":
        if self.backend == "duckdb" and self.url is not None:
            raise ValueError('url is for backend = "spark" or "postgresql": leave it out')
        if self.backend == "postgresql" and not _is_postgresql(self.url):
            raise ValueError("url is a PostgreSQL address such as postgresql://user@host/database")
        if self.backend == "spark" and not (self.url or "local").startswith(SPARK_URLS):
            raise ValueError(f"url starts with one of {', '.join(SPARK_URLS)}")
        return self


class PathsSettings(Section):
    """Folders, relative to the folder of this file."""

    home: str = Field(default=".", description="Folder of exports/, mlruns/ and scratch/.")
    mirror: Address | None = Field(
        default=None,
        description="Copy of the exports, through fsspec; credentials come from the environment.",
        examples=["s3://bucket/shop"],
    )
