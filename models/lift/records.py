"""The read-out of an experiment and what it can show, as files under ``state/`` and ``run.json`` hold them."""

from datetime import date
from typing import Annotated

from features.renamed import either_name
from models.lift.average import Lift
from models.records import Record, SparseRecord


class Interval(Record):
    """An estimate with its 95 % interval; None where it is not bounded."""

    estimate: float | None
    low: float | None
    high: float | None


class GroupReadout(SparseRecord):
    """The arms of a group compared, per customer; without lifts where an arm is too small."""

    group: str  # tier or program; "all" = everybody
    treated: int  # customers
    control: int  # customers held out
    orders: Lift | None = None  # orders
    revenue: Lift | None = None  # net amount, store's currency
    margin: Lift | None = None  # store's currency
    margin_winsorized: Lift | None = None  # the same, the largest outcomes cut off
    smallest_margin: float | None = None  # smallest lift in margin that arms of this size show
    cost: float | None = None  # mean cost of a treated customer, store's currency
    note: str | None = None  # why there is no lift


class SegmentReadout(Record):
    """The lift in margin of a segment, per customer, in the store's currency."""

    segment: str
    treated: int  # customers
    control: int  # customers held out
    estimate: float  # as measured
    shrunk: float  # drawn towards the whole
    deviation: float  # standard deviation of `shrunk`


class UpliftTargetingReadout(SparseRecord):
    """The fitted effect of an action on each customer, and its proof on customers held out of the fit."""

    note: str | None = None  # why nothing was fitted; then there are no figures
    learner: str | None = None
    qini: Interval | None = None  # store's currency a customer; proved where `low` is above 0
    is_used: bool
    rule: Interval | None = (
        None  # net margin a customer, acting where the uplift is above its cost
    )
    everybody: Interval | None = None  # the same, acting for all
    nobody: Interval | None = None  # the same, acting for nobody


class Readout(SparseRecord):
    """What an experiment showed, read on a day."""

    as_of: date
    program: str  # held out of what
    planned: date  # day of the one planned read-out
    is_early: bool  # intervals hold at every look
    days: int  # that each customer is watched for
    customers: int  # of both arms
    held_out: int  # customers
    held_out_reached: int = 0  # held-out customers who were sent an action all the same
    currency: str
    groups: tuple[GroupReadout, ...]  # everybody first
    segments: tuple[SegmentReadout, ...]
    sentence: str
    uplift_targeting: Annotated[
        dict[str, UpliftTargetingReadout] | None, either_name("uplift_targeting")
    ] = None  # by tier; None = not fitted


class ExperimentPower(Record):
    """What the customers committed on a day can show."""

    treated: int  # customers
    control: int  # customers held out
    days: int  # that each customer is watched for
    smallest_margin: float  # smallest lift in margin a customer that they show, store's currency
    assumed_margin: float  # lift that is assumed
    customers_needed: int  # of both arms together, to show the assumed lift
