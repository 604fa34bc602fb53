"""A store whose days are published without a model, to sync with the double."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from connectors.klaviyo.apply import SyncContext
from connectors.klaviyo.client import Klaviyo, connect
from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.properties import property_table
from connectors.klaviyo.records import SyncOutcome, SyncPlan
from connectors.programs import write_table
from connectors.store import PublishedDay, Store
from features.tables import Scores
from flows.sync import sync_day
from perennial.pipeline.activation.sync_plan import SyncPlaces
from perennial.pipeline.runtime.context import home_context
from perennial.pipeline.settings.store import Settings, build_settings
from tests.klaviyo_double import KEY, Double, Fault, Server
from tests.published import write_required_files

DAY = date(2024, 6, 30)
ACCOUNT = "AbC123"
SEGMENTS = ("champion", "loyal", "at_risk_high_value", "lapsed", "one_and_done")


def store_settings(home: Path, **klaviyo: Any) -> Settings:
    """Settings of a store in a folder."""
    section = {"account": ACCOUNT, **klaviyo}
    return build_settings({"orders": {"source": "orders.csv"}, "klaviyo": section}, home)


def make_scores(customers: int, seed: int = 0, as_of: date = DAY) -> pd.DataFrame:
    """Plausible scores of customers ``c0000000`` and on; a tenth is held out, for good."""
    rng = np.random.default_rng(seed)
    ids = [f"c{i:07}" for i in range(customers)]
    once = rng.random(customers) < 0.5
    frame = pd.DataFrame(
        {
            "customer_id": ids,
            "as_of": as_of,
            "frequency": np.where(once, 0, 3),
            "recency_days": np.where(once, 0, 90),
            "age_days": 200,
            "monetary_value": np.where(once, 0.0, 30.0),
            "first_order_date": as_of - timedelta(days=200),
            "last_order_date": as_of - timedelta(days=110),
            "orders": np.where(once, 1, 4),
            "revenue": rng.gamma(3, 20, customers).round(2),
            "p_alive": rng.random(customers),
            "p_order_90d": rng.random(customers),
            "churn_probability": rng.random(customers),
            "expected_orders": rng.gamma(1, 1, customers),
            "expected_order_value": 25.0,
            "discount_factor": 0.96,
            "expected_value": rng.gamma(2, 20, customers),
            "expected_margin": 10.0,
            "value_low": 0.0,
            "value_high": 100.0,
            "p_second_order": np.where(once, rng.random(customers), np.nan),
            "next_order_date": [
                None if day > 250 else as_of + timedelta(days=int(day))
                for day in rng.integers(1, 300, customers)
            ],
            "rfm_score": "555",
            "segment": rng.choice(SEGMENTS, customers),
            "journey_stage": "between_orders",
            "investment_tier": rng.choice(["heavy", "standard", "light", "none"], customers),
            "expected_return": np.nan,
            "is_holdout": np.arange(customers) % 10 == 7,
            "loyalty_tier": "silver",
            "orders_to_next_tier": pd.array([2] * customers, dtype="Int64"),
            "reason": "because",
            "model_version": "1",
            "run_id": "r",
        }
    )
    return frame[list(Scores.columns())]


def change(scores: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """Give a share of customers another segment and another value, a day later."""
    rng = np.random.default_rng(seed)
    later = scores.copy()
    choice = rng.random(len(later)) < share
    later.loc[choice, "segment"] = rng.choice(SEGMENTS, int(choice.sum()))
    later.loc[choice, "expected_value"] += 7
    later["as_of"] = later["as_of"].iloc[0] + timedelta(days=1)
    return later


def publish_scores(settings: Settings, scores: pd.DataFrame, run_id: str) -> PublishedDay:
    """Publish scores as a day."""

    def write(folder: Path) -> None:
        write_required_files(folder, model_version="1")
        write_table(scores, Scores, folder / "scores.parquet")

    return Store(settings.exports).publish(scores["as_of"].iloc[0], run_id, write)


def wanted(settings: Settings, scores: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """What Klaviyo must hold of each customer, but for the day of the scores."""
    table = property_table(scores, settings.klaviyo.all_properties)
    table = table.drop(columns=f"{settings.klaviyo.prefix} Scored At")
    return dict(zip(scores["customer_id"], table.to_dict("records"), strict=True))


def held(settings: Settings, double: Double) -> dict[str, dict[str, Any]]:
    """What the double holds, but for the day of the scores."""
    name = f"{settings.klaviyo.prefix} Scored At"
    return {
        key: {n: v for n, v in text.items() if n != name}
        for key, text in double.properties().items()
    }


@contextmanager
def context_of(settings: Settings, double: Double, tries: int = 8) -> Iterator[SyncContext]:
    """Open the double with its own clock."""
    server = Server(double)
    try:
        with connect(KEY, server.url) as connection:
            klaviyo = Klaviyo(connection, double.clock, tries=tries)
            yield SyncContext(klaviyo, double.clock, Erasures(settings.state))
    finally:
        server.close()


class Shop:
    """A store with a published day, and a double that knows its customers."""

    def __init__(
        self, home: Path, customers: int = 60, past: int | None = None, **klaviyo: Any
    ) -> None:
        self.settings = store_settings(home, **{"most_changed_share": 1.0, **klaviyo})
        self.scores = make_scores(customers)
        self.day = publish_scores(self.settings, self.scores, "r1")
        self.double = Double()
        self.places = SyncPlaces.of(home_context(self.settings))
        for customer in self.scores["customer_id"][:past]:
            self.double.add_profile(external_id=customer)

    def sync(
        self,
        *,
        apply: bool = True,
        create_missing: bool = False,
        config: Path | None = None,
        tries: int = 8,
    ) -> SyncPlan | SyncOutcome:
        """Sync the published day with the double."""
        with context_of(self.settings, self.double, tries) as context:
            return sync_day(
                home_context(self.settings, self.day.as_of),
                self.day,
                context,
                config,
                apply=apply,
                create_missing=create_missing,
            )

    def sync_with(
        self, change_context: Callable[[SyncContext], SyncContext]
    ) -> SyncPlan | SyncOutcome:
        """Sync with another context, such as a clock that is wrong."""
        with context_of(self.settings, self.double) as context:
            return sync_day(
                home_context(self.settings, self.day.as_of),
                self.day,
                change_context(context),
                apply=True,
                create_missing=False,
            )

    def publish(self, scores: pd.DataFrame, run_id: str) -> None:
        """Publish another day, or the same again."""
        self.scores, self.day = scores, publish_scores(self.settings, scores, run_id)

    def name(self, home: Path, rows: dict[str, list[str]]) -> None:
        """Give the store a table of customers."""
        pd.DataFrame(rows).to_csv(home / "customers.csv", index=False)
        tables = self.settings.tables.model_copy(update={"customers": "customers.csv"})
        folder = self.settings._folder
        self.settings = self.settings.model_copy(update={"tables": tables})
        self.settings._folder = folder

    def is_right(self) -> bool:
        """Whether the double holds what is published."""
        return held(self.settings, self.double) == wanted(self.settings, self.scores)

    def rejects(self) -> pd.DataFrame:
        """Who could not be told."""
        return pd.read_csv(self.places.rejects, dtype="str", keep_default_na=False)


def dying(double: Double, after: int, method: str = "POST", path: str = "import-jobs") -> None:
    """Let Klaviyo be out of reach from the n-th such request on."""
    seen: Counter[str] = Counter()

    def fault(message: str, where: str) -> Fault | None:
        seen["n"] += message == method and path in where
        return Fault("drop") if seen["n"] >= after else None

    double.fault = fault
