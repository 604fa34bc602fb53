"""Messages, opens, clicks, visits and unsubscriptions, dated, as events have them.

An open counts where no machine made it, a click where no scanner of links did. What Klaviyo attributes orders to is
not read: it has the outcome in it.
"""

import re
from pathlib import Path

from connectors.live.errors import Json
from connectors.live.klaviyo_events.order_events import text
from connectors.live.klaviyo_events.source import Kind
from connectors.live.klaviyo_events.tables import open_duckdb, write_query
from connectors.live.queries import Memory
from connectors.live.records import JsonObject

MACHINE = frozenset(
    {"machineopen", "applemailprivacyopen", "appleprivacyopen", "isappleprivacyopen"}
)
BOT = frozenset({"botclick", "isbotclick"})
TRUE = frozenset({"true", "1", "yes"})
NOT_INTEREST = re.compile(r"unsubscribe|manage[-_]preferences", re.IGNORECASE)  # in a link

# the customer as orders have it: named after the earliest order by id, e-mail or phone
CUSTOMERS = """
    CREATE TEMP TABLE names AS
    SELECT identity, any_value(customer_id) AS customer_id FROM (
        SELECT customer_id, customer_id AS identity FROM read_parquet($contacts)
        UNION SELECT customer_id, lower(email) FROM read_parquet($contacts)
        UNION SELECT customer_id, phone FROM read_parquet($contacts)
        UNION SELECT customer_id, unnest(string_split(earlier, ' ')) FROM read_parquet($contacts)
        UNION SELECT customer_id, unnest(string_split(ids, chr(31))) FROM read_parquet($contacts)
    ) WHERE identity IS NOT NULL AND identity != ''
    GROUP BY identity HAVING count(DISTINCT customer_id) = 1
"""
NAMED = """
    SELECT {columns} FROM read_parquet($rows) AS part
    LEFT JOIN names AS by_email ON by_email.identity = part.email
    LEFT JOIN names AS by_id ON by_id.identity = part.external_id
    LEFT JOIN names AS by_phone ON by_phone.identity = part.phone
    WHERE coalesce(by_email.customer_id, by_id.customer_id, by_phone.customer_id) IS NOT NULL
    ORDER BY ALL
"""
CUSTOMER = "coalesce(by_email.customer_id, by_id.customer_id, by_phone.customer_id) AS customer_id"
OF_TOUCHES = f"""{CUSTOMER}, part.sent_at, part.channel, part.campaign,
    NULL::VARCHAR AS action, NULL::DOUBLE AS cost_amount"""
OF_DAYS = f"{CUSTOMER}, part.metric, part.day, part.last_at, part.events"

MESSAGES = """
    SELECT profile_id, email, phone, external_id, happened_at AS sent_at,
        if(kind = 'received_sms', 'sms', 'email') AS channel, campaign
    FROM known_engagement WHERE kind IN ('received_email', 'received_sms') ORDER BY ALL
"""
DAYS = """
    SELECT profile_id, any_value(email) AS email, any_value(phone) AS phone,
        any_value(external_id) AS external_id, kind AS metric,
        (happened_at AT TIME ZONE $zone)::DATE AS day, max(happened_at) AS last_at, count(*) AS events
    FROM known_engagement GROUP BY profile_id, kind, day ORDER BY profile_id, metric, day
"""


def is_meant(properties: JsonObject, kind: Kind) -> bool:
    """Tell whether a person did it: no machine's open, no scanner's click, no link to unsubscribe."""
    if kind is Kind.OPENED_EMAIL:
        return not _is_set(properties, MACHINE)
    if kind in (Kind.CLICKED_EMAIL, Kind.CLICKED_SMS):
        link = properties.get("URL")
        is_leaving = isinstance(link, str) and NOT_INTEREST.search(link) is not None
        return not is_leaving and not _is_set(properties, BOT)
    return True


def campaign_of(properties: JsonObject) -> str | None:
    """Return what a message was for: its campaign, else its flow, else itself."""
    if campaign := text(properties.get("Campaign Name")):
        return campaign
    for name, prefix in (("$flow", "flow"), ("$message", "message")):
        if value := text(properties.get(name)):
            return f"{prefix} {value}"
    return None


def write_touches(
    messages: Path, contacts: Path, path: Path, memory: Memory | None = None
) -> None:
    """Write messages as :class:`features.tables.Touches`, of the customers that orders have.

    Parameters
    ----------
    messages
        ``messages.parquet`` of the projection.
    contacts
        Of the orders: :attr:`connectors.orders.History.contacts`.
    path
        The table's file; people without an order are not in it.
    memory
        What DuckDB may use.
    """
    _write_named(messages, contacts, path, OF_TOUCHES, memory)


def write_engagement(days: Path, contacts: Path, path: Path, memory: Memory | None = None) -> None:
    """Write engagement per customer, metric and day: ``customer_id, metric, day, last_at, events``.

    Parameters
    ----------
    days
        ``engagement.parquet`` of the projection.
    contacts, path, memory
        As of :func:`write_touches`. A customer with two profiles may have two rows of a day.
    """
    _write_named(days, contacts, path, OF_DAYS, memory)


def _write_named(
    rows: Path, contacts: Path, path: Path, columns: str, memory: Memory | None
) -> None:
    with open_duckdb(memory, path.parent / ".spill") as connection:
        connection.execute(CUSTOMERS, {"contacts": str(contacts)})
        write_query(connection, NAMED.format(columns=columns), path, {"rows": str(rows)})


def _is_set(properties: JsonObject, names: frozenset[str]) -> bool:
    return any(_plain(name) in names and _is_true(value) for name, value in properties.items())


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _is_true(value: Json) -> bool:
    return str(value).lower() in TRUE
