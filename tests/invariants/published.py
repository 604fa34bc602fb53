"""Everything that a published day holds, and the rules that hold between its figures.

:func:`violations` names every broken rule. Rules of a customer's row are in
:mod:`tests.invariants.rows`, those of sums and of the page in :mod:`tests.invariants.sums`.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from connectors.store import Store
from perennial.pipeline.settings.store import Settings, read_settings
from tests.invariants.page import Page

IDS = {"order_id": str, "customer_id": str}


@dataclass(frozen=True)
class PublishedFigures:
    """A published day in memory.

    Attributes
    ----------
    scores, expected, commitments
        Tables :class:`features.tables.Scores`, ``Expected`` and ``Commitments``.
    orders
        ``customer_id, order_date, net_amount`` of every order known on the day.
    segments_csv, new_customers, triggers
        What marketing gets, every column as text.
    record, kpis
        What ``run.json`` and ``kpis.json`` hold.
    page
        The page's tiles and tables.
    settings
        The store's.
    """

    scores: pd.DataFrame
    expected: pd.DataFrame
    commitments: pd.DataFrame
    orders: pd.DataFrame
    segments_csv: pd.DataFrame
    new_customers: pd.DataFrame
    triggers: pd.DataFrame
    record: dict[str, Any]
    kpis: dict[str, Any]
    page: Page
    settings: Settings

    @classmethod
    def read(cls, config: Path) -> "PublishedFigures":
        """Read the current day of a store, and the orders that it was made from."""
        settings = read_settings(config)
        day = Store(settings.exports).current()
        assert day is not None, f"no published day under {settings.exports}"
        texts = {
            name: pd.read_csv(day.file(f"{name}.csv"), dtype=str, keep_default_na=False)
            for name in ("segments", "new_customers", "triggers")
        }
        return cls(
            **{
                name: pd.read_parquet(day.file(f"{name}.parquet"))
                for name in ("scores", "expected", "commitments")
            },
            orders=read_orders(config.parent / settings.orders.source, pd.Timestamp(day.as_of)),
            segments_csv=texts["segments"],
            new_customers=texts["new_customers"],
            triggers=texts["triggers"],
            record=json.loads(day.file("run.json").read_text()),
            kpis=json.loads(day.file("kpis.json").read_text()),
            page=Page.of(day.file("report.html").read_text()),
            settings=settings,
        )

    @property
    def as_of(self) -> pd.Timestamp:
        return pd.Timestamp(self.record["as_of"])

    @property
    def horizon_days(self) -> int:
        return int(self.record["horizon_days"])

    @property
    def p_order(self) -> pd.Series:
        """Chance of any order within the horizon."""
        return 1 - self.scores["churn_probability"]

    @property
    def next_order_days(self) -> pd.Series:
        """Days until the median next order; NaN where there is none."""
        return (pd.to_datetime(self.scores["next_order_date"]) - self.as_of).dt.days

    @property
    def discount_factor(self) -> pd.Series:
        """The published factor; where the column is missing, the one that the other columns imply."""
        if "discount_factor" in self.scores:
            return self.scores["discount_factor"]
        undiscounted = self.scores["expected_orders"] * self.scores["expected_order_value"]
        return self.scores["expected_value"] / undiscounted

    @cached_property
    def has_refunds(self) -> bool:
        return bool((self.orders["net_amount"] < 0).any())

    @cached_property
    def purchase_days(self) -> pd.DataFrame:
        """Days with a purchase: ``customer_id, order_date, net_amount, orders, is_first``, in order.

        Refunds of a day are taken off it; a day that is refunded wholly is none.
        """
        past = self.orders
        if not self.settings.orders.keep_zero_amount:
            past = past[past["net_amount"] != 0]
        is_refund = past["net_amount"] < 0
        days = (
            past.assign(refunds=is_refund, orders=~is_refund)
            .groupby(["customer_id", "order_date"], as_index=False)[
                ["net_amount", "refunds", "orders"]
            ]
            .sum()
        )
        amount = days["net_amount"].round(4)
        days = days[(amount > 0) | ((amount == 0) & (days["refunds"] == 0))]
        return days.assign(is_first=~days["customer_id"].duplicated()).drop(columns="refunds")

    def lately(self, days: int) -> pd.DataFrame:
        """Purchase days within the last `days` days."""
        return self.purchase_days[
            self.purchase_days["order_date"] > self.as_of - pd.Timedelta(days, "D")
        ]

    @cached_property
    def history_days(self) -> int:
        return int((self.as_of - self.orders["order_date"].min()).days) + 1


def read_orders(source: Path, as_of: pd.Timestamp) -> pd.DataFrame:
    """Read a plain order history; days are as the file writes them, or its own column."""
    orders = (
        pd.read_parquet(source) if source.suffix == ".parquet" else pd.read_csv(source, dtype=IDS)
    )
    at = orders["order_date"] if "order_date" in orders else orders["ordered_at"]
    orders["order_date"] = pd.to_datetime(at).dt.normalize()
    past = orders[orders["order_date"] <= as_of]
    return past[["customer_id", "order_date", "net_amount"]].astype({"customer_id": str})


def violations(day: PublishedFigures, only: str = "") -> list[str]:
    """Name every rule that a published day breaks, each with what breaks it.

    Parameters
    ----------
    day
        What the day holds.
    only
        Name of the only rule to check; empty = all of them.
    """
    from tests.invariants.rows import ROW_RULES
    from tests.invariants.sums import SUM_RULES

    actual = []
    for rule, columns in ROW_RULES.items():
        broken = np.flatnonzero(rule(day)) if only in ("", rule.__name__) else ()
        if len(broken):
            row = day.scores.iloc[broken[0]]
            shown = ", ".join(f"{name} {row[name]}" for name in columns if name in row)
            count = f"{len(broken):,} of {len(day.scores):,} customers"
            actual.append(f"{rule.__name__}: {count}, such as {row['customer_id']}: {shown}")
    for rule in SUM_RULES:
        if only in ("", rule.__name__):
            actual += [f"{rule.__name__}: {finding}" for finding in rule(day)]
    return actual
