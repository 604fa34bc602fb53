"""What an experiment can tell, said before anything is sent."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.lift import ExperimentPower, customers_needed, smallest_lift
from models.spend import Spend
from perennial.pipeline.settings.decisions import HoldoutSettings

Array = NDArray[np.float64]


def experiment(
    settings: HoldoutSettings,
    horizon_days: int,
    spend: Spend,
    expected_orders: Array,
    margin_per_order: Array,
    commitments: pd.DataFrame,
) -> ExperimentPower | None:
    """Say the smallest lift that those newly committed can show, and how many would show the assumed one.

    Parameters
    ----------
    settings
        Of the control group.
    horizon_days
        In which `expected_orders` come.
    spend
        What orders are worth.
    expected_orders, margin_per_order
        Shape (n,): of the customers who are newly committed, within the horizon.
    commitments
        Their rows.

    Returns
    -------
    ExperimentPower or None
        None where an arm is empty or nothing is expected.

    Notes
    -----
    Orders come at random around what is expected of each customer, and are worth what Gamma-Gamma says:
    the variance that the covariate cannot take out. Customers who are not as forecast add to it.
    """
    held = int(commitments["is_holdout"].sum())
    treated, days = len(commitments) - held, settings.measure_days
    if not held or not treated:
        return None
    orders = expected_orders * days / horizon_days
    squared = margin_per_order**2 * (1 + 1 / spend.p)
    deviation = float(np.sqrt((orders * squared).mean()))
    assumed = float(commitments["assumed_gain"].mean())
    if not deviation > 0 or not assumed > 0:
        return None
    return ExperimentPower(
        treated=treated,
        control=held,
        days=days,
        smallest_margin=smallest_lift(treated, held, deviation),
        assumed_margin=assumed,
        customers_needed=customers_needed(assumed, deviation, settings.share),
    )
