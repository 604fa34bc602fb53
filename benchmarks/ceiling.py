"""How far any policy could come that sees what a store sees: ``python -m benchmarks.ceiling``.

Trees learn the true gain of an action from other simulated stores of the same kind: from everything that
the orders, baskets, discounts, channels, reviews and scores tell, and from what the models say of them.
No store has such a teacher. What the trees then choose is what there is to be known of who gains, and what
is missing to the oracle is luck and nature that leave no trace. Prints a table of docs/investment.md.
"""

import argparse
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.policies import (
    DAY,
    HORIZON,
    SECOND,
    STORES,
    Array,
    Known,
    chosen_first,
    costs_of,
    known_on_the_day,
    lived,
    settings_of,
    true_gains,
)
from benchmarks.policies import SHARE as OF_CUSTOMERS
from connectors.engine import open_engine
from models.forecaster import Forecaster
from perennial.pipeline.ingestion.read import known_customers
from perennial.pipeline.scoring.incremental_value import incremental_value
from perennial.simulation import World
from perennial.simulation.profiles import ACTIONS, EFFECTS, Profile
from segments.allocation import allocate

TEACHERS = 100  # seeds from here on teach
LEAST, MOST = (
    1e-3,
    0.999,
)  # of the models' gain that ratios are taken to; of the ratios that are believed
TREES = {
    "max_iter": 200,
    "max_leaf_nodes": 16,
    "min_samples_leaf": 150,
    "l2_regularization": 10.0,
    "learning_rate": 0.05,
    "random_state": 0,
}


@dataclass(frozen=True)
class Seen:
    """A store on the day: what is seen of each customer, what the models say of actions, and the truth."""

    features: Array
    expected: Array
    value: Array
    gains: Array


def see(profile: Profile, seed: int, forecaster: Forecaster | None = None) -> Seen:
    """Look at a store through a model: its own, or one that another store of its kind has fitted."""
    world = lived(profile, seed)
    if forecaster is None:
        past = known_on_the_day(world, profile)
    else:
        past = _known_by(forecaster, world, profile)
    state = past.state
    truth = world.truth.to_pandas().set_index("customer_id").loc[past.customer_id]
    won = incremental_value(
        settings_of(profile).policy, state, past.predicted, past.forecaster,
        np.full(len(state), "all", dtype=object), HORIZON,
    )  # fmt: skip
    lift, keep = (
        np.array([0.0, *(getattr(EFFECTS[a], what) for a in reversed(ACTIONS))])
        for what in ("lift", "keep")
    )
    orders = np.multiply.outer(won.faster, lift) + np.multiply.outer(won.kept, keep)
    reported = told_of(world).reindex(past.customer_id)
    numbers = state.select_dtypes("number").assign(**past.predicted)
    features = np.column_stack(
        [numbers.to_numpy(np.float64), reported.to_numpy(np.float64), won.margin_per_order, won.faster, won.kept]
    )  # fmt: skip
    expected = orders * won.low_margin_per_order[:, None]
    gains = true_gains(state, truth, profile.keep_gaps)
    return Seen(features, expected, past.predicted["expected_value"].to_numpy(), gains)


def _known_by(forecaster: Forecaster, world: World, profile: Profile) -> Known:
    with open_engine(profile.timezone) as engine:
        orders = engine.table(world.orders, "orders")
        lines = engine.table(world.order_lines, "lines") if len(world.order_lines) else None
        customers = known_customers(orders, lines, DAY, SECOND)
        state = engine.frame(customers.order_by("customer_id"))
    predicted = forecaster.predict(state, horizon_days=HORIZON, annual_discount_rate=0.1)
    return Known(state, predicted, forecaster)


def told_of(world: World) -> pd.DataFrame:
    """Sum up what else is known of customers by the day: codes, refunds, channel, reviews and answers."""
    orders = world.orders.to_pandas()
    orders = orders[orders["order_date"] <= DAY]
    by = orders.groupby("customer_id")
    frame = pd.DataFrame(
        {
            "codes": orders["discount_code"].notna().groupby(orders["customer_id"]).sum(),
            "discount": by["discount_amount"].sum() / by["gross_amount"].sum(),
            "refund": by["refund_amount"].sum() / by["gross_amount"].sum(),
        }
    )
    customers = world.customers.to_pandas().set_index("customer_id")
    channel = customers["acquired_via"].fillna("").astype("category").cat.codes
    end = pd.Timestamp(DAY) + pd.Timedelta(days=1)
    for name, at, expected in (
        ("reviews", "reviewed_at", "rating"),
        ("nps", "answered_at", "score"),
    ):
        table = getattr(world, name).to_pandas()
        table = table[pd.to_datetime(table[at]).dt.tz_localize(None) < end]
        frame[name] = table.groupby("customer_id")[expected].mean()
    referred = customers["referred_by"].notna().astype(float)
    return frame.assign(channel=channel, referred=referred)


def one_kind(name: str, teachers: int, seeds: int) -> dict[str, object]:
    """Return what policies bring on stores of a kind, the taught one among them: medians of what is expected."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    profile = STORES[name]
    model = known_on_the_day(lived(profile, TEACHERS), profile).forecaster
    taught = [see(profile, TEACHERS + n, model) for n in range(1, teachers + 1)]
    heavy = [np.maximum(store.expected[:, -1], LEAST) for store in taught]
    ratio = np.concatenate([s.gains[:, -1] / of for s, of in zip(taught, heavy, strict=True)])
    trees = HistGradientBoostingRegressor(**TREES).fit(
        np.vstack([store.features for store in taught]),
        np.clip(ratio, -2.0, np.quantile(ratio, MOST)),
        sample_weight=np.concatenate(heavy),
    )
    rows = []
    for seed in range(1, seeds + 1):
        store = see(profile, seed)
        costs, everybody = costs_of(store.gains), np.arange(len(store.gains))
        budget = OF_CUSTOMERS * len(store.gains) * EFFECTS["heavy"].cost
        factor = np.maximum(trees.predict(store.features), 0.01)[:, None]
        choice = {
            "value first": chosen_first(store.value, budget),
            "perennial": allocate(store.expected, costs, budget),
            "taught": allocate(store.expected * factor, costs, budget),
            "oracle": allocate(store.gains, costs, budget),
        }
        rows.append({k: store.gains[everybody, column].sum() for k, column in choice.items()})
    each = pd.DataFrame(rows)
    over = each.div(each["value first"], axis=0).median()
    share = each.div(each["oracle"], axis=0).median()
    return {
        "store": name,
        "perennial": over["perennial"],
        "taught": over["taught"],
        "perennial of the oracle": share["perennial"],
        "taught of the oracle": share["taught"],
    }


def lines(actual: list[dict[str, object]]) -> Iterator[str]:
    """Yield the table."""
    names = list(actual[0])
    yield f"| {' | '.join(names)} |"
    yield "|---|" + "--:|" * (len(names) - 1)
    for row in actual:
        store, *figures = row.values()
        yield f"| {store} | {' | '.join(f'{figure:.2f}' for figure in figures)} |"


def main() -> None:
    """Run the kinds of store and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teachers", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--stores", nargs="*", default=list(STORES))
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    print("\n".join(lines([one_kind(n, asked.teachers, asked.seeds) for n in asked.stores])))


if __name__ == "__main__":
    main()
