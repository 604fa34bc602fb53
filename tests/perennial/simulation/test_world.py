"""A world is the same whenever it is made, however it is cut, and however far it goes."""

import hashlib
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.simulation import PROFILES, Profile, SimulationError, simulate, simulate_pieces
from perennial.simulation.records import ARROW, TABLES

START, EARLY, LATE = date(2023, 7, 1), date(2025, 1, 15), date(2026, 3, 1)
MOMENTS = {
    "orders": "ordered_at",
    "referrals": "occurred_at",
    "nps": "answered_at",
    "reviews": "reviewed_at",
    "loyalty_events": "occurred_at",
    "touches": "sent_at",
}
PRINT_DIGEST = """
import hashlib, io, sys
from datetime import date
import pyarrow.parquet as pq
from perennial.simulation import simulate
world = simulate(300, date(2023, 7, 1), date(2024, 9, 1), int(sys.argv[1]), "beauty")
written = io.BytesIO()
for table in world.tables.values():
    pq.write_table(table, written)
print(hashlib.sha256(written.getvalue()).hexdigest())
"""


def digest(seed: int, threads: int) -> str:
    """Hash the bytes of a world's Parquet files, made in a process of its own."""
    names = ("OMP_NUM_THREADS", "ARROW_IO_THREADS", "OPENBLAS_NUM_THREADS")
    env = os.environ | dict.fromkeys(names, str(threads))
    done = subprocess.run(
        [sys.executable, "-c", PRINT_DIGEST, str(seed)], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    one = digest(seed=5, threads=1)
    assert len(one.strip()) == len(hashlib.sha256().hexdigest())
    assert digest(seed=5, threads=4) == one
    assert digest(seed=6, threads=1) != one


@pytest.mark.parametrize("profile", PROFILES)
def test_a_later_end_leaves_what_came_before_as_it_was(profile, world_of):
    short = world_of(profile, 800, START, EARLY)
    long = world_of(profile, 800, START, LATE)
    zone = ZoneInfo(PROFILES[profile].timezone)
    cut = pa.scalar(datetime(EARLY.year, EARLY.month, EARLY.day, tzinfo=zone).astimezone(UTC))
    for name, table in short.tables.items():
        later = long.tables[name]
        if name in MOMENTS:
            early = later.filter(pc.less(later[MOMENTS[name]], cut.cast(ARROW["timestamp"])))
        else:
            early = later.slice(0, table.num_rows)
        assert early.equals(table), name
        assert later.num_rows > table.num_rows or not table.num_rows, name


@given(piece=st.integers(1, 400))
@settings(max_examples=5, deadline=None)
def test_pieces_of_any_size_have_the_rows_of_the_whole(piece):
    whole = simulate(200, START, date(2024, 5, 1), 3, "apparel")
    pieces = list(simulate_pieces(200, START, date(2024, 5, 1), 3, "apparel", piece=piece))
    for name, table in whole.tables.items():
        parts = pa.concat_tables([world.tables[name] for world in pieces]).to_pandas()
        columns = list(parts.columns)
        pd.testing.assert_frame_equal(
            parts.sort_values(columns, ignore_index=True),
            table.to_pandas().sort_values(columns, ignore_index=True),
            check_exact=True,
        )


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_the_columns_and_types_of_the_contract(name, world_of):
    table = world_of().tables[name]
    contract = {column: ARROW[kind] for column, kind in TABLES[name].schema().items()}
    assert dict(zip(table.schema.names, table.schema.types, strict=True)) == contract
    assert table.num_rows > 0


@pytest.mark.parametrize("profile", PROFILES)
def test_tables_fit_together(profile, world_of):
    world = world_of(profile, 800, START, EARLY)
    tables = {name: table.to_pandas() for name, table in world.tables.items()}
    customers, orders = set(tables["customers"]["customer_id"]), tables["orders"]
    assert len(customers) == len(tables["customers"])
    assert tables["customers"]["email"].is_unique
    assert tables["customers"]["phone"].dropna().is_unique
    assert list(tables["truth"]["customer_id"]) == list(tables["customers"]["customer_id"])
    assert orders["order_id"].is_unique
    assert orders["ordered_at"].is_monotonic_increasing
    for name in ("orders", "nps", "reviews", "loyalty_events", "touches"):
        assert set(tables[name]["customer_id"]) <= customers, name
    for name in ("referred_by",):
        assert set(tables["customers"][name].dropna()) <= customers
    assert set(tables["referrals"]["referred_id"].dropna()) <= customers
    assert set(tables["reviews"]["order_id"]) <= set(orders["order_id"])
    assert set(tables["order_lines"]["order_id"]) == set(orders["order_id"])


@pytest.mark.parametrize("profile", PROFILES)
def test_amounts_add_up_to_the_cent(profile, world_of):
    world = world_of(profile, 800, START, EARLY)
    orders = world.orders.to_pandas().set_index("order_id")
    lines = world.order_lines.to_pandas()
    amounts = world.line_amounts.to_pandas()
    assert (lines["order_id"] == amounts["order_id"]).all()
    parts = ["gross_amount", "discount_amount", "refund_amount"]
    cents = (orders[[*parts, "net_amount"]] * 100).round().astype(int)
    gross, discount, refund = (cents[part] for part in parts)
    assert (cents["net_amount"] == gross - discount - refund).all()
    assert (cents["net_amount"] > 0).all()
    for part in parts:
        summed = (amounts[part] * 100).round().astype(int).groupby(amounts["order_id"]).sum()
        assert (summed == cents[part].reindex(summed.index)).all(), part
    net = (lines["net_amount"] * 100).round().astype(int).groupby(lines["order_id"]).sum()
    assert (net == cents["net_amount"].reindex(net.index)).all()
    whole = (amounts["unit_price"] * 100).round() * lines["quantity"]
    assert (whole == (amounts["gross_amount"] * 100).round()).all()


@pytest.mark.parametrize("profile", ["coffee", "beauty", "electronics"])
def test_the_day_of_an_order_is_the_day_in_the_stores_time_zone(profile, world_of):
    world = world_of(profile, 800, START, EARLY)
    orders = world.orders.to_pandas()
    local = orders["ordered_at"].dt.tz_convert(PROFILES[profile].timezone)
    assert (local.dt.date == orders["order_date"]).all()
    assert (orders["ordered_at"].dt.date != orders["order_date"]).any()
    assert orders["order_date"].min() >= START
    assert orders["order_date"].max() < EARLY


@given(customers=st.integers(1, 40), days=st.integers(1, 40), seed=st.integers(0, 10**9))
@settings(max_examples=25, deadline=None)
def test_the_smallest_stores_are_whole(customers, days, seed):
    end = date.fromordinal(START.toordinal() + days)
    world = simulate(customers, START, end, seed, "beauty")
    assert set(world.orders["customer_id"].to_pylist()) <= set(
        world.customers["customer_id"].to_pylist()
    )
    assert world.truth.num_rows == world.customers.num_rows


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"customers": 0}, "needs customers: 0"),
        ({"customers": -5}, "needs customers: -5"),
        ({"end": START}, "the end, 2023-07-01, is not after the start, 2023-07-01"),
        ({"end": date(2020, 1, 1)}, "is not after the start"),
        ({"customers": float("nan")}, "needs customers: nan"),
        ({"customers": float("inf")}, "needs customers: inf"),
        ({"customers": "many"}, "needs customers: many"),
        ({"customers": True}, "needs customers: True"),
        ({"start": "2023-07-01"}, "the start of a store is a day: '2023-07-01' is none"),
        ({"start": None}, "the start of a store is a day: None is none"),
        ({"end": pd.NaT}, "the end of a store is a day: NaT is none"),
        ({"seed": -1}, "a seed is a whole number from 0 on: -1"),
        ({"seed": 1.0}, "a seed is a whole number from 0 on: 1.0"),
        ({"seed": True}, "a seed is a whole number from 0 on: True"),
        ({"seed": "1"}, "a seed is a whole number from 0 on: 1 "),
        ({"profile": "tea"}, "one of coffee, beauty, apparel, electronics, textbook: 'tea'"),
    ],
)
def test_bad_arguments_say_what_is_wrong(arguments, words):
    good = {"customers": 10, "start": START, "end": EARLY, "seed": 1, "profile": "coffee"}
    with pytest.raises(SimulationError, match=words):
        simulate(**(good | arguments))
    with pytest.raises(SimulationError, match=words):
        simulate_pieces(**(good | arguments))  # when it is asked, not when the first piece is


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(2023, 7, 1, 23, 59, tzinfo=UTC), datetime(2024, 3, 1, 12, tzinfo=UTC)),
        (pd.Timestamp("2023-07-01 08:00", tz="Asia/Tokyo"), pd.Timestamp("2024-03-01")),
    ],
)
def test_of_a_moment_its_day_is_taken(start, end):
    one, two = (
        simulate(50, *days, 1, "coffee") for days in ((start, end), (START, date(2024, 3, 1)))
    )
    assert (one.start, one.end) == (two.start, two.end)
    assert one.orders.equals(two.orders)


def test_a_whole_number_of_numpys_is_a_seed():
    one, two = (simulate(np.float64(50), START, EARLY, seed) for seed in (np.int64(3), 3))
    assert one.orders.equals(two.orders)


@pytest.mark.parametrize("piece", [0, -1, 1.5])
def test_a_piece_is_a_number_of_customers(piece):
    with pytest.raises(SimulationError, match=f"a piece has customers: {piece}"):
        simulate_pieces(10, START, EARLY, 1, piece=piece)


def test_a_profile_of_its_own_has_as_many_customers_as_were_asked_for():
    world = simulate(3_000, START, date(2024, 6, 30), 1, Profile("own"))
    assert world.customers.num_rows == pytest.approx(3_000, abs=4 * np.sqrt(3_000))
    assert world.referrals.num_rows == 0


def test_as_many_customers_come_as_were_asked_for(world_of):
    for profile in PROFILES:
        world = world_of(profile)
        first = world.orders.to_pandas().groupby("customer_id")["ordered_at"].min()
        cut = pd.Timestamp("2024-06-30", tz=world.profile.timezone)
        assert (first < cut).sum() == pytest.approx(3_000, abs=4 * np.sqrt(3_000)), profile
