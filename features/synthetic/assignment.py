"""Who is given which investment action on which day: what an experiment does to the world."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from features.synthetic.calendar import Calendar
from features.synthetic.draws import Keys
from features.synthetic.people import People
from features.synthetic.prices import Ints
from features.synthetic.profiles import ACTIONS, SimulationError
from features.synthetic.purchases import Actions, plan_actions
from features.synthetic.records import customer_keys

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
        Columns that are missing, an unknown action, days outside the world, ids of nobody.
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
        days = pd.to_datetime(frame["day"]).to_numpy().astype("datetime64[D]")
        key = customer_keys(pa.array(frame["customer_id"], pa.string()))
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise SimulationError(
            f"an assignment is of the world's customers and days: {error}. Mend the row"
        ) from error
    day = (days - np.datetime64(calendar.start)).astype(np.int64)
    outside = int(((day < 0) | (day >= calendar.days)).sum())
    if outside:
        raise SimulationError(
            f"actions are taken on the world's days, from {calendar.start} to before {calendar.end}: "
            f"{outside:,} of {len(day):,} are not. Mend their days"
        )
    kind = np.array([ACTIONS.index(action) for action in frame["action"]], dtype=np.int64)
    return Assignment(key, day, kind)
