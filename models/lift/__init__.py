"""Whether it paid: lift against a randomized holdout, its uncertainty, and uplift by customer."""

from models.lift.average import Lift, average_lift, bootstrap_lift, winsorized
from models.lift.checks import LiftError
from models.lift.design import SUSPICIOUS, customers_needed, sample_ratio, smallest_lift
from models.lift.pooling import posterior, shrink
from models.lift.ranking import PolicyValue, Qini, policy_value, qini
from models.lift.records import (
    ExperimentPower,
    GroupReadout,
    Interval,
    Readout,
    SegmentReadout,
    UpliftTargetingReadout,
)
from models.lift.sequential import always_valid, always_valid_interval
from models.lift.uplift import Effect, Uplift

__all__ = [
    "SUSPICIOUS",
    "Effect",
    "ExperimentPower",
    "GroupReadout",
    "Interval",
    "Lift",
    "LiftError",
    "PolicyValue",
    "Qini",
    "Readout",
    "SegmentReadout",
    "Uplift",
    "UpliftTargetingReadout",
    "always_valid",
    "always_valid_interval",
    "average_lift",
    "bootstrap_lift",
    "customers_needed",
    "policy_value",
    "posterior",
    "qini",
    "sample_ratio",
    "shrink",
    "smallest_lift",
    "winsorized",
]
