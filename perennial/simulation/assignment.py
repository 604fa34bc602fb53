"""Who is given which investment action on which day: what an experiment does to the world."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from perennial.simulation.calendar import Calendar
from perennial.simulation.draws import Keys
from perennial.simulation.people import People
from perennial.simulation.prices import Ints
from perennial.simulation.profiles import ACTIONS, SimulationError
from perennial.simulation.purchases import Actions, plan_actions
from perennial.simulation.records import customer_keys

COLUMNS = ("customer_id", "day", "action")


@dataclass(frozen=True)
class Assignment:
    """Actions: arrays of shape (n,), the customer's key, the day's number, number in ``ACTIONS``."""

    key: Keys
    day: Ints
    kind: Ints

    def of(self, people: People) -> Actions:
        """Return what is done for `people`; nothing up to the day of their first orders."""
        order = np.argsort(people.key)
        at = np.searchsorted(people.key[order], self.key)
        who = order[np.minimum(at, len(people) - 1)]
        mine = (people.key[who] == self.key) & (self.day > np.floor(people.time[who]))
        return plan_actions(people, who[mine], self.day[mine], self.kind[mine])


def read_assignment(frame: pd.DataFrame | None, calendar: Calendar) -> Assignment:
    """Check an assignment.

    Raises
    ------
    SimulationError
        Columns that are missing, an unknown action, moments in place of days, days outside the
        world, ids of nobody, two actions for a customer on a day.
    """
    frame = pd.DataFrame(columns=list(COLUMNS)) if frame is None else frame
    missing = [name for name in COLUMNS if name not in frame]
    if missing:
        raise SimulationError(
            f"an assignment has the columns {', '.join(COLUMNS)}: {', '.join(missing)} is missing. Add it"
        )
    unknown = sorted({str(action) for action in frame["action"]} - set(ACTIONS))
    if unknown:
        raise SimulationError(
            f"an action is one of {', '.join(ACTIONS)}: {unknown[0]!r} is none. Rename it"
        )
    try:
        dates = pd.to_datetime(frame["day"])
        key = customer_keys(pa.array(frame["customer_id"], pa.string()))
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise SimulationError(
            f"an assignment is of the world's customers and days: {error}. Mend the row"
        ) from error
    if dates.dt.tz is not None:  # its midnight is another day's evening in another time zone
        raise SimulationError(
            f"the days of an assignment are the store's own: these are moments in the time zone "
            f"{dates.dt.tz}. Give dates, such as those of .dt.tz_convert({calendar.profile.timezone!r}).dt.date"
        )
    days = dates.to_numpy().astype("datetime64[D]")
    day = (days - np.datetime64(calendar.start)).astype(np.int64)
    outside = int(((day < 0) | (day >= calendar.days)).sum())
    if outside:
        raise SimulationError(
            f"actions are taken on the world's days, from {calendar.start} to before {calendar.end}: "
            f"{outside:,} of {len(day):,} are not. Mend their days"
        )
    _refuse_pairs(frame["customer_id"], days)
    kind = np.array([ACTIONS.index(action) for action in frame["action"]], dtype=np.int64)
    return Assignment(key, day, kind)


def _refuse_pairs(customer: pd.Series, days: NDArray[np.datetime64]) -> None:
    """Refuse two actions for a customer on a day, were they the same: neither could come first."""
    rows = pd.DataFrame({"customer": customer.to_numpy(), "day": days})
    again = rows[rows.duplicated()]
    if len(again):
        who, day = again["customer"].iloc[0], again["day"].iloc[0].date()
        raise SimulationError(
            f"a customer is given one action a day at most: {len(again):,} of {len(rows):,} rows are "
            f"for a customer and a day that a row before has, the first for {who} on {day}. Keep one"
        )
