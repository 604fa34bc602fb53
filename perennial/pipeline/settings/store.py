"""What a store sets in ``perennial.toml``: typed, frozen, read when a command runs."""

import codecs
import hashlib
import json
import math
import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from glob import escape, has_magic
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from babel import localedata
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from connectors.addresses import check_no_secret, redacted_address
from connectors.order_source import OrderSource
from models.checks.scores import ScoreLimits
from models.checks.source import SourceLimits
from perennial.pipeline.settings.klaviyo import KlaviyoSettings
from perennial.pipeline.settings.schedule import NotifySettings, ScheduleSettings
from perennial.pipeline.settings.urls import sqlite_url
from segments.investment import Action
from segments.journey import JourneyRules
from segments.lifecycle import LifecycleRules
from segments.loyalty import DEFAULT_TIERS, LoyaltyTier, check_tiers
from segments.moments import MomentRules


class SettingsError(ValueError):
    """The settings are wrong: says the rule, the finding, the next step."""


class Section(BaseModel):
    """A part of the settings: unknown keys are refused, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _known_timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is not an IANA time zone such as 'America/New_York'")
    return name


def _known_encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError as error:
        raise ValueError(f"{name!r} is not an encoding such as 'utf-8' or 'cp1252'") from error


def _known_locale(name: str) -> str:
    if not localedata.exists(name):
        raise ValueError(f"{name!r} is not a locale such as 'en_US' or 'de_DE'")
    return name


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class StoreSettings(Section):
    """The store."""

    name: str = "My store"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    timezone: Annotated[str, AfterValidator(_known_timezone)] = "UTC"
    margin: Annotated[float, Field(gt=0, le=1)] = 0.55
    locale: Annotated[str, AfterValidator(_known_locale)] = "en_US"


class OrdersSettings(Section):
    """The order history."""

    source: Annotated[str, Field(min_length=1), AfterValidator(check_no_secret)]
    table: str | None = None
    preset: Literal["plain", "shopify", "woocommerce", "stripe", "fivetran", "dbt_shopify"] = (
        "plain"
    )
    columns: dict[str, str] = {}
    date_format: str | None = None
    keep_zero_amount: bool = False
    keep_duplicates: bool = False
    negative_amounts: Literal["net", "reject"] = "net"
    other_currencies: Literal["refuse", "reject"] = "refuse"
    timezone: Annotated[str, AfterValidator(_known_timezone)] | None = None
    decimal: Literal[".", ","] | None = None
    encoding: Annotated[str, AfterValidator(_known_encoding)] | None = None
    paid_statuses: tuple[str, ...] = ()
    void_statuses: tuple[str, ...] = ()
    renewals: Literal["refuse", "count", "exclude"] = "refuse"
    ignored_identities: tuple[str, ...] = ()
    warn_share: Share = 0.02
    most_unreadable: Share = 0.2
    most_void: Share = 1.0
    most_without_customer: Share = 1.0

    @model_validator(mode="after")
    def _check_duplicates(self) -> "OrdersSettings":
        if self.keep_duplicates and self.preset != "plain":
            raise ValueError(
                f'keep_duplicates is for preset = "plain": {self.preset} knows its own duplicates; leave it out'
            )
        return self


Location = Annotated[str, Field(min_length=1), AfterValidator(check_no_secret)] | None


class TablesSettings(Section):
    """Optional tables: files, folders, globs or databases, whose columns have our names."""

    order_lines: Location = None
    customers: Location = None
    marketing_spend: Location = None
    referrals: Location = None
    nps: Location = None
    reviews: Location = None
    loyalty_events: Location = None
    touches: Location = None


class ModelSettings(Section):
    """What is predicted."""

    horizon_days: Annotated[int, Field(ge=1, le=3650)] = 365
    second_purchase_days: Annotated[int, Field(ge=1, le=3650)] = 90
    annual_discount_rate: Annotated[float, Field(ge=0, le=1)] = 0.10
    backtest_cutoffs: Annotated[int, Field(ge=1, le=20)] = 3
    learned: bool = True


class ActionSettings(Section):
    """What an investment tier costs, and is assumed to do until a holdout has measured it."""

    cost: Positive
    assumed_lift: Share
    assumed_keep: Share | None = None
    offer_cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    redemption: Share = 0.0
    most_customers: Annotated[int, Field(ge=0)] | None = None


class ActionsSettings(Section):
    """The investment tiers."""

    heavy: ActionSettings = ActionSettings(cost=6.0, assumed_lift=0.30, assumed_keep=0.18)
    standard: ActionSettings = ActionSettings(cost=2.0, assumed_lift=0.12, assumed_keep=0.07)
    light: ActionSettings = ActionSettings(cost=0.3, assumed_lift=0.04, assumed_keep=0.02)


NOT_SHAPING = {  # of the order settings: where the orders are, and from where on they are refused
    "source",
    "table",
    "warn_share",
    "most_unreadable",
    "most_void",
    "most_without_customer",
}
KEEP_PER_LIFT = 0.6  # of an action's assumed lift, where the settings do not say what it keeps


class LoyaltySettings(Section):
    """The loyalty tiers, from the lowest to the highest: all by orders, or all by revenue."""

    tiers: tuple[LoyaltyTier, ...] = DEFAULT_TIERS

    @model_validator(mode="after")
    def _check_tiers(self) -> "LoyaltySettings":
        check_tiers(self.tiers)
        return self


class InvestmentSettings(Section):
    """The retention budget per period, store's currency, and how it is spent."""

    budget: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5000.0
    period_days: Annotated[int, Field(ge=1, le=366)] = 30
    rest_days: Annotated[int, Field(ge=0, le=366)] = 30
    works_days: Annotated[int, Field(ge=1, le=366)] = 60
    reach_gaps: Positive = 1.5
    caution: Annotated[float, Field(ge=0, le=3)] = 1.0
    hurdle: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    exploration: Share = 0.10
    actions: ActionsSettings = ActionsSettings()


class HoldoutSettings(Section):
    """The customers who are kept out, to measure what marketing brings."""

    share: Share = 0.10
    salt: str = "retention"
    measure_days: Annotated[int, Field(ge=1, le=730)] = 90
    programs: dict[str, Share] = {}


SPARK_URLS = ("local", "spark://", "sc://", "yarn", "k8s://")


def _is_postgresql(url: str | None) -> bool:
    return (url or "").startswith(("postgresql://", "postgres://"))


class EngineSettings(Section):
    """Where tables are computed."""

    backend: Literal["duckdb", "spark", "postgresql"] = "duckdb"
    url: Annotated[str, Field(min_length=1), AfterValidator(check_no_secret)] | None = None
    memory_limit: Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?[KMGT]i?B$")] | None = None

    @model_validator(mode="after")
    def _check_url(self) -> "EngineSettings":
        if self.backend == "duckdb" and self.url is not None:
            raise ValueError('url is for backend = "spark" or "postgresql": leave it out')
        if self.backend == "postgresql" and not _is_postgresql(self.url):
            raise ValueError("url is a PostgreSQL address such as postgresql://user@host/database")
        if self.backend == "spark" and not (self.url or "local").startswith(SPARK_URLS):
            raise ValueError(f"url starts with one of {', '.join(SPARK_URLS)}")
        return self


class KpiSettings(Section):
    """The retention measures."""

    repeat_rate_benchmark: Share | None = None
    natural_cycle_days: Positive | None = None
    least_customers: Annotated[int, Field(ge=1)] = 30
    loyalty_active_floor: Share = 0.15
    bundle_refill_days: tuple[int, int] = (28, 45)


class CheckSettings(Section):
    """From where on a day is refused."""

    least_orders_share: Share = 0.4
    usual_orders_share: Share = 0.3
    least_customers_share: Share = 0.98
    most_history_change: Share = 0.05
    old_model_days: Annotated[int, Field(ge=1)] = 45
    oldest_model_days: Annotated[int, Field(ge=1)] = 90
    most_value_change: Positive = 0.20
    most_share_change: Share = 0.05
    most_switched: Share = 0.10

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
    """How long what is old is kept, until `perennial clean --apply` removes it."""

    days: Annotated[int, Field(ge=1)] = 400
    models: Annotated[int, Field(ge=1)] = 20


class MonitoringSettings(Section):
    """How far forecasts may be off before somebody acts."""

    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.10
    freeze: Annotated[float, Field(gt=0, lt=1)] = 0.25
    cooldown_days: Annotated[int, Field(ge=0, le=366)] = 28
    settle_days: Annotated[int, Field(ge=0, le=28)] = 1
    peaks: tuple[tuple[date, date], ...] = ()

    @model_validator(mode="after")
    def _check(self) -> "MonitoringSettings":
        if self.freeze < self.tolerance:
            raise ValueError(f"freeze must not be below tolerance, {self.tolerance:g}: raise it")
        if any(first > last for first, last in self.peaks):
            raise ValueError("each of peaks is [first day, last day]: mend their order")
        return self


class PathsSettings(Section):
    """Where things are kept, relative to the settings' file."""

    home: str = "."
    mirror: Location = None


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
    moments: MomentRules = MomentRules()
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
        """The order history, located from the settings' folder."""
        reading = self.orders.model_dump(exclude={"source"})
        return OrderSource(
            location=_located(self.orders.source, self._folder),
            currency=self.store.currency,
            **reading,
        )

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
        """Hash of the settings that shape scores."""
        shown = {"identifier", "prefix", "properties"}
        shaping = self.model_dump_json(
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
            }
        )
        return hashlib.sha256(shaping.encode()).hexdigest()[:16]

    @property
    def training_digest(self) -> str:
        """Hash of what a model is trained for: it scores no other store, nor this one read otherwise."""
        shaping = {
            "store": self.store.model_dump(include={"name", "currency", "timezone"}),
            "orders": self.orders.model_dump(exclude=NOT_SHAPING),
            "second_purchase_days": self.model.second_purchase_days,
            **({} if self.model.learned else {"learned": False}),
        }
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:16]

    def yesterday(self, now: datetime) -> date:
        """Return the last whole day in the store's time zone."""
        return last_whole_day(now, self.store.timezone)


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
        Every wrong value, by its key.
    """
    try:
        settings = Settings.model_validate(values)
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
