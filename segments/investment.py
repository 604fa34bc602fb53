"""Who gets the investment: what it adds per unit of cost, funded until the budget is spent.

An action makes a customer buy faster for a while, and keeps some of those who would have left. What
that adds depends on the customer: nothing can be won of the lapsed, whose money is already lost, and
little of those who buy anyway. Ranking by risk pays for the first, ranking by value for the second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from segments.allocation import Frontier, allocate, marginal_return, return_curve

__all__ = [
    "TIERS",
    "Action",
    "Belief",
    "Frontier",
    "Investment",
    "Plan",
    "Prospects",
    "allocate",
    "invest",
]

Array = NDArray[np.float64]

TIERS = ("heavy", "standard", "light", "none")
CURVE_POINTS = 40
TEN_PERCENT = 1.2816  # standard deviations below which lies a tenth of a normal distribution
UNCERTAINTY = 0.5  # standard deviation of an effect that nobody measured, as a share of it


@dataclass(frozen=True)
class Action:
    """What an investment tier costs, and is assumed to do until a holdout has measured it.

    Attributes
    ----------
    tier
        ``heavy``, ``standard`` or ``light``.
    cost
        Of contacting a customer, store's currency, above 0.
    assumed_lift
        Rise of the pace of buying while the action works; 0.1 = 10 %.
    assumed_keep
        Chance that a customer who is about to leave stays.
    offer_cost
        Of an offer that is redeemed, store's currency.
    redemption
        Share of the orders, while the action works, that redeem the offer.
    most_customers
        At most so many get it in one run; infinite = no cap.
    """

    tier: str
    cost: float
    assumed_lift: float
    assumed_keep: float = 0.0
    offer_cost: float = 0.0
    redemption: float = 0.0
    most_customers: float = np.inf


@dataclass(frozen=True)
class Belief:
    """An action's effect on a segment, as a multiple of the assumed one.

    Attributes
    ----------
    mean, deviation
        1 and its uncertainty, until it is measured.
    is_measured
        Whether a holdout stands behind it.
    """

    mean: float = 1.0
    deviation: float = UNCERTAINTY
    is_measured: bool = False


Beliefs = Mapping[tuple[str, str], Belief]  # by tier and segment; what is missing is assumed


@dataclass(frozen=True)
class Prospects:
    """What there is to win of customers: arrays of shape (n,).

    Attributes
    ----------
    margin_per_order
        Store's currency.
    faster, kept
        Orders to be won by doubling the pace, and by keeping all who leave
        (``models.purchases.response``).
    orders_soon
        Orders expected anyway while an action works: they redeem its offer, too.
    segment
        The customer's segment.
    low_margin_per_order
        Store's currency: what is counted on where effects are taken low, too; None = the same.
    """

    margin_per_order: Array
    faster: Array
    kept: Array
    orders_soon: Array
    segment: NDArray[np.object_]
    low_margin_per_order: Array | None = None


@dataclass(frozen=True)
class Plan:
    """How the budget is to be used.

    Attributes
    ----------
    budget
        To be committed now, store's currency.
    caution
        Standard deviations by which an effect is taken below its mean.
    hurdle
        Least that the last unit of currency must bring back.
    exploration
        Share of the customers, and of the budget, in which effects are drawn from what is believed of
        them rather than taken low, so that there is something to learn.
    seed
        Of that draw.
    """

    budget: float
    caution: float = 1.0
    hurdle: float = 1.0
    exploration: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Investment:
    """What each customer gets: arrays of shape (n,).

    Attributes
    ----------
    tier
        One of :data:`TIERS`.
    gain
        Margin that the tier is taken to add, before its cost; 0 for ``none``. Taken low for explored
        customers, too.
    gain_low, gain_high
        80 % interval of what the tier adds, as far as its effect is uncertain.
    cost
        Expected cost of the tier, offers included; of held-out customers, what it would be.
    subsidy
        Part of the cost that goes to orders that would have come anyway.
    expected_return
        Gain per unit of cost; NaN for ``none``.
    is_measured
        Whether the gain rests on a measured effect.
    spent
        Cost of all customers who are not held out.
    next_return
        What one more unit of budget would bring back; NaN where there is nothing left to fund.
    curve, curve_spent
        What budgets would gain net of cost, without caps, for those who are not explored, and what of
        `spent` is theirs; None and 0 where there are none.
    """

    tier: NDArray[np.object_]
    gain: Array
    gain_low: Array
    gain_high: Array
    cost: Array
    subsidy: Array
    expected_return: Array
    is_measured: NDArray[np.bool_]
    spent: float
    next_return: float
    curve: Frontier | None
    curve_spent: float


@dataclass(frozen=True)
class _Options:
    """Every action for every customer: arrays of shape (n, k), column 0 to do nothing."""

    tiers: NDArray[np.object_]
    effects: Array
    low_effects: Array
    costs: Array
    subsidies: Array
    caps: Array
    by_segment: "_BySegment" = field(repr=False)


@dataclass(frozen=True)
class _BySegment:
    """What is believed of each action (columns) in each segment (rows)."""

    of: NDArray[np.intp]
    mean: Array
    deviation: Array
    is_measured: NDArray[np.bool_]


def invest(
    prospects: Prospects,
    actions: Sequence[Action],
    is_holdout: ArrayLike,
    plan: Plan,
    *,
    beliefs: Beliefs | None = None,
    multiples: Mapping[str, Array] | None = None,
    is_eligible: ArrayLike = True,
    is_explorer: ArrayLike = False,
) -> Investment:
    """Fund what adds most per unit of cost first, until the budget is spent.

    Parameters
    ----------
    prospects
        What there is to win of n customers.
    actions
        What can be done, at most one for each customer.
    is_holdout
        Shape (n,): held-out customers get the tier that they would have, and use no budget.
    plan
        How the budget is to be used.
    beliefs
        Measured effects; the others are assumed.
    multiples
        By tier, shape (n,): what an effect was measured to be for each customer, as a multiple of the
        assumed one, in place of the mean of the customer's segment.
    is_eligible
        Shape (n,): whether something may be done for the customer now.
    is_explorer
        Shape (n,): for whom effects are drawn; matters where ``plan.exploration`` is above 0.

    Returns
    -------
    Investment
        Never an action that is taken to bring back less than the hurdle, never more cost than the
        budget.

    Raises
    ------
    ValueError
        A cost that is not positive.

    Notes
    -----
    The multiple-choice knapsack, see :func:`segments.allocation.allocate`.
    """
    options = _options(prospects, actions, beliefs or {})
    shift = _shift(options, multiples or {})
    n = len(prospects.segment)
    held, eligible, explores = (
        np.broadcast_to(np.asarray(flag, dtype=bool), n)
        for flag in (is_holdout, is_eligible, is_explorer)
    )
    explores = explores & (plan.exploration > 0)
    low = options.by_segment.mean - plan.caution * options.by_segment.deviation
    drawn = np.random.default_rng(plan.seed).normal(
        options.by_segment.mean, options.by_segment.deviation
    )
    chosen = np.zeros(n, dtype=np.intp)
    shares = {False: 1.0 - plan.exploration * explores.any(), True: plan.exploration}
    next_return, curve, curve_spent = np.nan, None, 0.0
    base = min(
        plan.hurdle, 1.0
    )  # what the budget's own cost counts for: below 1, a loss is allowed
    ways = ((False, low, options.low_effects), (True, drawn, options.effects))
    for is_drawn, taken, effects in ways:
        here = np.flatnonzero(explores == is_drawn)
        if not len(here):
            continue
        factor = np.maximum(taken[options.by_segment.of[here]] + shift[here], 0.0)
        net = effects[here] * factor - base * options.costs[here]
        net[~eligible[here], 1:] = -1.0
        budget = plan.budget * shares[is_drawn]
        chosen[here] = allocate(
            net,
            options.costs[here],
            budget,
            caps=_shared(options.caps, shares[is_drawn]),
            hurdle=plan.hurdle - base,
            held=held[here],
        )
        if not is_drawn:
            next_return = base + marginal_return(net, options.costs[here], budget, held=held[here])
            over_cost = net - (1 - base) * options.costs[here]
            curve = return_curve(over_cost, options.costs[here], CURVE_POINTS, held=held[here])
            paid = options.costs[here, chosen[here]]
            curve_spent = float(paid[~held[here]].sum())
    found = _investment(options, chosen, low, shift, held)
    return replace(found, next_return=next_return, curve=curve, curve_spent=curve_spent)


def _shift(options: _Options, multiples: Mapping[str, Array]) -> Array:
    """Return what each customer's measured effect is above the mean of the segment, shape (n, k)."""
    shift = np.zeros(options.effects.shape)
    for column, tier in enumerate(options.tiers):
        if tier in multiples:
            mean = options.by_segment.mean[options.by_segment.of, column]
            shift[:, column] = multiples[tier] - mean
    return shift


def _shared(caps: Array, share: float) -> Array:
    """Return a share of the places; no cap stays none."""
    is_capped = np.isfinite(caps)
    return np.where(is_capped, np.floor(share * np.where(is_capped, caps, 0)), np.inf)


def _options(prospects: Prospects, actions: Sequence[Action], beliefs: Beliefs) -> _Options:
    if any(action.cost <= 0 for action in actions):
        raise ValueError("an action costs more than 0: set investment.actions.*.cost")
    ranked = sorted(actions, key=lambda action: action.cost)
    orders = np.column_stack(
        [np.zeros(len(prospects.segment))]
        + [prospects.faster * a.assumed_lift + prospects.kept * a.assumed_keep for a in ranked]
    )
    offers = np.array([0.0] + [a.offer_cost * a.redemption for a in ranked])
    lifts = np.array([0.0] + [a.assumed_lift for a in ranked])
    contacts = np.array([0.0] + [a.cost for a in ranked])
    subsidies = np.multiply.outer(prospects.orders_soon, offers)
    low = prospects.low_margin_per_order
    low = prospects.margin_per_order if low is None else low
    return _Options(
        tiers=np.array(["none"] + [a.tier for a in ranked], dtype=object),
        effects=orders * prospects.margin_per_order[:, None],
        low_effects=orders * low[:, None],
        costs=contacts + subsidies * (1 + lifts),
        subsidies=subsidies,
        caps=np.array([np.inf] + [a.most_customers for a in ranked]),
        by_segment=_believed(prospects.segment, [a.tier for a in ranked], beliefs),
    )


def _believed(segment: NDArray[np.object_], tiers: Sequence[str], beliefs: Beliefs) -> _BySegment:
    of, names = pd.factorize(segment, sort=True)
    table = [[beliefs.get((tier, name), Belief()) for tier in tiers] for name in names]
    nothing = Belief(0.0, 0.0)
    rows = [[nothing, *row] for row in table]

    def matrix(name: str) -> Array:
        values = [[float(getattr(belief, name)) for belief in row] for row in rows]
        return np.array(values).reshape(len(names), len(tiers) + 1)

    return _BySegment(of, matrix("mean"), matrix("deviation"), matrix("is_measured").astype(bool))


def _investment(
    options: _Options,
    chosen: NDArray[np.intp],
    low: Array,
    shift: Array,
    held: NDArray[np.bool_],
) -> Investment:
    rows = np.arange(len(chosen))
    whole, segment = options.effects[rows, chosen], options.by_segment.of
    moved = shift[rows, chosen]
    gain = options.low_effects[rows, chosen] * np.maximum(low[segment, chosen] + moved, 0)
    cost = options.costs[rows, chosen]
    with np.errstate(invalid="ignore", divide="ignore"):
        returns = np.where(chosen > 0, gain / cost, np.nan)
    believed = options.by_segment
    mean, spread = (
        believed.mean[segment, chosen] + moved,
        TEN_PERCENT * believed.deviation[segment, chosen],
    )
    return Investment(
        tier=options.tiers[chosen],
        gain=gain,
        gain_low=whole * np.maximum(mean - spread, 0),
        gain_high=whole * np.maximum(mean + spread, 0),
        cost=cost,
        subsidy=options.subsidies[rows, chosen],
        expected_return=returns,
        is_measured=options.by_segment.is_measured[options.by_segment.of, chosen],
        spent=float(cost[~held].sum()),
        next_return=np.nan,
        curve=None,
        curve_spent=0.0,
    )
