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
    """Klaviyo: who is who there, what is said of them, and what stops a sync."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    identifier: Literal["external_id", "email", "phone_number"] = "external_id"
    account: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{4,20}$")] | None = None
    enabled: bool = True
    prefix: Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*$", max_length=30)] = "Retention"
    properties: dict[Name, Annotated[str, AfterValidator(_scored)]] = DEFAULT_PROPERTIES
    segments: dict[Title, dict[str, Condition]] = {}
    lists: dict[Title, dict[str, Words]] = {}
    events: bool = False
    fresh_days: Days = 14
    refresh_days: Days = 7
    stale_days: Annotated[int, Field(ge=0, le=365)] = 3
    most_changed_share: Share = 0.3
    least_rows_share: Share = 0.7
    most_created: Annotated[int, Field(ge=0)] = 1000
    allow_wide_key: bool = False

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
