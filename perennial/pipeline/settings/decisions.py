"""What a store sets of its decisions: forecasts, investment, holdout, loyalty tiers and measures."""

from pydantic import Field, model_validator

from perennial.pipeline.settings.section import Amount, Positive, Section, Share
from segments.loyalty import DEFAULT_TIERS, LoyaltyTier, check_tiers

KEEP_PER_LIFT = 0.6  # of an action's assumed lift, where the settings do not say what it keeps


class ModelSettings(Section):
    """The forecasts."""

    horizon_days: int = Field(
        default=365, ge=1, le=3650, description="Days ahead for which value is forecast."
    )
    second_purchase_days: int = Field(
        default=90, ge=1, le=3650, description="Days within which a second order is forecast."
    )
    annual_discount_rate: float = Field(
        default=0.10,
        ge=0,
        le=1,
        description="Discount rate per year: at 0.10, 1.10 in a year is worth 1 today.",
    )
    backtest_cutoffs: int = Field(
        default=3,
        ge=1,
        le=20,
        description="Past days on which a new model is tested before it may score.",
    )
    stacking: bool = Field(
        default=True,
        serialization_alias="learned",
        description="Whether trees, classifier, season and price level are used; false: purchase and spend models only.",
    )


class ActionSettings(Section):
    """Cost of a tier, and its effect as assumed until a holdout has measured it; all tiers have the same keys."""

    cost: Positive = Field(description="Cost of a contact, in the store's currency.")
    assumed_lift: Share = Field(
        description="Increase of the purchase rate, as a share, until it is measured."
    )
    assumed_keep: Share | None = Field(
        default=None,
        description=f"Share retained of those who would leave, until measured; if not set, {KEEP_PER_LIFT:g} of the lift.",
    )
    offer_cost: Amount = Field(
        default=0.0,
        description="Cost of each use of the offer, in the store's currency.",
        examples=[5.0],
    )
    redemption: Share = Field(
        default=0.0,
        description="Share of the orders within works_days that use the offer.",
        examples=[0.2],
    )
    most_customers: int | None = Field(
        default=None,
        ge=0,
        description="Maximum number of customers per run; if not set, all for whom it pays.",
        examples=[1000],
    )


class ActionsSettings(Section):
    """The investment tiers."""

    heavy: ActionSettings = ActionSettings(cost=6.0, assumed_lift=0.30, assumed_keep=0.18)
    standard: ActionSettings = ActionSettings(cost=2.0, assumed_lift=0.12, assumed_keep=0.07)
    light: ActionSettings = ActionSettings(cost=0.3, assumed_lift=0.04, assumed_keep=0.02)


class InvestmentSettings(Section):
    """The retention budget and how it is spent."""

    budget: Amount = Field(
        default=5000.0, description="Budget per period, in the store's currency."
    )
    period_days: int = Field(
        default=30,
        ge=1,
        le=366,
        description="Days of a budget period, and for which a customer keeps a tier.",
    )
    rest_days: int = Field(
        default=30,
        ge=0,
        le=366,
        description="Days without a new investment in the customer afterwards.",
    )
    works_days: int = Field(
        default=60,
        ge=1,
        le=366,
        description="Days for which an action increases a customer's purchase rate.",
    )
    reach_gaps: Positive = Field(
        default=1.5,
        description="Silence, in the customer's usual gaps, up to which an action can still win a customer back.",
    )
    caution: float = Field(
        default=1.0,
        ge=0,
        le=3,
        description="Standard deviations by which the estimate of an effect is lowered.",
    )
    hurdle: Amount = Field(
        default=1.0, description="Minimum margin that the last unit of currency must return."
    )
    exploration: Share = Field(
        default=0.10,
        description="Share of customers and budget used for random exploration of effects.",
    )
    actions: ActionsSettings = ActionsSettings()


class HoldoutSettings(Section):
    """The control group, which measures what retention marketing adds."""

    share: Share = Field(
        default=0.10, description="Share of customers kept out of all retention marketing."
    )
    salt: str = Field(
        default="retention",
        description="Name of the random assignment; another name assigns another group.",
    )
    measure_days: int = Field(
        default=90, ge=1, le=730, description="Days for which each customer is measured."
    )
    programs: dict[str, Share] = Field(
        default={},
        description="Further groups, each kept out of one program only: name = share of customers.",
        examples=[{"winback": 0.2}],
    )


class LoyaltySettings(Section):
    """The loyalty tiers, which customers earn by their whole order history."""

    tiers: tuple[LoyaltyTier, ...] = Field(
        default=DEFAULT_TIERS,
        description="Tiers from the lowest to the highest, all with a minimum of orders or all with a minimum of revenue.",
    )

    @model_validator(mode="after")
    def _check_tiers(self) -> "LoyaltySettings":
        check_tiers(self.tiers)
        return self


class KpiSettings(Section):
    """The measures on the page."""

    repeat_rate_benchmark: Share | None = Field(
        default=None,
        description="Repeat purchase rate of your category, shown with your own.",
        examples=[0.28],
    )
    natural_cycle_days: Positive | None = Field(
        default=None,
        description="Days between two orders; if not set, the median of your customers.",
        examples=[30],
    )
    least_customers: int = Field(
        default=30, ge=1, description="Minimum number of customers for which a rate is shown."
    )
    loyalty_active_floor: Share = Field(
        default=0.15,
        description="Share of members active within a quarter below which the program is flagged.",
    )
    bundle_refill_days: tuple[int, int] = Field(
        default=(28, 45),
        description="First and last day on which a bundle is due for a refill, if no product's cycle is measured.",
    )
