"""Requests to Stripe, and their typed answers."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

import httpx

from connectors.live.errors import (
    AccessRefusedError,
    Json,
    RequestRefusedError,
    UnexpectedAnswerError,
)
from connectors.live.http import (
    Answer,
    Call,
    Clock,
    Endpoint,
    PlatformClient,
    TryAgainError,
    connect,
)
from connectors.live.records import JsonObject
from connectors.live.stripe.api import (
    ACCOUNT,
    API_VERSION,
    CHARGES,
    ENDPOINTS,
    HOST,
    LIVE_RESTRICTED,
    MOST_ROWS,
)

PERMISSION = re.compile(r"'?\b(rak_[a-z_]+)\b'?")
EXPANDS = {  # of charges: the permission that each needs
    "customer": "Customers: Read",
    "balance_transaction": "Balance: Read",
}
MOST_STARTS = 5  # of a list whose rows vanish
WHERE = "Developers > API keys"


class CursorGoneError(Exception):
    """The row after which a list was to go on is gone: the list is to be begun again."""


@dataclass(frozen=True)
class Page:
    """A page of a list, newest first.

    Attributes
    ----------
    rows
        Its rows.
    has_more
        Whether older rows follow.
    """

    rows: tuple[JsonObject, ...]
    has_more: bool

    @property
    def last_id(self) -> str:
        """Where the list goes on."""
        return str(self.rows[-1]["id"])


@dataclass(frozen=True)
class Range:
    """Rows that were made in [start, end); None = no bound."""

    start: datetime | None = None
    end: datetime | None = None

    def query(self) -> dict[str, str]:
        """Return the query of the range, in whole seconds: the end's begun second belongs to it."""
        bounds = {}
        if self.start is not None:
            bounds["created[gte]"] = str(int(self.start.timestamp()))
        if self.end is not None:
            bounds["created[lt]"] = str(-int(-self.end.timestamp() // 1))
        return bounds


@dataclass(frozen=True)
class StripeKey:
    """A restricted key.

    Attributes
    ----------
    text
        The key.
    """

    text: str = field(repr=False)

    def check(self) -> None:
        """Refuse a key that is of test mode, or may do more than read.

        Raises
        ------
        AccessRefusedError
            It is.
        """
        kind, _, rest = self.text.partition("_")
        if rest.startswith("test_"):
            problem = "The key is of test mode, whose payments are not real"
        elif kind == "sk":
            problem = "The key is a secret key, which may do everything"
        elif not self.text.startswith(LIVE_RESTRICTED):
            problem = "The key is no restricted key of live mode: those begin with rk_live_"
        else:
            return
        raise AccessRefusedError(
            f"{problem}. Make a restricted key in live mode under {WHERE}, with Read for Charges and Refunds, "
            "Disputes, Customers and Balance",
            0,
        )


class StripeClient:
    """Stripe's API.

    Parameters
    ----------
    key
        A restricted key of live mode.
    clock
        Paces requests and waits between tries.
    url
        Stripe's address.
    transport
        How requests travel; the network by default.
    """

    def __init__(
        self,
        key: StripeKey,
        *,
        clock: Clock,
        url: str = HOST,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        key.check()
        headers = {"Authorization": f"Bearer {key.text}", "Stripe-Version": API_VERSION}
        self._connection = connect(url, headers, transport=transport)
        self._client = PlatformClient("Stripe", self._connection, ENDPOINTS, clock=clock)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def requests(self) -> int:
        """Requests so far, tries included."""
        return sum(self._client.requests.values())

    def account(self) -> JsonObject | None:
        """Return the account; None where the key may not see it."""
        try:
            account: JsonObject = self._call(ACCOUNT, {})
        except AccessRefusedError as error:
            if error.status == 403:
                return None
            raise
        return account

    def may_expand(self, name: str) -> bool:
        """Tell whether the key may see what a charge refers to."""
        try:
            self._call(CHARGES, {"limit": "1", "expand[]": f"data.{name}"})
        except AccessRefusedError as error:
            if error.status == 403:
                return False
            raise
        return True

    def may_list(self, endpoint: Endpoint) -> bool:
        """Tell whether the key may see a list."""
        try:
            self.page(endpoint, Range(), most=1)
        except AccessRefusedError as error:
            if error.status == 403:
                return False
            raise
        return True

    def page(
        self,
        endpoint: Endpoint,
        within: Range,
        *,
        after: str | None = None,
        expands: tuple[str, ...] = (),
        most: int = MOST_ROWS,
    ) -> Page:
        """Return a page of a list, newest first.

        Raises
        ------
        CursorGoneError
            The row after which to go on is gone.
        RequestRefusedError
            Stripe refuses the query.
        UnexpectedAnswerError
            A row is of test mode.
        """
        query = within.query() | {"limit": str(most)}
        if after is not None:
            query["starting_after"] = after
        query |= {f"expand[{place}]": f"data.{name}" for place, name in enumerate(expands)}
        try:
            payload = self._call(endpoint, query, check=_is_list)
        except RequestRefusedError as error:
            if after is not None and _error(error.payload).get("code") == "resource_missing":
                raise CursorGoneError from None
            raise
        rows = tuple(payload["data"])
        if any(row.get("livemode") is False for row in rows):
            raise UnexpectedAnswerError(
                f"{endpoint} lists payments of test mode. Use a key of live mode: test payments are not real"
            )
        return Page(rows, bool(payload["has_more"]) and bool(rows))

    def pages(self, endpoint: Endpoint, within: Range) -> Iterator[Page]:
        """Yield the pages of a list to its end; rows come again where it is begun again.

        Raises
        ------
        UnexpectedAnswerError
            It has to be begun again too often.
        """
        for _ in range(MOST_STARTS):
            after: str | None = None
            try:
                while True:
                    page = self.page(endpoint, within, after=after)
                    yield page
                    if not page.has_more:
                        return
                    after = page.last_id
            except CursorGoneError:
                continue
        raise UnexpectedAnswerError(
            f"Objects vanish while {endpoint} is read: it was begun {MOST_STARTS} times. Pull again later"
        )

    def _call(self, endpoint: Endpoint, query: Mapping[str, str], **how: Json) -> Json:
        try:
            payload = self._client.call(Call(endpoint, query), **how).payload
        except AccessRefusedError as error:
            raise _explained(endpoint, error) from None
        if not isinstance(payload, dict):
            raise UnexpectedAnswerError(f"Stripe's answer to {endpoint} is no object")
        return payload


def _is_list(answer: Answer) -> None:
    payload = answer.payload
    is_list = isinstance(payload, dict) and isinstance(payload.get("data"), list)
    if not is_list or not isinstance(payload.get("has_more"), bool):
        raise TryAgainError("an answer that is no list", is_down=False)


def _error(payload: Json) -> JsonObject:
    error = payload.get("error") if isinstance(payload, dict) else None
    return error if isinstance(error, dict) else {}


def _explained(endpoint: Endpoint, error: AccessRefusedError) -> AccessRefusedError:
    """Return a refusal without Stripe's own text, which has a part of the key and the account's id."""
    if error.status == 401:
        return AccessRefusedError(
            f"Stripe does not accept the key: it is wrong, expired or revoked. Make a restricted key under {WHERE}",
            401,
            error.payload,
        )
    match = PERMISSION.search(str(_error(error.payload).get("message", "")))
    named = match[1] if match else " ".join(endpoint.scopes) or "Read"
    return AccessRefusedError(
        f"The key may not ask for {endpoint}: it lacks the permission {named}. Add it under {WHERE}",
        403,
        error.payload,
    )
