"""What a store sets in ``perennial.toml``: typed, frozen, read when a command runs."""

import hashlib
import json
import math
import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from glob import escape, has_magic
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from pydantic import Field, PrivateAttr, ValidationError

from connectors.addresses import redacted_address
from connectors.live.address import LiveAddress
from connectors.order_source import OrderSource
from features.renamed import with_new_settings
from perennial.pipeline.settings.decisions import (
    KEEP_PER_LIFT,
    ActionSettings,
    HoldoutSettings,
    InvestmentSettings,
    KpiSettings,
    LoyaltySettings,
    ModelSettings,
)
from perennial.pipeline.settings.klaviyo import KlaviyoSettings
from perennial.pipeline.settings.operations import (
    CheckSettings,
    EngineSettings,
    KeepSettings,
    MonitoringSettings,
    PathsSettings,
)
from perennial.pipeline.settings.orders import OrdersSettings, StoreSettings, TablesSettings
from perennial.pipeline.settings.schedule import NotifySettings, ScheduleSettings
from perennial.pipeline.settings.section import Section
from perennial.pipeline.settings.urls import sqlite_url
from segments.investment import Action
from segments.journey import JourneyRules
from segments.lifecycle import LifecycleRules
from segments.loyalty import LoyaltyTier
from segments.triggers import TriggerRules


class SettingsError(ValueError):
    """The settings are wrong: the message has the problem, the fix and the rule."""


PULL_RECORD = "pull.json"  # of a live source's last pull
NOT_SHAPING = {  # of the order settings: where the orders are, and from where on they are refused
    "source",
    "table",
    "warn_share",
    "most_unreadable",
    "most_void",
    "most_without_customer",
}


@dataclass(frozen=True, kw_only=True)
class DecisionPolicy:
    """What a store decides by.

    Attributes
    ----------
    margin
        Share kept from net revenue.
    cycle_days
        Natural cycle of what is bought; None = as measured.
    model, investment, holdout
        Sections of the settings.
    actions
        What each tier costs, and what is assumed of it.
    lifecycle, journey, loyalty
        Rules of segments, stages and loyalty tiers.
    """

    margin: float
    cycle_days: float | None
    model: ModelSettings
    investment: InvestmentSettings
    holdout: HoldoutSettings
    actions: Sequence[Action]
    lifecycle: LifecycleRules
    journey: JourneyRules
    loyalty: Sequence[LoyaltyTier]


@dataclass(frozen=True)
class SourcePlace:
    """Where a store's orders are.

    Attributes
    ----------
    location
        Files or a database; of a live source, the folder of what was pulled.
    address
        The live source's account; None for files and databases.
    """

    location: str
    address: LiveAddress | None = None


class Settings(Section):
    """All settings of a store."""

    store: StoreSettings = StoreSettings()
    orders: OrdersSettings
    tables: TablesSettings = TablesSettings()
    model: ModelSettings = ModelSettings()
    investment: InvestmentSettings = InvestmentSettings()
    holdout: HoldoutSettings = HoldoutSettings()
    lifecycle: LifecycleRules = LifecycleRules()
    journey: JourneyRules = JourneyRules()
    triggers: Annotated[TriggerRules, Field(serialization_alias="moments")] = TriggerRules()
    loyalty: LoyaltySettings = LoyaltySettings()
    kpis: KpiSettings = KpiSettings()
    klaviyo: KlaviyoSettings = KlaviyoSettings()
    checks: CheckSettings = CheckSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    notify: NotifySettings = NotifySettings()
    keep: KeepSettings = KeepSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    engine: EngineSettings = EngineSettings()
    paths: PathsSettings = PathsSettings()
    _folder: Path = PrivateAttr(default=Path())

    @property
    def home(self) -> Path:
        """Folder of everything that Perennial writes."""
        return (self._folder / self.paths.home).resolve()

    @property
    def exports(self) -> Path:
        """Folder of the published days."""
        return self.home / "exports"

    @property
    def mlruns(self) -> Path:
        """Folder of MLflow's database and artifacts."""
        return self.home / "mlruns"

    @property
    def tracking_uri(self) -> str:
        """MLflow's address: ``MLFLOW_TRACKING_URI``, else a database under the home folder."""
        return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_url(self.mlruns / "mlflow.db")

    @property
    def order_source(self) -> OrderSource:
        """The order history, located from the settings' folder; of a live source, what was pulled."""
        reading = self.orders.model_dump(exclude={"source"})
        address = self.orders.live_address
        if address is None:
            location = _located(self.orders.source, self._folder)
        else:
            location = str(_newest_projection(self.pulled(address)))
            reading |= {"preset": address.preset, "columns": address.columns}
        return OrderSource(location=location, currency=self.store.currency, **reading)

    @property
    def source_place(self) -> SourcePlace:
        """Where the orders are, to look at their age."""
        address = self.orders.live_address
        if address is None:
            return SourcePlace(_located(self.orders.source, self._folder))
        return SourcePlace(str(self.pulled(address)), address)

    def pulled(self, address: LiveAddress) -> Path:
        """Folder of what was pulled from an account: projections, and the record that names the newest."""
        return self.state / "pulled" / quote(str(address), safe="")

    @property
    def optional_tables(self) -> dict[str, str]:
        """Where each optional table is that the store gives, located from the settings' folder."""
        given = self.tables.model_dump(exclude_none=True)
        return {name: _located(location, self._folder) for name, location in given.items()}

    @property
    def actions(self) -> list[Action]:
        """The investment tiers, heaviest first."""
        return [
            _action(tier, getattr(self.investment.actions, tier))
            for tier in ("heavy", "standard", "light")
        ]

    @property
    def policy(self) -> DecisionPolicy:
        """What the store decides by, who gets which investment."""
        return DecisionPolicy(
            margin=self.store.margin,
            cycle_days=self.kpis.natural_cycle_days,
            model=self.model,
            investment=self.investment,
            holdout=self.holdout,
            actions=tuple(self.actions),
            lifecycle=self.lifecycle,
            journey=self.journey,
            loyalty=self.loyalty.tiers,
        )

    @property
    def state(self) -> Path:
        """Folder of what outlives a published day: who was drawn into which arm, what was measured."""
        return self.home / "state"

    @property
    def digest(self) -> str:
        """Hash of the settings that shape scores; renamed ones count by their old names, as in days of before."""
        shown = {"identifier", "prefix", "properties"}
        shaping = self.model_dump_json(
            by_alias=True,
            exclude={
                "paths": True,
                "checks": True,
                "schedule": True,
                "keep": True,
                "engine": True,
                "monitoring": True,
                "notify": True,
                "tables": True,
                "orders": NOT_SHAPING,
                "klaviyo": set(KlaviyoSettings.model_fields) - shown,
            },
        )
        return hashlib.sha256(shaping.encode()).hexdigest()[:16]

    @property
    def training_digest(self) -> str:
        """Hash of what a model is trained for: it scores no other store, nor this one read otherwise."""
        shaping = {
            "store": self.store.model_dump(include={"name", "currency", "timezone"}),
            "orders": self.orders.model_dump(exclude=NOT_SHAPING),
            "second_purchase_days": self.model.second_purchase_days,
            # the key of earlier versions, whose models still score
            **({} if self.model.stacking else {"learned": False}),
        }
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:16]

    def yesterday(self, now: datetime) -> date:
        """Return the last whole day in the store's time zone."""
        return last_whole_day(now, self.store.timezone)


def _newest_projection(folder: Path) -> Path:
    record = folder / PULL_RECORD
    return folder / (json.loads(record.read_text())["folder"] if record.exists() else "orders")


def last_whole_day(now: datetime, timezone: str) -> date:
    """Return the last day that is over at a moment, in a time zone."""
    return now.astimezone(ZoneInfo(timezone)).date() - timedelta(days=1)


def _action(tier: str, settings: ActionSettings) -> Action:
    keep = settings.assumed_keep
    return Action(
        tier,
        settings.cost,
        settings.assumed_lift,
        KEEP_PER_LIFT * settings.assumed_lift if keep is None else keep,
        settings.offer_cost,
        settings.redemption,
        math.inf if settings.most_customers is None else settings.most_customers,
    )


def _located(source: str, folder: Path) -> str:
    """Return where a source is: paths start from the settings' folder, other URLs are as they are."""
    if source.startswith("duckdb:///"):
        return f"duckdb:///{(folder / source.removeprefix('duckdb:///')).resolve()}"
    if "://" in source:
        return source
    path = folder / source
    # The folder's name is no pattern, also where the source is one.
    return str(
        Path(escape(str(folder))) / source if has_magic(source) and not path.exists() else path
    )


def read_settings(path: Path) -> Settings:
    """Read ``perennial.toml``.

    Raises
    ------
    SettingsError
        The file is missing or not TOML, or any value is wrong: every problem at once.
    """
    if not path.is_file():
        raise SettingsError(
            f"settings are read from {path}: there is no such file. Write it with `perennial init`"
        )
    try:
        values = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings must be TOML: {path}: {error}. Mend that line") from error
    return build_settings(values, path.resolve().parent)


def build_settings(values: dict[str, Any], folder: Path) -> Settings:
    """Check settings given as nested dictionaries; paths in them start from `folder`.

    Raises
    ------
    SettingsError
        Every wrong value, by its key; or a value under an old key and a new one.
    """
    try:
        current = with_new_settings(values)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    try:
        settings = Settings.model_validate(current)
    except ValidationError as error:
        problems = [_in_words(problem) for problem in error.errors()]
        raise SettingsError(
            "; ".join(problems) + ". See `perennial init` for the settings"
        ) from error
    settings._folder = folder  # noqa: SLF001  # our own: where relative paths start
    if any(c < " " or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in str(settings.home)):
        raise SettingsError(
            f"paths.home must be a folder without control characters in its name: {str(settings.home)!r}. Rename it"
        )
    return settings


def _in_words(problem: Any) -> str:  # noqa: ANN401  # pydantic's ErrorDetails
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{key} is not a setting"
    if problem["type"] == "missing":
        return f"{key} must be set"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{key}: {message[0].lower()}{message[1:]}; found {_shown(problem['input'])!r}"


def _shown(value: Any) -> Any:  # noqa: ANN401  # a TOML value
    """Return a value without the users, passwords and tokens of addresses in it."""
    if isinstance(value, dict):
        return {name: _shown(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    return redacted_address(value) if isinstance(value, str) else value
