"""Scores -> the small tables that people read."""

import pandas as pd

from segments.investment import TIERS
from segments.lifecycle import SEGMENTS
from segments.newcomers import WINDOW

EXPECTED = ("expected_orders", "expected_value", "expected_margin")


def totals(scores: pd.DataFrame) -> dict[str, float]:
    """Sum up all customers.

    Parameters
    ----------
    scores
        Table :class:`features.tables.Scores`.

    Returns
    -------
    dict
        ``share_once`` (bought once, 0 to 1), ``orderers_90d`` (customers expected to order in 90
        days), ``expected_orders``, ``expected_value`` and ``expected_margin`` over the horizon.
    """
    return {
        "share_once": float((scores["frequency"] == 0).mean()),
        "orderers_90d": float(scores["p_order_90d"].sum()),
        **{name: float(scores[name].sum()) for name in EXPECTED},
    }


def segment_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Sum up each segment.

    Parameters
    ----------
    scores
        Table :class:`features.tables.Scores`.

    Returns
    -------
    DataFrame
        One row per segment that has customers, in the order of :data:`SEGMENTS`: ``segment,
        meaning, customers, share, revenue, p_order_90d, expected_value, expected_margin, heavy,
        standard, light, held_out``; chances and values are means, revenue and counts are sums.
    """
    by = scores.groupby("segment", sort=False)
    table = pd.DataFrame(
        {
            "customers": by.size(),
            "revenue": by["revenue"].sum(),
            "p_order_90d": by["p_order_90d"].mean(),
            "expected_value": by["expected_value"].mean(),
            "expected_margin": by["expected_margin"].sum(),
            "held_out": by["is_holdout"].sum(),
        }
    )
    invested = scores[~scores["is_holdout"]]
    counts = pd.crosstab(invested["segment"], invested["investment_tier"])
    counts = counts.reindex(index=table.index, columns=list(TIERS[:-1]), fill_value=0)
    table = table.join(counts).reindex([name for name in SEGMENTS if name in table.index])
    table.insert(0, "meaning", [SEGMENTS[name].definition for name in table.index])
    table.insert(2, "share", table["customers"] / len(scores))
    return table.rename_axis(index="segment", columns=None).reset_index()


def newcomer_table(scores: pd.DataFrame, named: pd.DataFrame) -> pd.DataFrame:
    """Compare the first-time buyers who are named with the others in the post-purchase window.

    Parameters
    ----------
    scores
        Table :class:`features.tables.Scores`.
    named
        As :func:`segments.newcomers.top_newcomers` returns them.

    Returns
    -------
    DataFrame
        Rows ``top`` and ``others``: ``group, customers, p_second_order, expected_margin, margin_share``
        (their part of the expected margin of both, 0 to 1); means are None where there are none.
    """
    window = scores[scores["segment"].isin(WINDOW)]
    is_top = window["customer_id"].isin(named["customer_id"])
    margin = float(window["expected_margin"].sum())
    rows = [
        {
            "group": group,
            "customers": len(part),
            "p_second_order": float(part["p_second_order"].mean()) if len(part) else None,
            "expected_margin": float(part["expected_margin"].mean()) if len(part) else None,
            "margin_share": float(part["expected_margin"].sum()) / margin if margin else None,
        }
        for group, part in (("top", window[is_top]), ("others", window[~is_top]))
    ]
    return pd.DataFrame(rows, dtype=object)


def tier_table(commitments: pd.DataFrame) -> pd.DataFrame:
    """Sum up each investment tier.

    Parameters
    ----------
    commitments
        Table :class:`features.tables.Commitments`: what is in force.

    Returns
    -------
    DataFrame
        One row per tier but ``none``: ``tier, customers, held_out, cost, gain, expected_return``;
        cost and gain (incremental margin before cost) over the customers not held out.
    """
    rows = []
    for tier in TIERS[:-1]:
        of_tier = commitments[commitments["investment_tier"] == tier]
        invested = of_tier[~of_tier["is_holdout"].astype(bool)]
        cost, gain = (float(invested[name].sum()) for name in ("expected_cost", "expected_gain"))
        rows.append(
            {
                "tier": tier,
                "customers": len(invested),
                "held_out": len(of_tier) - len(invested),
                "cost": cost,
                "gain": gain,
                "expected_return": gain / cost if cost else None,
            }
        )
    return pd.DataFrame(rows, dtype=object)  # floats would turn None into NaN
