"""A Klaviyo account that receives a shop's orders, and the truth about them.

`Store` holds profiles, events and the shop's orders; the double of `klaviyo_events_double.py` answers
from it. `klaviyo_events_process.py` changes it at random and fills it from a simulated store.

What the account never receives is in the truth only: `true_orders` is what a right reading of the
account gives, `unseen` what no reading can give.
"""

import base64
import bisect
import hashlib
import random
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from tests.live import klaviyo_events_payloads as payloads
from tests.live.double import Clock
from tests.live.klaviyo_events_records import (
    CANCELLED,
    FULFILLED,
    METRICS,
    ORDERED,
    PLACED,
    REFUNDED,
    Contact,
    Edit,
    Event,
    Integration,
    Metric,
    Order,
    Profile,
    Refund,
    RefundLine,
)

IDENTIFIERS = ("email", "phone_number", "external_id")


@dataclass(frozen=True)
class Account:
    """Whose account it is; the shop has the same time zone."""

    id: str = "ABC123"
    organization: str = "Example Beans"
    timezone: str = "Europe/Berlin"
    currency: str = "EUR"
    is_test: bool = False


@dataclass(frozen=True)
class Lag:
    """How long an event takes from its receipt until a list has it.

    Attributes
    ----------
    usual_minutes
        Mean of most events, exponential.
    late_share, most_minutes
        Share of events that take longer, evenly up to so many minutes.
    later_share, later_hours
        Share that takes longer still, up to so many hours.
    """

    usual_minutes: float = 2.0
    late_share: float = 0.1
    most_minutes: float = 110.0
    later_share: float = 0.0
    later_hours: float = 30.0

    def draw(self, rng: random.Random) -> timedelta:
        most = timedelta(minutes=self.most_minutes)
        u = rng.random()
        if u < self.later_share:
            return most + rng.random() * timedelta(hours=self.later_hours)
        if u < self.later_share + self.late_share:
            return rng.random() * most
        return min(timedelta(minutes=rng.expovariate(1 / self.usual_minutes)), most)


@dataclass(frozen=True)
class TrueOrder:
    """What a right reading of the account gives of an order; amounts in cents.

    Attributes
    ----------
    order_id
        The `$event_id`.
    net
        Goods after discounts, without tax and gift cards as far as the integration's events show
        them (`Order.net_in`). Partial refunds and edits are not
        subtracted: the account has none. None where the lines are redacted.
    void_at, void
        When and how the order became void, as far as the account's events show.
    """

    order_id: str
    integration: str
    ordered_at: datetime
    profile_id: str | None
    email: str | None
    currency: str
    net: int | None
    units: int | None
    channel: str
    codes: tuple[str, ...]
    is_test: bool
    void_at: datetime | None
    void: Literal["cancelled", "refunded"] | None


@dataclass(frozen=True)
class Unseen:
    """What happened to an order and is in no event."""

    order_id: str
    kind: Literal["partial_refund", "edit", "no_profile", "unsent_void"]
    at: datetime
    cents: int


class Store:
    """An account and the shop behind it.

    Parameters
    ----------
    clock
        Shared with the double and its client.
    account
        Whose it is.
    seed
        Of lags and ids.
    lag
        From receipt to visibility; none by default, so that every event is listed at once.
    formula
        Of `$value`.
    sends_to
        Integrations that get each order, by key. Two of them send every order twice.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        account: Account | None = None,
        seed: int = 0,
        lag: Lag | None = None,
        formula: payloads.ValueFormula = "total",
        sends_to: tuple[str, ...] = ("shopify",),
    ) -> None:
        self.clock, self.account = clock or Clock(), account or Account()
        self.zone = ZoneInfo(self.account.timezone)
        self.lag, self.formula, self.sends_to = lag, formula, sends_to
        self.sends_external_id = True
        self.syncs_phone_only = False  # an older help text: orders without e-mail are not synced
        self.keeps_id_of_erased = False  # whether events of erased people keep the profile's id
        self.metrics = {metric.id: metric for metric in METRICS}
        self.profiles: dict[str, Profile] = {}
        self.survivors: dict[str, str] = {}  # of merges
        self.erased: set[str] = set()
        self.events: dict[str, Event] = {}
        self.orders: dict[str, Order] = {}
        self.placed: dict[tuple[str, str], str] = {}  # integration and order -> event
        self.voided: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._seed, self._serial, self._lines = seed, 0, 1
        self._lags = random.Random(f"{seed}/lag")
        self._unique: dict[tuple[str, str, str], str] = {}
        self._listed: dict[str, list[Event]] = defaultdict(list)  # "" = of all metrics
        self._keys: dict[tuple[str, str], str] = {}

    def now(self) -> datetime:
        return self.clock.now()

    def metric(self, name: str, integration: str = "shopify") -> Metric:
        """Return a metric by its name and integration."""
        return next(
            metric
            for metric in self.metrics.values()
            if (metric.name, metric.integration.key) == (name, integration)
        )

    def add_metric(self, name: str, integration: Integration) -> Metric:
        """Add a kind of event."""
        metric = Metric(self._id("M")[:6].upper(), name, integration, self.now())
        self.metrics[metric.id] = metric
        return metric

    # events

    def record(
        self,
        metric: Metric,
        profile_id: str,
        happened: datetime,
        *,
        properties: dict[str, Any],
        received: datetime | None = None,
        visible: datetime | None = None,
    ) -> Event:
        """Store an event, once per metric, profile and `$event_id`.

        Parameters
        ----------
        happened
            The event's own time: any.
        received
            `happened` by default; an event is backdated or ahead of time where the two differ.
        visible
            By default the receipt and a lag.
        """
        happened = happened.astimezone(UTC).replace(microsecond=0)
        received = received or happened
        unique = (metric.id, profile_id, str(properties.get("$event_id", self._serial)))
        if unique in self._unique:
            return self.events[self._unique[unique]]
        if visible is None:
            visible = received + (self.lag.draw(self._lags) if self.lag else timedelta())
        key = self._id("4")
        event = Event(
            key, f"{self._serial:08x}-0000-11f0-8000-{self._serial:012}", metric, profile_id,
            happened, received, visible, properties,
        )  # fmt: skip
        self.events[key] = event
        self._unique[unique] = key
        for name in ("", metric.id):
            bisect.insort(self._listed[name], event, key=_time_and_id)
        return event

    def delete_event(self, event_id: str) -> None:
        """Remove an event, as support does on request."""
        event = self.events.pop(event_id)
        self._unique = {unique: key for unique, key in self._unique.items() if key != event.id}
        for name in ("", event.metric.id):
            self._listed[name].remove(event)

    def listed(self, metric_id: str | None = None) -> list[Event]:
        """Return events, visible or not, in the order of their times and ids."""
        return self._listed.get(metric_id or "", [])

    def visible(self, metric_id: str | None = None, at: datetime | None = None) -> list[Event]:
        """Return the events that a list has at a moment, now by default."""
        at = at or self.now()
        return [event for event in self.listed(metric_id) if event.visible <= at]

    # people

    def add_profile(
        self,
        email: str | None = None,
        phone_number: str | None = None,
        external_id: str | None = None,
    ) -> Profile:
        """Add a person; a phone or an external id that somebody else has is left out."""
        now = self.now()
        profile = Profile(self._id("01JS").upper(), _plain(email), created=now, updated=now)
        if self._find("phone_number", phone_number) is None:
            profile.phone_number = phone_number
        if self._find("external_id", external_id) is None:
            profile.external_id = external_id
        self._keep(profile)
        return profile

    def _keep(self, profile: Profile) -> None:
        self.profiles[profile.id] = profile
        for name in IDENTIFIERS:
            value = getattr(profile, name)
            if value is not None:
                self._keys[name, value] = profile.id

    def profile_of(self, contact: Contact) -> Profile | None:
        """Return the profile that an order's contact leads to, new if need be."""
        if contact.email is None and (contact.phone is None or not self.syncs_phone_only):
            return None
        external_id = None
        if self.sends_external_id and contact.customer_id is not None:
            external_id = str(contact.customer_id)
        email = _plain(contact.email)
        return (
            self._find("email", email)
            or (self._find("phone_number", contact.phone) if email is None else None)
            or self.add_profile(email, contact.phone, external_id)
        )

    def change_profile(self, profile_id: str, **values: Any) -> None:
        """Give a profile another e-mail, phone or external id."""
        self._keep(replace(self.profiles[profile_id], updated=self.now(), **values))

    def merge(self, survivor: str, other: str) -> None:
        """Move everything of one profile to another and delete the one."""
        gone, left = self.profiles.pop(other), self.profiles[survivor]
        for name in IDENTIFIERS:
            if getattr(left, name) is None:
                setattr(left, name, getattr(gone, name))
        left.updated = self.now()
        self._keep(left)
        self.survivors[other] = survivor
        for event in self.events.values():
            if event.profile_id == other:
                event.profile_id = survivor

    def erase(self, profile_id: str) -> None:
        """Delete a person: events stay, redacted and without their person."""
        del self.profiles[profile_id]
        self.erased.add(profile_id)
        for event in self.events.values():
            if event.profile_id == profile_id:
                event.properties = payloads.redacted(event.properties)
                event.is_redacted = True
                event.profile_id = profile_id if self.keeps_id_of_erased else None

    # orders

    def place_order(
        self,
        order: Order,
        *,
        received: datetime | None = None,
        visible: datetime | None = None,
        state_at: datetime | None = None,
    ) -> Order:
        """Take an order and send its events.

        Parameters
        ----------
        received, visible
            As in `record`: of a backfill.
        state_at
            Whose state `$extra` has; the moment of the order by default.
        """
        order.first_line_id, self._lines = self._lines, self._lines + len(order.lines)
        self.orders[order.id] = order
        profile = self.profile_of(order.contact)
        if profile is None:
            return order

        def send(name: str, integration: str, properties: dict[str, Any]) -> Event:
            return self.record(
                self.metric(name, integration), profile.id, order.ordered_at,
                properties=properties, received=received, visible=visible,
            )  # fmt: skip

        state = max(state_at or order.ordered_at, order.ordered_at)
        for integration in self.sends_to:
            placed = self._placed_properties(order, integration, state)
            self.placed[integration, order.id] = send(PLACED, integration, placed).id
            if integration == "shopify":
                units = [line for line in order.lines for _ in range(line.quantity)]
                for number, line in enumerate(units, 1):
                    send(ORDERED, integration, payloads.ordered_product(order, line, number))
        return order

    def fulfill(self, order_id: str, at: datetime | None = None) -> None:
        """Ship an order."""
        order, at = self.orders[order_id], at or self.now()
        order.fulfilled_at = at
        self._send_later(order, FULFILLED, at, topic="orders/fulfilled")

    def cancel(
        self,
        order_id: str,
        at: datetime | None = None,
        *,
        is_sent: bool = True,
        received: datetime | None = None,
        visible: datetime | None = None,
    ) -> None:
        """Cancel an order; `is_sent` false where the integration sends nothing, as of old orders."""
        order, at = self.orders[order_id], at or self.now()
        order.cancelled_at = at
        if is_sent:
            self._send_later(
                order, CANCELLED, at, topic="orders/cancelled", received=received, visible=visible
            )

    def refund(
        self,
        order_id: str,
        lines: tuple[RefundLine, ...] | None = None,
        at: datetime | None = None,
        *,
        is_sent: bool = True,
        received: datetime | None = None,
        visible: datetime | None = None,
    ) -> None:
        """Give money back, for all lines by default. Only the refund that makes it whole is sent."""
        order, at = self.orders[order_id], at or self.now()
        lines = lines if lines is not None else whole_refund(order)
        was_whole = order.whole_refund_at is not None
        order.refunds.append(Refund(6_000_001 + self._serial, at, lines))
        self._serial += 1
        if order.whole_refund_at is not None and not was_whole and is_sent:
            self._send_later(
                order, REFUNDED, at, topic="orders/updated", received=received, visible=visible
            )

    def edit(self, order_id: str, line: int, quantity: int, at: datetime | None = None) -> None:
        """Take units out of an order: no event."""
        self.orders[order_id].edits.append(Edit(at or self.now(), line, quantity))

    def _placed_properties(self, order: Order, integration: str, at: datetime) -> dict[str, Any]:
        if integration == "shopify":
            return payloads.placed_by_shopify(order, at, self.zone, self.formula)
        if integration == "woocommerce":
            return payloads.placed_by_woocommerce(order, self.formula)
        return payloads.placed_by_api(order, f"WEB-{order.number}")

    def _send_later(
        self,
        order: Order,
        name: str,
        at: datetime,
        *,
        topic: str,
        received: datetime | None = None,
        visible: datetime | None = None,
    ) -> None:
        """Send what happens to an order after its placement, to whom has such a metric."""
        for integration in self.sends_to:
            placed = self.placed.get((integration, order.id))
            has_metric = any(
                (metric.name, metric.integration.key) == (name, integration)
                for metric in self.metrics.values()
            )
            profile = self.profile_of(order.contact)
            if placed is None or not has_metric or profile is None:
                continue
            properties = self._placed_properties(order, integration, at)
            if integration == "shopify":
                properties["$extra"]["webhook_topic"] = topic
            elif integration == "woocommerce":
                properties["$extra"]["Status"] = "refunded"
            event = self.record(
                self.metric(name, integration), profile.id, at,
                properties=properties, received=received, visible=visible,
            )  # fmt: skip
            if name in {CANCELLED, REFUNDED}:
                self.voided[integration, order.id].append(event.id)

    # truth

    def true_orders(
        self, integration: str = "shopify", at: datetime | None = None
    ) -> list[TrueOrder]:
        """Return the orders that the account shows at a moment, now by default."""
        at = at or self.now()
        orders = []
        for (key, order_id), event_id in self.placed.items():
            event = self.events.get(event_id)
            if key == integration and event is not None and event.visible <= at:
                orders.append(self._true_order(self.orders[order_id], integration, event, at))
        return sorted(orders, key=lambda order: (order.ordered_at, order.order_id))

    def _true_order(
        self, order: Order, integration: str, placed: Event, at: datetime
    ) -> TrueOrder:
        voids = [
            self.events[event_id]
            for event_id in self.voided[integration, order.id]
            if event_id in self.events and self.events[event_id].visible <= at
        ]
        first = min(voids, key=lambda event: event.happened, default=None)
        is_open = not placed.is_redacted
        profile = self.profiles.get(placed.profile_id or "")
        how: Literal["cancelled", "refunded"] | None = None
        if first is not None:
            how = "cancelled" if first.metric.name == CANCELLED else "refunded"
        return TrueOrder(
            order_id=placed.key,
            integration=integration,
            ordered_at=placed.happened,
            profile_id=placed.profile_id,
            email=profile.email if profile else None,
            currency=order.currency,
            net=order.net_in(integration) if is_open else None,
            units=order.units if is_open else None,
            channel=order.source_name,
            codes=order.codes,
            is_test=order.is_test,
            void_at=first.happened if first is not None else None,
            void=how,
        )

    def unseen(self, integration: str = "shopify", at: datetime | None = None) -> list[Unseen]:
        """Return what happened until a moment and no event of the integration has."""
        at = at or self.now()
        return [
            one
            for order in self.orders.values()
            if order.ordered_at <= at
            for one in self._unseen_of(order, integration)
            if one.at <= at
        ]

    def _unseen_of(self, order: Order, integration: str) -> list[Unseen]:
        if (integration, order.id) not in self.placed:
            return [Unseen(order.id, "no_profile", order.ordered_at, order.net_in(integration))]
        if order.void_at is not None:
            if self.voided[integration, order.id]:
                return []
            return [Unseen(order.id, "unsent_void", order.void_at, order.net_in(integration))]
        refunds = [Unseen(order.id, "partial_refund", r.at, r.amount) for r in order.refunds]
        edits = [
            Unseen(order.id, "edit", e.at, order.lines[e.line].product.price * e.quantity)
            for e in order.edits
        ]
        return refunds + edits

    def _find(self, name: str, value: str | None) -> Profile | None:
        profile = self.profiles.get(self._keys.get((name, value or ""), ""))
        return profile if profile is not None and getattr(profile, name) == value else None

    def _id(self, prefix: str) -> str:
        """Return an opaque id, in no order of time."""
        self._serial += 1
        digest = hashlib.blake2b(f"{self._seed}/{self._serial}".encode(), digest_size=7)
        return prefix + base64.b32encode(digest.digest()).decode().lower()[:10]


def whole_refund(order: Order) -> tuple[RefundLine, ...]:
    """Return the lines of a refund of all that is left of an order."""
    lines = []
    for number, line in enumerate(order.lines):
        past = [part for refund in order.refunds for part in refund.lines if part.line == number]
        left = line.worth - sum(part.subtotal for part in past)
        if left > 0:
            units = line.quantity - sum(part.quantity for part in past)
            lines.append(RefundLine(number, units, left))
    return tuple(lines)


def _time_and_id(event: Event) -> tuple[datetime, str]:
    return event.happened, event.id


def _plain(email: str | None) -> str | None:
    return email.strip().lower() if email is not None else None
