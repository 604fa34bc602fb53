"""Simulated stores, each made once."""

from collections.abc import Callable
from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from perennial.simulation import World, simulate
from perennial.simulation.calendar import Calendar
from perennial.simulation.draws import Draws
from perennial.simulation.forms import FORMS, Form
from perennial.simulation.people import Arrivals, People, make_people

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


@pytest.fixture(scope="session")
def somebody() -> Callable[..., People]:
    """Make customers who come on a calendar's first day, not through a friend."""

    def make(calendar: Calendar, count: int = 1) -> People:
        none = np.zeros(count, dtype=np.int64)
        key, nobody = (none + np.arange(1, count + 1)).astype(np.uint64), none.astype(np.uint64)
        return make_people(Arrivals(key, none * 1.0, none, nobody, none * 1.0), calendar, Draws(1))

    return make


@pytest.fixture(scope="session")
def apparel() -> World:
    """A store that has every trap; its zone puts the clock back and forth."""
    return simulate(1_500, date(2024, 1, 1), date(2025, 7, 1), 2, "apparel")


@pytest.fixture(scope="session")
def forms(apparel) -> dict[str, Form]:
    """The apparel store's orders as each system writes them."""
    return {name: make(apparel) for name, make in FORMS.items()}


@pytest.fixture(scope="session")
def counts() -> Callable[[Form], dict[str, int]]:
    """How often each trap was planted in a form."""
    return lambda form: {trap.trap: trap.count for trap in form.planted}
