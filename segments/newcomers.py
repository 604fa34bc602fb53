"""First-time buyers whose second order is worth most: where the first effort goes."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from segments.lifecycle import LifecycleRules

WINDOW = ("new", "second_order_window")  # segments of the time after the first order


def top_newcomers(
    scores: pd.DataFrame, second_order_margin: ArrayLike, rules: LifecycleRules | None = None
) -> pd.DataFrame:
    """Rank first-time buyers in the post-purchase window by the margin that their second order is to bring.

    Parameters
    ----------
    scores
        Table :class:`features.tables.Scores`, n customers.
    second_order_margin
        Shape (n,): margin of a second order and of what follows it within the horizon, store's
        currency; read for first-time buyers only.
    rules
        Its ``top_share`` says how many are named.

    Returns
    -------
    DataFrame
        The top share, best first: ``customer_id, rank, first_order_date, p_second_order,
        second_order_margin, worth, segment, investment_tier, is_holdout``; ``worth`` is the chance
        times the margin. Of equals, the one with the smaller id comes first.
    """
    share = (rules or LifecycleRules()).top_share
    margin = np.asarray(second_order_margin, dtype=np.float64)
    ranked = scores.assign(
        second_order_margin=margin, worth=scores["p_second_order"].astype(float) * margin
    )
    ranked = ranked[scores["segment"].isin(WINDOW)]
    ranked = ranked.sort_values(["worth", "customer_id"], ascending=[False, True])
    named = ranked.head(int(np.ceil(share * len(ranked))))
    columns = ["customer_id", "first_order_date", "p_second_order", "second_order_margin", "worth"]
    columns += ["segment", "investment_tier", "is_holdout"]
    named = named[columns].reset_index(drop=True)
    named.insert(1, "rank", np.arange(1, len(named) + 1))
    return named
