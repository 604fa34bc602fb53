"""What a store sets of Klaviyo: whom, what, and how far a sync may go."""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from connectors.klaviyo.conditions import SegmentDefinition
from connectors.klaviyo.guards import Limits
from connectors.klaviyo.printable import printable
from connectors.klaviyo.properties import ALWAYS, PRIVATE, Property, list_properties
from connectors.klaviyo.segments import define
from features.tables import Scores

DEFAULT_PROPERTIES = {
    "Segment": "segment",
    "Tier": "investment_tier",
    "Chance of Order 90d": "p_order_90d",
    "Churn Risk": "churn_probability",
    "Expected Value": "expected_value",
    "Second Order Chance": "p_second_order",
    "Next Order Date": "next_order_date",
    "Journey Stage": "journey_stage",
    "Loyalty Tier": "loyalty_tier",
}
MOST_PROPERTIES = 15

Name = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9 ]*$", max_length=60)]
Share = Annotated[float, Field(ge=0, le=1)]
Days = Annotated[int, Field(ge=1, le=365)]


def _scored(column: str) -> str:
    if column not in Scores.columns() or column in PRIVATE:
        raise ValueError("is no column of the scores that may be told; see the data dictionary")
    return column


def _is_text(column: str) -> bool:
    return Scores.schema()[column] == "string"


def _printable(text: str) -> str:
    if printable(text) != text:
        raise ValueError("has control characters, perhaps from copying; remove them")
    return text


Words = Annotated[StrictStr, AfterValidator(_printable)]
Title = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Condition = StrictBool | StrictInt | StrictFloat | Words | list[Words] | dict[str, int | float]


class KlaviyoSettings(BaseModel):
    """Klaviyo: profiles, properties, segments and the limits of a sync; see docs/klaviyo.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    identifier: Literal["external_id", "email", "phone_number"] = Field(
        default="external_id",
        description="Identifier of a profile: external_id, email or phone_number.",
    )
    account: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{4,20}$")] | None = Field(
        default=None,
        description="Public id of the account; a sync refuses any other. The key is in $KLAVIYO_API_KEY.",
        examples=["AbC123"],
    )
    integration: str | None = Field(
        default=None,
        description="Key of the integration that sends orders to Klaviyo, if orders.source is klaviyo://… and there are several.",
        examples=["shopify"],
    )
    enabled: bool = Field(
        default=True, description="false stops every sync, including one that is running."
    )
    prefix: str = Field(
        default="Retention",
        pattern=r"^[A-Z][A-Za-z0-9]*$",
        max_length=30,
        description="Prefix of every property and segment.",
    )
    properties: dict[Name, Annotated[str, AfterValidator(_scored)]] = Field(
        default=DEFAULT_PROPERTIES,
        description='Property = column of the scores. "Holdout" and "Scored At" are always sent.',
    )
    segments: dict[Title, dict[str, Condition]] = Field(
        default={},
        description="Segments created in Klaviyo. Customers meet all conditions, were scored lately, are not held "
        "out and can receive marketing.",
        examples=[
            {
                "Win back": {
                    "Segment": ["at risk high value", "at risk"],
                    "Churn Risk": {"above": 60},
                },
                "Due soon": {"Tier": "heavy", "Next Order Date": {"in_next_days": 7}},
            }
        ],
    )
    lists: dict[Title, dict[str, Words]] = Field(
        default={},
        description="Lists that customers are added to and removed from, where a segment does not suffice. Conditions "
        "are on text properties only.",
        examples=[{"Gold": {"Loyalty Tier": "gold"}}],
    )
    events: bool = Field(
        default=False,
        description='Whether each change of segment sends an event, "Retention Segment Changed".',
    )
    fresh_days: Days = Field(
        default=14, description="Age in days from which segments ignore older scores."
    )
    refresh_days: Days = Field(
        default=7, description="Days after which an unchanged profile is sent again."
    )
    stale_days: int = Field(
        default=3, ge=0, le=365, description="Age in days above which scores are not sent."
    )
    most_changed_share: Share = Field(
        default=0.3,
        description="Maximum share of customers who change segment; with more, the sync is refused.",
    )
    least_rows_share: Share = Field(
        default=0.7,
        description="Minimum number of customers, as a share of the last sync's; with fewer, the sync is refused.",
    )
    most_created: int = Field(
        default=1000,
        ge=0,
        description="Maximum number of profiles that `perennial sync --create-missing` creates at once; each is billed.",
    )
    allow_wide_key: bool = Field(
        default=False, description="Whether the key may have more scopes than a sync needs."
    )

    @model_validator(mode="after")
    def _check_whole(self) -> "KlaviyoSettings":
        reserved = [name for name in self.properties if name in ALWAYS]
        if reserved:
            raise ValueError(f"{', '.join(reserved)} is always sent; leave it out of properties")
        if len(self.properties) + len(ALWAYS) > MOST_PROPERTIES:
            raise ValueError(
                f"at most {MOST_PROPERTIES - len(ALWAYS)} properties are sent beside Holdout and Scored At"
            )
        if 2 * self.refresh_days > self.fresh_days:
            raise ValueError(
                "refresh_days is at most half of fresh_days, so that nobody drops out"
            )
        for name in self.segments:
            try:
                self.definition(name)
            except ValueError as error:
                raise ValueError(f"segments.{name}: {error}") from error
        texts = {name for name, column in self.properties.items() if _is_text(column)}
        for name, conditions in self.lists.items():
            if not conditions or not conditions.keys() <= texts:
                raise ValueError(
                    f"lists.{name}: a list is of people with given texts, such as Tier"
                )
        return self

    @property
    def is_configured(self) -> bool:
        """Whether there is an account to sync with."""
        return self.account is not None and self.enabled

    @property
    def all_properties(self) -> tuple[Property, ...]:
        """What is said of a customer, in order, the day of the scores last."""
        return list_properties(self.prefix, self.properties)

    @property
    def limits(self) -> Limits:
        """How far a sync may go."""
        return Limits(
            self.stale_days, self.most_changed_share, self.least_rows_share, self.most_created
        )

    def definition(self, name: str) -> SegmentDefinition:
        """Return the definition of one of the segments."""
        return define(self.prefix, self.segments[name], self.all_properties, self.fresh_days)

    @property
    def definitions(self) -> dict[str, SegmentDefinition]:
        """Every segment's definition by its name in Klaviyo."""
        return {f"{self.prefix}: {name}": self.definition(name) for name in self.segments}
