"""What actions cost customers and are believed to add: what is the same for all, and what is each one's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.intp]

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
class EffectEstimate:
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


EffectEstimates = Mapping[
    tuple[str, str], EffectEstimate
]  # by tier and segment; what is missing is assumed


@dataclass(frozen=True)
class IncrementalValue:
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
        The customer's segment; None where it is not named yet.
    low_margin_per_order
        Store's currency: what is counted on where effects are taken low, too; None = the same.
    """

    margin_per_order: Array
    faster: Array
    kept: Array
    orders_soon: Array
    segment: NDArray[np.object_] | None
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

    @property
    def base(self) -> float:
        """What the budget's own cost counts for: below 1, a loss is allowed."""
        return min(self.hurdle, 1.0)


@dataclass(frozen=True)
class Granted:
    """What each customer gets: arrays of shape (n,).

    Attributes
    ----------
    tier
        One of :data:`segments.investment.TIERS`.
    gain
        Margin that the tier is taken to add, before its cost; 0 for ``none``. Taken low for the test
        share, too.
    gain_low, gain_high
        80 % interval of what the tier adds: the lower end takes order value low too, as `gain` does.
    cost
        Expected cost of the tier, offers included; of held-out customers, what it would be.
    subsidy
        Part of the cost that goes to orders that would have come anyway.
    expected_return
        Gain per unit of cost; NaN for ``none``.
    is_measured
        Whether the gain rests on a measured effect.
    """

    tier: NDArray[np.object_]
    gain: Array
    gain_low: Array
    gain_high: Array
    cost: Array
    subsidy: Array
    expected_return: Array
    is_measured: NDArray[np.bool_]


@dataclass(frozen=True)
class Offers:
    """What is the same for every customer of a segment.

    Attributes
    ----------
    actions
        The k - 1 actions, cheapest first; column 0 is to do nothing.
    plan
        How the budget is to be used.
    mean, deviation, is_measured
        What is believed of each action (k columns) in each segment (rows), as multiples of what is assumed.
    drawn
        The same as `mean`, drawn for customers in the test share.
    """

    actions: Sequence[Action]
    plan: Plan
    mean: Array
    deviation: Array
    is_measured: NDArray[np.bool_]
    drawn: Array

    @classmethod
    def of(
        cls,
        actions: Sequence[Action],
        segments: Sequence[str],
        plan: Plan,
        effects: EffectEstimates,
    ) -> "Offers":
        """Say what holds in each of these segments.

        Raises
        ------
        ValueError
            A cost that is not positive.
        """
        if any(action.cost <= 0 for action in actions):
            raise ValueError("an action costs more than 0: set investment.actions.*.cost")
        ranked = sorted(actions, key=lambda action: action.cost)
        nothing = EffectEstimate(0.0, 0.0)
        rows = [
            [nothing, *(effects.get((a.tier, name), EffectEstimate()) for a in ranked)]
            for name in segments
        ]

        def matrix(name: str) -> Array:
            values = [[float(getattr(estimate, name)) for estimate in row] for row in rows]
            return np.array(values).reshape(len(segments), len(ranked) + 1)

        mean, deviation = matrix("mean"), matrix("deviation")
        drawn = np.random.default_rng(plan.seed).normal(mean, deviation)
        return cls(ranked, plan, mean, deviation, matrix("is_measured").astype(bool), drawn)

    @property
    def tiers(self) -> NDArray[np.object_]:
        """The tiers, by column."""
        return np.array(["none", *(a.tier for a in self.actions)], dtype=object)

    @property
    def caps(self) -> Array:
        """The most customers of each column."""
        return np.array([np.inf, *(a.most_customers for a in self.actions)])

    def to(
        self,
        incremental_value: IncrementalValue,
        segment: Codes,
        multiples: Mapping[str, Array] | None = None,
    ) -> "Offered":
        """Say what each action costs n customers and adds.

        Parameters
        ----------
        incremental_value
            What there is to win of them.
        segment
            Shape (n,): the row of each one's segment.
        multiples
            By tier, shape (n,): what an effect was measured to be for each customer, as a multiple of the
            assumed one, in place of the mean of the segment.
        """
        orders = np.column_stack(
            [np.zeros(len(segment))]
            + [
                incremental_value.faster * a.assumed_lift + incremental_value.kept * a.assumed_keep
                for a in self.actions
            ]
        )
        offers = np.array([0.0] + [a.offer_cost * a.redemption for a in self.actions])
        lifts = np.array([0.0] + [a.assumed_lift for a in self.actions])
        contacts = np.array([0.0] + [a.cost for a in self.actions])
        subsidies = np.multiply.outer(incremental_value.orders_soon, offers)
        low = incremental_value.low_margin_per_order
        low = incremental_value.margin_per_order if low is None else low
        return Offered(
            self,
            segment,
            effects=orders * incremental_value.margin_per_order[:, None],
            low_effects=orders * low[:, None],
            costs=contacts + subsidies * (1 + lifts),
            subsidies=subsidies,
            shift=self._shift(segment, multiples or {}),
        )

    def _shift(self, segment: Codes, multiples: Mapping[str, Array]) -> Array:
        """Return what each customer's measured effect is above the mean of the segment, (n, k) or (1, k)."""
        if not multiples:
            return np.zeros((1, self.mean.shape[1]))
        shift = np.zeros((len(segment), self.mean.shape[1]))
        for column, tier in enumerate(self.tiers):
            if tier in multiples:
                shift[:, column] = multiples[tier] - self.mean[segment, column]
        return shift


@dataclass(frozen=True)
class Offered:
    """Every action for n customers: arrays of shape (n, k), column 0 to do nothing.

    Attributes
    ----------
    offers
        What is the same for all of a segment.
    segment
        Shape (n,): the row of each one's segment in it.
    effects, low_effects
        Margin that each action adds as assumed, and with what an order is worth taken low.
    costs, subsidies
        What each costs, and the part of it that goes to orders that would have come anyway.
    shift
        What each one's measured effect is above the segment's mean; (1, k) where it is nobody's.
    """

    offers: Offers
    segment: Codes
    effects: Array
    low_effects: Array
    costs: Array
    subsidies: Array
    shift: Array

    def net(self, is_test_share: NDArray[np.bool_]) -> Array:
        """Return what each action is taken to gain above what its cost counts for, shape (n, k).

        Parameters
        ----------
        is_test_share
            Shape (n,): for whom effects are drawn rather than taken low.
        """
        believed = np.maximum(self._low[self.segment] + self.shift, 0.0) * self.low_effects
        if is_test_share.any():
            drawn = np.maximum(self.offers.drawn[self.segment] + self.shift, 0.0) * self.effects
            believed = np.where(is_test_share[:, None], drawn, believed)
        return np.asarray(believed - self.offers.plan.base * self.costs)

    def granted(self, choice: Codes) -> Granted:
        """Say what customers get of the columns chosen for them, shape (n,)."""
        rows, segment, offers = np.arange(len(choice)), self.segment, self.offers
        whole = self.effects[rows, choice]
        moved = np.broadcast_to(self.shift, self.effects.shape)[rows, choice]
        low = np.maximum(self._low[segment, choice] + moved, 0)
        gain, cost = self.low_effects[rows, choice] * low, self.costs[rows, choice]
        with np.errstate(invalid="ignore", divide="ignore"):
            returns = np.where(choice > 0, gain / cost, np.nan)
        mean = offers.mean[segment, choice] + moved
        spread = TEN_PERCENT * offers.deviation[segment, choice]
        return Granted(
            tier=offers.tiers[choice],
            gain=gain,
            gain_low=self.low_effects[rows, choice]
            * np.maximum(np.minimum(mean - spread, low), 0),
            gain_high=whole * np.maximum(mean + spread, 0),
            cost=cost,
            subsidy=self.subsidies[rows, choice],
            expected_return=returns,
            is_measured=offers.is_measured[segment, choice],
        )

    @property
    def _low(self) -> Array:
        return np.asarray(self.offers.mean - self.offers.plan.caution * self.offers.deviation)
