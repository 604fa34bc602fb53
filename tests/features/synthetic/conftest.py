"""Simulated stores, each made once."""

from collections.abc import Callable
from datetime import date
from functools import lru_cache

import pandas as pd
import pytest

from features.synthetic import World, simulate

START, END = date(2023, 7, 1), date(2025, 7, 1)


@pytest.fixture(scope="session")
def world_of() -> Callable[..., World]:
    """Make a world of a profile, 3,000 customers a year for two years if nothing else is said."""

    @lru_cache
    def make(profile="coffee", customers=3_000, start=START, end=END, seed=1) -> World:
        return simulate(customers, start, end, seed, profile)

    return make


@pytest.fixture(scope="session")
def orders(world_of) -> pd.DataFrame:
    """The coffee store's orders."""
    return world_of().orders.to_pandas()


@pytest.fixture(scope="session")
def people(world_of) -> pd.DataFrame:
    """The coffee store's customers with their truth, by id."""
    world = world_of()
    truth = world.truth.to_pandas().set_index("customer_id")
    return world.customers.to_pandas().set_index("customer_id").join(truth)
