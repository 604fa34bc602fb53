"""A thin client of the part of Klaviyo's API that the sync needs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from connectors.klaviyo import api
from connectors.klaviyo.answers import (
    A,
    Account,
    FoundProfile,
    ImportFault,
    Job,
    KeyScopes,
    Named,
    TryAgainError,
    read_many,
    read_object,
    read_one,
    refusal,
)
from connectors.klaviyo.api import ENDPOINTS, Endpoint
from connectors.klaviyo.clock import Clock
from connectors.klaviyo.errors import (
    BusyError,
    KeyRefusedError,
    KlaviyoError,
    LostAnswerError,
    RequestRefusedError,
    UnavailableError,
)
from connectors.klaviyo.limits import Pace
from connectors.klaviyo.payloads import Body
from connectors.private_urls import hide_query

KeyKind = Literal["external_id", "email", "phone_number"]
TRIES = 8
LONGEST_WAIT_SECONDS = 300.0
BACKOFF = wait_random_exponential(multiplier=0.5, max=30)
PASSING = {408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524}


def connect(key: str, url: str = api.HOST) -> httpx.Client:
    """Return a connection that sends Klaviyo's headers and waits no longer than a minute.

    Parameters
    ----------
    key
        A private API key.
    url
        Klaviyo's.
    """
    return httpx.Client(
        base_url=url,
        headers={
            "Authorization": f"Klaviyo-API-Key {key}",
            "revision": api.REVISION,
            "Accept": api.JSON_API,
            "User-Agent": "perennial",
        },
        timeout=httpx.Timeout(60.0, connect=10.0),
        follow_redirects=False,
        event_hooks={"request": [hide_query]},
    )


def _pause(state: RetryCallState) -> float:
    """Wait as long as Klaviyo asks, else longer with each try, with jitter."""
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.seconds if isinstance(error, TryAgainError) else None
    return BACKOFF(state) if asked is None else asked + BACKOFF(state) / 30


class Klaviyo:
    """Klaviyo, as far as the sync goes.

    Parameters
    ----------
    connection
        From :func:`connect`.
    clock
        Paces requests and waits between tries.
    tries
        Of each request, while Klaviyo is out of reach, out of order or out of breath.
    """

    def __init__(self, connection: httpx.Client, clock: Clock, *, tries: int = TRIES) -> None:
        self._connection = connection
        self._clock = clock
        self._pace = Pace(clock)
        self._tries = tries
        self.requests: dict[str, int] = {}

    def account(self) -> Account:
        """Return the account that the key belongs to."""
        (account, *_) = self._read(api.ACCOUNT, Account)
        return account

    def scopes_beyond(self) -> KeyScopes:
        """Return which scopes the key has that the sync has no use for, as far as reads show them."""
        seen: dict[str, list[str]] = {"granted": [], "denied": [], "unclear": []}
        for endpoint, query in api.PROBES.items():
            try:
                self._call(endpoint, query=query)
                access = "granted"
            except KeyRefusedError:
                access = "denied"
            except RequestRefusedError:
                access = "unclear"
            seen[access] += endpoint.scopes
        return KeyScopes.model_validate(seen)

    def profiles(self, kind: KeyKind, keys: Sequence[str]) -> list[FoundProfile]:
        """Look up to a hundred people up."""
        listed = ",".join(_quoted(key) for key in keys)
        query = {
            "filter": f"any({kind},[{listed}])",
            "fields[profile]": "email,phone_number,external_id",
            "page[size]": "100",
        }
        return self._read(api.PROFILES, FoundProfile, query)

    def create_import_job(self, body: bytes, before_try: Callable[[], None]) -> str:
        """Hand in rows; return the job's id.

        A try that ends without an answer may have been accepted: `before_try` is told of each.
        """
        answer = self._call(api.IMPORT, body=body, before_try=before_try)
        return read_one(Named, answer).id

    def job(self, job_id: str) -> Job:
        """Return how far a job is."""
        return read_one(Job, self._call(api.JOB, one=job_id))

    def jobs(self, status: str) -> list[Job]:
        """Return the jobs of a status, whoever made them."""
        query = {"filter": f"equals(status,{_quoted(status)})", "page[size]": "100"}
        return self._read(api.JOBS, Job, query)

    def import_errors(self, job_id: str) -> list[ImportFault]:
        """Return why rows of a job were not imported: every page."""
        return self._read(api.IMPORT_ERRORS, ImportFault, {"page[size]": "100"}, one=job_id)

    def segments_named(self, name: str) -> list[Named]:
        """Return the segments of exactly that name."""
        return self._named(api.SEGMENTS, name)

    def create_segment(self, body: Body) -> str:
        """Create a segment; return its id.

        Raises
        ------
        LostAnswerError
            It may have been created.
        """
        return self._create(api.CREATE_SEGMENT, body)

    def update_segment(self, segment_id: str, body: Body) -> None:
        """Change a segment."""
        self._call(api.UPDATE_SEGMENT, body=body.to_json(), one=segment_id)

    def create_events(self, body: Body) -> None:
        """Hand in events; one that is handed in again, with its unique id, counts once."""
        self._call(api.EVENTS, body=body.to_json())

    def lists_named(self, name: str) -> list[Named]:
        """Return the lists of exactly that name."""
        return self._named(api.LISTS, name)

    def create_list(self, body: Body) -> str:
        """Create a list; return its id.

        Raises
        ------
        LostAnswerError
            It may have been created.
        """
        return self._create(api.CREATE_LIST, body)

    def members(self, list_id: str) -> set[str]:
        """Return the profile ids on a list."""
        members = self._read(api.MEMBERS, Named, {"page[size]": "100"}, one=list_id)
        return {member.id for member in members}

    def add_members(self, list_id: str, body: Body) -> None:
        """Put people on a list; no consent changes by it."""
        self._call(api.ADD_MEMBERS, body=body.to_json(), one=list_id)

    def remove_members(self, list_id: str, body: Body) -> None:
        """Take people off a list; no consent changes by it."""
        self._call(api.REMOVE_MEMBERS, body=body.to_json(), one=list_id)

    def delete_person(self, body: Body) -> None:
        """Ask to delete a person with everything that is known of them."""
        self._call(api.DELETE_PERSON, body=body.to_json())

    def _create(self, endpoint: Endpoint, body: Body) -> str:
        """Create something that would be there twice were it created again."""
        answer = self._call(endpoint, body=body.to_json(), is_repeatable=False)
        try:
            return read_one(Named, answer).id
        except UnavailableError as error:
            raise LostAnswerError(str(error)) from None

    def _named(self, endpoint: Endpoint, name: str) -> list[Named]:
        resources = self._read(endpoint, Named, {"filter": f"equals(name,{_quoted(name)})"})
        return [one for one in resources if one.name == name]

    def _read(
        self,
        endpoint: Endpoint,
        kind: type[A],
        query: Mapping[str, str] | None = None,
        one: str = "",
    ) -> list[A]:
        return [row for page in self._pages(endpoint, query, one) for row in read_many(kind, page)]

    def _pages(
        self, endpoint: Endpoint, query: Mapping[str, str] | None, one: str
    ) -> Iterator[dict[str, Any]]:
        """Give every page of an answer."""
        page, seen = self._call(endpoint, query=query, one=one), {""}
        yield page
        while following := (page.get("links") or {}).get("next"):
            cursor = parse_qs(urlsplit(str(following)).query).get("page[cursor]", [""])[0]
            if cursor in seen:
                raise UnavailableError(
                    f"every page of an answer leads to another: one of {endpoint} does not. Try again later"
                )
            seen.add(cursor)
            page = self._call(endpoint, query={**(query or {}), "page[cursor]": cursor}, one=one)
            yield page

    def _call(
        self,
        endpoint: Endpoint,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        one: str = "",
        before_try: Callable[[], None] = lambda: None,
        is_repeatable: bool = True,
    ) -> dict[str, Any]:
        if endpoint not in ENDPOINTS:
            raise KlaviyoError(f"only listed endpoints are called: {endpoint} is not listed")
        retrying = Retrying(
            sleep=self._clock.sleep,
            wait=_pause,
            stop=stop_after_attempt(self._tries),
            retry=retry_if_exception(
                lambda error: (
                    isinstance(error, TryAgainError) and (is_repeatable or not error.may_be_done)
                )
            ),
            reraise=True,
        )
        try:
            return retrying(self._try, endpoint, query, body, one, before_try)
        except TryAgainError as error:
            if error.may_be_done and not is_repeatable:
                raise LostAnswerError(
                    f"Klaviyo gave no answer to {endpoint} ({error}): it may have been done. Sync again later"
                ) from None
            kind = BusyError if error.is_busy else UnavailableError
            raise kind(
                f"Klaviyo answers within {self._tries} tries: {endpoint} did not ({error}). Try "
                "again later; what was confirmed is not sent again"
            ) from None

    def _try(
        self,
        endpoint: Endpoint,
        query: Mapping[str, str] | None,
        body: bytes | None,
        one: str,
        before_try: Callable[[], None],
    ) -> dict[str, Any]:
        self._pace.wait_turn(endpoint)
        before_try()
        self.requests[str(endpoint)] = self.requests.get(str(endpoint), 0) + 1
        try:
            answer = self._connection.request(
                endpoint.method,
                endpoint.path.replace("{id}", one),
                params=query,
                content=body,
                headers=None if body is None else {"Content-Type": api.JSON_API},
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise TryAgainError(type(error).__name__, is_unsent=True) from None
        except httpx.HTTPError as error:
            raise TryAgainError(type(error).__name__) from None
        self._pace.note(endpoint, answer.headers)
        if answer.status_code in PASSING:
            asked = self._asked_to_wait(answer)
            is_busy = answer.status_code == httpx.codes.TOO_MANY_REQUESTS
            if asked is not None and asked > LONGEST_WAIT_SECONDS:
                raise (BusyError if is_busy else UnavailableError)(
                    f"a sync waits at most {LONGEST_WAIT_SECONDS:.0f} s between tries: Klaviyo asks for {asked:.0f} s "
                    f"({endpoint}, {answer.status_code}). Try again then; what was confirmed is not sent again"
                )
            raise TryAgainError(f"status {answer.status_code}", asked, is_busy=is_busy)
        if answer.status_code >= 300:
            raise refusal(endpoint, answer)
        return read_object(answer)

    def _asked_to_wait(self, answer: httpx.Response) -> float | None:
        header = answer.headers.get("Retry-After", "")
        if header.isdigit():
            return float(header)
        try:
            seconds = (parsedate_to_datetime(header) - self._clock.now()).total_seconds()
        except (TypeError, ValueError):
            return None
        return max(seconds, 0.0)


def _quoted(text: str) -> str:
    """Write a text as a filter has it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
