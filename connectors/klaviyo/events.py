"""An event for each change of segment, after its properties are there: once, however often it is sent."""

from datetime import date
from hashlib import blake2b

import pandas as pd

from connectors.klaviyo.api import MOST_EVENTS
from connectors.klaviyo.apply import SyncContext
from connectors.klaviyo.manifest import Manifest
from connectors.klaviyo.payloads import (
    Event,
    EventAttributes,
    EventJob,
    EventJobAttributes,
    Events,
    EventsBody,
    Metric,
    MetricData,
    MetricName,
    PersonEvents,
    PersonEventsAttributes,
    PersonEventsList,
    Profile,
    ProfileAttributes,
    ProfileData,
)
from connectors.klaviyo.plan import has_moved
from connectors.klaviyo.printable import printable

LATE_DAYS = 2  # older changes are recorded and start no flow


def send_events(manifest: Manifest, number: int, context: SyncContext) -> None:
    """Tell of the changes among a job's confirmed rows; the held-out are not told of.

    Parameters
    ----------
    manifest, number
        The job; of one that is not verified nothing is told.
    context
        What it takes.
    """
    state, metric = manifest.state(number), manifest.header.metric
    if not state.is_verified or not metric:
        return
    rows = manifest.confirmed(number)
    rows = rows[has_moved(rows) & (rows["row"] >= state.events)]
    is_late = (context.clock.now().date() - manifest.as_of).days > LATE_DAYS
    for start in range(0, len(rows), MOST_EVENTS):
        part = rows.iloc[start : start + MOST_EVENTS]
        following = int(part["row"].iloc[-1]) + 1  # whatever rows are forgotten meanwhile
        gone = context.erased.covers(part["customer_id"], part["key"], part["email"])
        if gone.all():
            continue
        part = part[~gone]
        context.klaviyo.create_events(event_body(part, metric, manifest.as_of, is_late=is_late))
        accepted = state.events_accepted + len(part)
        state = manifest.note(number, state, events=following, events_accepted=accepted)


def events_accepted(manifest: Manifest) -> int:
    """Return how many events Klaviyo accepted of a sync; it reports no result of them, so none is verified."""
    return sum(manifest.state(number).events_accepted for number in manifest.numbers)


def event_body(rows: pd.DataFrame, metric: str, as_of: date, *, is_late: bool) -> EventsBody:
    """Return the body that tells of changes of segment.

    Parameters
    ----------
    rows
        ``customer_id, kind, key, previous_segment, segment``.
    metric
        Name of the event.
    as_of
        Day of the change.
    is_late
        Whether the change is so old that it must start no flow.
    """
    kind = MetricData(data=Metric(attributes=MetricName(name=metric)))
    columns = ["customer_id", "kind", "key", "previous_segment", "segment"]
    people = []
    for customer, key_kind, key, before, after in rows[columns].itertuples(index=False):
        event = EventAttributes(
            properties={"From": _words(before), "To": _words(after)},
            time=f"{as_of.isoformat()}T12:00:00+00:00",
            unique_id=f"{blake2b(customer.encode(), digest_size=12).hexdigest()}:{as_of}:{printable(after)}",
            backfill=is_late,
            metric=kind,
        )
        person = ProfileAttributes.model_validate({key_kind: key})
        people.append(
            PersonEvents(
                attributes=PersonEventsAttributes(
                    profile=ProfileData(data=Profile(attributes=person)),
                    events=Events(data=(Event(attributes=event),)),
                )
            )
        )
    attributes = EventJobAttributes(people=PersonEventsList(data=tuple(people)))
    return EventsBody(data=EventJob(attributes=attributes))


def _words(name: str) -> str:
    return printable(name.replace("_", " "))
