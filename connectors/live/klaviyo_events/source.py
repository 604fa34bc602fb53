"""Which of an account's events are read: by id and integration, since names of metrics repeat."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from connectors.live.errors import UnexpectedAnswerError
from connectors.live.klaviyo_events.client import Metric

PLATFORM = "klaviyo"
ACTIVE_DAYS = 90  # an integration with a Placed Order in them sends orders
SHOPIFY, WOOCOMMERCE, API = "shopify", "woocommerce", "api"
READABLE = (SHOPIFY, WOOCOMMERCE, API)  # integrations whose orders are understood


class Kind(StrEnum):
    """What a stream's events are; the value is the stream's name in raw files."""

    PLACED = "placed_order"
    CANCELLED = "cancelled_order"
    REFUNDED = "refunded_order"
    RECEIVED_EMAIL = "received_email"
    RECEIVED_SMS = "received_sms"
    OPENED_EMAIL = "opened_email"
    CLICKED_EMAIL = "clicked_email"
    CLICKED_SMS = "clicked_sms"
    ACTIVE_ON_SITE = "active_on_site"
    VIEWED_PRODUCT = "viewed_product"
    UNSUBSCRIBED = "unsubscribed"

    @property
    def is_of_orders(self) -> bool:
        """Whether the events are of orders; else they are engagement."""
        return self in (Kind.PLACED, Kind.CANCELLED, Kind.REFUNDED)


NAMES = {  # of metrics
    "Placed Order": Kind.PLACED,
    "Cancelled Order": Kind.CANCELLED,
    "Refunded Order": Kind.REFUNDED,
    "Received Email": Kind.RECEIVED_EMAIL,
    "Received SMS": Kind.RECEIVED_SMS,
    "Opened Email": Kind.OPENED_EMAIL,
    "Clicked Email": Kind.CLICKED_EMAIL,
    "Clicked SMS": Kind.CLICKED_SMS,
    "Active on Site": Kind.ACTIVE_ON_SITE,
    "Viewed Product": Kind.VIEWED_PRODUCT,
    "Unsubscribed from Email Marketing": Kind.UNSUBSCRIBED,
    "Unsubscribed": Kind.UNSUBSCRIBED,
}
OF_SITE = (
    Kind.ACTIVE_ON_SITE,
    Kind.VIEWED_PRODUCT,
)  # of any integration; the others are Klaviyo's own


@dataclass(frozen=True)
class Range:
    """Days whose orders come from one integration, in the store's time zone.

    Attributes
    ----------
    key
        The integration's key, or the id of its Placed Order metric where two have the same key.
    start, end
        Half-open: [start, end). None = without a bound.
    """

    key: str
    start: date | None = None
    end: date | None = None

    def has(self, moment: datetime, zone: ZoneInfo) -> bool:
        """Tell whether a moment is in it."""
        day = moment.astimezone(zone).date()
        return (self.start is None or self.start <= day) and (self.end is None or day < self.end)

    def overlaps(self, other: "Range") -> bool:
        """Tell whether a day is in both."""
        starts, ends = (self.start or date.min, other.start or date.min), (self.end, other.end)
        return max(starts) < min(end or date.max for end in ends)


@dataclass(frozen=True)
class KlaviyoSource:
    """What is read of an account, as the settings have it.

    Attributes
    ----------
    account
        The account's public id, as in the source's address.
    timezone, currency
        The store's; the account's must be the same. None = not checked.
    ranges
        Integrations that orders come from; none = the one that sends orders.
    has_engagement
        Whether messages, opens, clicks, visits and unsubscriptions are read.
    engagement_days
        How far back they are read.
    """

    account: str
    timezone: str | None = None
    currency: str | None = None
    ranges: tuple[Range, ...] = ()
    has_engagement: bool = True
    engagement_days: int = 365

    def __post_init__(self) -> None:
        for number, one in enumerate(self.ranges):
            if one.start is not None and one.end is not None and one.start >= one.end:
                raise ValueError(f"the range of {one.key} ends after its start")
            for other in self.ranges[:number]:
                if one.overlaps(other):
                    raise ValueError(
                        f"the ranges of {other.key} and {one.key} overlap: their orders would count twice. End "
                        "one where the other starts"
                    )

    @property
    def zone(self) -> ZoneInfo:
        """The store's time zone, UTC where none is set."""
        return ZoneInfo(self.timezone or "UTC")


@dataclass(frozen=True)
class Stream:
    """Events of one metric, and the name that they are stored under.

    Attributes
    ----------
    kind
        What they are.
    integration
        The key of the integration that sends them.
    metric_id
        The metric's id.
    """

    kind: Kind
    integration: str
    metric_id: str

    @property
    def name(self) -> str:
        """The stream's name: ``placed_order.shopify.SHPlac``."""
        return f"{self.kind.value}.{self.integration}.{self.metric_id}"


@dataclass(frozen=True)
class ActiveMetric:
    """A Placed Order metric, with what it has.

    Attributes
    ----------
    metric
        The metric.
    recent
        Events in the last 90 days.
    first_at, last_at
        Of its events; None where it has none.
    """

    metric: Metric
    recent: int
    first_at: datetime | None
    last_at: datetime | None

    def __str__(self) -> str:
        name = f'"{self.metric.integration}" ({self.metric.id})'
        if self.first_at is None or self.last_at is None:
            return f"{name}: none"
        days = f"{self.first_at:%Y-%m-%d} to {self.last_at:%Y-%m-%d}"
        return f"{name}: {self.recent:,} in {ACTIVE_DAYS} days, {days}"


def parse_stream(name: str) -> Stream | None:
    """Return the stream of a name; None where it is of another form."""
    kind, _, rest = name.partition(".")
    integration, _, metric_id = rest.rpartition(".")
    if kind not in set(Kind) or not metric_id:
        return None
    return Stream(Kind(kind), integration, metric_id)


def order_metrics(metrics: Sequence[Metric]) -> list[Metric]:
    """Return the metrics of placed orders."""
    return [one for one in metrics if NAMES.get(one.name) is Kind.PLACED]


def sending_metrics(
    source: KlaviyoSource, active: Sequence[ActiveMetric]
) -> tuple[ActiveMetric, ...]:
    """Return the Placed Order metrics that are read.

    Raises
    ------
    UnexpectedAnswerError
        No metric has orders, several have and none is named, or one that is named is not there.
    """
    if source.ranges:
        return tuple(_named(one.key, active) for one in source.ranges)
    recent = [one for one in active if one.recent]
    if len(recent) > 1:
        raise UnexpectedAnswerError(
            f"Several integrations send Placed Order: {'; '.join(map(str, recent))}. Name the one that orders are "
            "read from, or a range of days for each: two of them may send every order twice"
        )
    if recent:
        return tuple(recent)
    past = [one for one in active if one.first_at is not None]
    listed = f": {'; '.join(map(str, past))}" if past else ""
    raise UnexpectedAnswerError(
        f"No integration has sent a Placed Order in {ACTIVE_DAYS} days{listed}. Connect the shop to Klaviyo, or "
        "name the integration whose orders are read"
    )


def streams_of(
    source: KlaviyoSource, metrics: Sequence[Metric], sending: Collection[str]
) -> tuple[Stream, ...]:
    """Return what is read, orders first.

    Parameters
    ----------
    source
        What is read of the account.
    metrics
        All of the account.
    sending
        Ids of the Placed Order metrics that are read: cancellations and refunds are read from the same
        integrations.
    """
    keys = {one.integration for one in metrics if one.id in sending}
    streams = []
    for metric in metrics:
        kind = NAMES.get(metric.name)
        if kind is None:
            continue
        if kind.is_of_orders:
            is_read = metric.id in sending if kind is Kind.PLACED else metric.integration in keys
        else:
            is_own = metric.integration == PLATFORM or kind in OF_SITE
            is_read = source.has_engagement and is_own
        if is_read:
            streams.append(Stream(kind, metric.integration, metric.id))
    order = list(Kind)
    return tuple(sorted(streams, key=lambda one: (order.index(one.kind), one.name)))


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """Return when a day begins, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def recent_start(now: datetime, days: int) -> datetime:
    """Return the begin of a day of UTC, some days ago."""
    day = (now - timedelta(days=days)).astimezone(UTC).date()
    return datetime.combine(day, time(), UTC)


def _named(key: str, active: Sequence[ActiveMetric]) -> ActiveMetric:
    of_key = [one for one in active if key in (one.metric.integration, one.metric.id)]
    if len(of_key) > 1:
        raise UnexpectedAnswerError(
            f'Several Placed Order metrics have the key "{key}": {"; ".join(map(str, of_key))}. Name the id of one'
        )
    if not of_key:
        there = "; ".join(map(str, active)) or "none"
        raise UnexpectedAnswerError(
            f'The account has no Placed Order of "{key}". Its Placed Order metrics: {there}'
        )
    return of_key[0]
