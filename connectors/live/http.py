"""One HTTP client for all platforms: listed endpoints only, paced, patient, and silent about secrets."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from connectors.addresses import is_loopback
from connectors.klaviyo.api import Endpoint as Endpoint
from connectors.klaviyo.clock import Clock as Clock
from connectors.klaviyo.limits import Pace
from connectors.live.errors import (
    AccessRefusedError,
    Json,
    LiveError,
    PlatformDownError,
    RequestRefusedError,
    UnexpectedAnswerError,
)
from connectors.private_urls import hide_query
from connectors.store import replace_file

T = TypeVar("T")
TRIES = 8
LONGEST_WAIT_SECONDS = 300.0
BACKOFF = wait_random_exponential(multiplier=0.5, max=30)
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
TIMEOUT = httpx.Timeout(60.0, connect=10.0)


@dataclass(frozen=True)
class Answer:
    """A platform's answer.

    Attributes
    ----------
    status
        HTTP status, 200 to 299.
    headers
        Its headers; names are case-insensitive.
    payload
        Its JSON; None where the body is empty.
    """

    status: int
    headers: httpx.Headers
    payload: Json


@dataclass(frozen=True)
class Call:
    """A request.

    Attributes
    ----------
    endpoint
        One of those that the client was given.
    query
        Its query.
    json, form
        Its body, one of them at most.
    headers
        Beside those of the connection.
    ids
        What ``{name}`` in the endpoint's path stands for.
    """

    endpoint: Endpoint
    query: Mapping[str, str] | None = field(default=None, repr=False)
    json: Json = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    ids: Mapping[str, str] | None = None


class TryAgainError(Exception):
    """A try failed in a way that another may not.

    Parameters
    ----------
    problem
        What happened: no secret, no person.
    seconds
        After which the platform asks to try again; None where it does not say.
    is_down
        Whether the platform is down if every try ends so; else its answers are not understood.
    status
        HTTP status; None where there was no answer.
    """

    def __init__(
        self,
        problem: str,
        seconds: float | None = None,
        *,
        is_down: bool = True,
        status: int | None = None,
    ) -> None:
        super().__init__(problem)
        self.seconds, self.is_down, self.status = seconds, is_down, status


def strict_json(body: bytes) -> Json:
    """Return the JSON of a body; None where the body is empty.

    Raises
    ------
    ValueError
        The body is not JSON, or is cut short.
    """
    if not body.strip():
        return None
    return json.loads(body, parse_constant=_refuse_constant)


def accept(answer: Answer) -> None:
    """Accept every answer."""


def connect(
    url: str,
    headers: Mapping[str, str],
    *,
    auth: tuple[str, str] | None = None,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """Return a connection to a platform.

    Parameters
    ----------
    url
        The platform's address: https, or this machine.
    headers
        Sent with every request, the key included.
    auth
        User and password of basic authentication.
    transport
        How requests travel; the network by default.

    Raises
    ------
    AccessRefusedError
        The address is not encrypted.
    """
    check_address(url)
    return httpx.Client(
        base_url=url,
        headers={"User-Agent": "perennial", "Accept": "application/json", **headers},
        auth=auth,
        timeout=TIMEOUT,
        follow_redirects=False,
        transport=transport,
        event_hooks={"request": [hide_query]},
    )


def check_address(url: str) -> None:
    """Refuse an address over which a key would travel unencrypted.

    Raises
    ------
    AccessRefusedError
        It is neither https nor this machine.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise AccessRefusedError(
            f"{parts.hostname or 'The address'} is not encrypted. Use an address that starts with https://: "
            "a key is sent encrypted only",
            0,
        )


class PlatformClient:
    """A platform's API, as far as its endpoints are listed.

    Parameters
    ----------
    platform
        Its name in messages.
    connection
        From :func:`connect`.
    endpoints
        What may be called.
    clock
        Paces requests and waits between tries.
    tries
        Of each request.
    """

    def __init__(
        self,
        platform: str,
        connection: httpx.Client,
        endpoints: Collection[Endpoint],
        *,
        clock: Clock,
        tries: int = TRIES,
    ) -> None:
        self.platform = platform
        self._connection = connection
        self._endpoints = frozenset(endpoints)
        self._clock = clock
        self._pace = Pace(clock)
        self._tries = tries
        self.requests: dict[str, int] = {}  # per endpoint, tries included

    def call(
        self,
        call: Call,
        *,
        check: Callable[[Answer], None] = accept,
        decode: Callable[[bytes], Json] = strict_json,
        tries: int | None = None,
    ) -> Answer:
        """Send a request, again where that may help, and return the answer.

        Parameters
        ----------
        call
            The request.
        check
            Called with each answer of status 2xx. It raises :class:`TryAgainError` where the platform refuses
            for now inside of an answer, or a :class:`LiveError` where it refuses for good.
        decode
            Reads a body; raises ValueError where it cannot.
        tries
            Of this request; by default the client's.

        Raises
        ------
        AccessRefusedError
            401 or 403.
        PlatformDownError
            No connection, 429 or 5xx, within all tries; or the platform asks to wait for too long.
        RequestRefusedError
            Any other status beyond 2xx, redirects included.
        UnexpectedAnswerError
            No try gave JSON.
        """
        self._check_listed(call.endpoint)
        return self._retry(
            str(call.endpoint), lambda: self._try(call, check, decode), tries or self._tries
        )

    def download(
        self, url: str, path: Path, *, hosts: Collection[str], tries: int | None = None
    ) -> int:
        """Write what an address holds to a file, whole or not at all; return its bytes.

        The address may hold a signature: it is never shown, and the platform's key is not sent there.

        Parameters
        ----------
        url
            As the platform gave it.
        path
            The file; only its owner may read it.
        hosts
            Hosts that may be asked, without ports; a leading dot stands for all below a domain.
        tries
            Of the whole download; by default the client's.

        Raises
        ------
        UnexpectedAnswerError
            The host is not one of them.
        RequestRefusedError
            The address is gone, for instance.
        PlatformDownError
            No try gave the whole file.
        """
        check_address(url)
        host = urlsplit(url).hostname or ""
        if not any(host == one or (one.startswith(".") and host.endswith(one)) for one in hosts):
            raise UnexpectedAnswerError(
                f"{self.platform} leads to a file on {host}, which is none of its hosts. Nothing was read"
            )
        name = f"GET a file on {host}"
        return self._retry(name, lambda: self._download(name, url, path), tries or self._tries)

    def _check_listed(self, endpoint: Endpoint) -> None:
        if endpoint not in self._endpoints:
            raise LiveError(
                f"{endpoint} is not a listed endpoint. Only listed endpoints are called"
            )

    def _retry(self, name: str, attempt: Callable[[], T], tries: int) -> T:
        retrying = Retrying(
            sleep=self._clock.sleep,
            wait=_pause,
            stop=stop_after_attempt(tries),
            retry=retry_if_exception_type(TryAgainError),
            reraise=True,
        )
        try:
            return retrying(attempt)
        except TryAgainError as error:
            if error.is_down:
                raise PlatformDownError(
                    f"{self.platform} gave no answer to {name} within {tries} tries ({error}). Try again later",
                    error.status,
                ) from None
            raise UnexpectedAnswerError(
                f"{self.platform} did not answer {name} with JSON within {tries} tries ({error}). Open the "
                "store in a browser: a maintenance or security page may be in front of it"
            ) from None

    def _try(
        self, call: Call, check: Callable[[Answer], None], decode: Callable[[bytes], Json]
    ) -> Answer:
        endpoint = call.endpoint
        self._pace.wait_turn(endpoint)
        self._count(str(endpoint))
        with _network():
            response = self._connection.request(
                endpoint.method,
                _filled(endpoint.path, call.ids or {}),
                params=call.query,
                json=call.json,
                data=call.form,
                headers=call.headers,
            )
        self._pace.note(endpoint, response.headers)
        self._check_status(str(endpoint), response, decode, endpoint.scopes)
        try:
            payload = decode(response.content)
        except (ValueError, RecursionError):
            raise TryAgainError("a body that is not JSON", is_down=False) from None
        answer = Answer(response.status_code, response.headers, payload)
        check(answer)
        return answer

    def _download(self, name: str, url: str, path: Path) -> int:
        self._count(name)
        request = httpx.Request("GET", url, headers={"User-Agent": "perennial"})  # without the key
        with _network():
            response = self._connection.send(request, stream=True, auth=None)
            try:
                if response.status_code >= 300:
                    response.read()
                self._check_status(name, response, strict_json, ())
                replace_file(path, lambda draft: _save(response, draft))
            finally:
                response.close()
        return path.stat().st_size

    def _check_status(
        self,
        name: str,
        response: httpx.Response,
        decode: Callable[[bytes], Json],
        scopes: Collection[str],
    ) -> None:
        status = response.status_code
        if status in PASSING or status >= 500:
            raise self._passing(name, response)
        if status < 300:
            return
        try:
            payload = decode(response.content)
        except (ValueError, RecursionError):
            payload = None
        if status in (401, 403):
            needed = f" It needs {' '.join(scopes)}." if scopes else ""
            raise AccessRefusedError(
                f"{self.platform} refuses the key for {name} ({status}).{needed} Check the key in the "
                "environment and its permissions",
                status,
                payload,
            )
        location = _bare(response.headers.get("Location"))
        leads = f" It leads to {location}." if location else ""
        raise RequestRefusedError(
            f"{self.platform} refuses {name} with status {status}.{leads} Another try changes nothing",
            status,
            payload,
            location=location,
        )

    def _passing(self, name: str, response: httpx.Response) -> Exception:
        status, seconds = response.status_code, self._asked_to_wait(response)
        if seconds is not None and seconds > LONGEST_WAIT_SECONDS:
            return PlatformDownError(
                f"{self.platform} asks to wait for {seconds:.0f} s ({name}, {status}). Try again then: a pull "
                f"waits at most {LONGEST_WAIT_SECONDS:.0f} s between tries",
                status,
                asks_to_wait=True,
            )
        return TryAgainError(f"status {status}", seconds, status=status)

    def _asked_to_wait(self, response: httpx.Response) -> float | None:
        header = response.headers.get("Retry-After", "").strip()
        try:
            return max(float(header), 0.0) if _is_number(header) else self._until(header)
        except (TypeError, ValueError, OverflowError):
            return None

    def _until(self, header: str) -> float:
        moment = parsedate_to_datetime(header)
        return max((moment - self._clock.now()).total_seconds(), 0.0)

    def _count(self, name: str) -> None:
        self.requests[name] = self.requests.get(name, 0) + 1


def _pause(state: RetryCallState) -> float:
    """Wait as long as the platform asks, else longer with each try, with jitter."""
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.seconds if isinstance(error, TryAgainError) else None
    return BACKOFF(state) if asked is None else asked + BACKOFF(state) / 30


@contextmanager
def _network() -> Iterator[None]:
    """Turn what goes wrong on the way into a reason to try again."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise TryAgainError(type(error).__name__) from None


def _save(response: httpx.Response, draft: Path) -> None:
    draft.touch(mode=0o600)
    with draft.open("wb") as file:
        for piece in response.iter_bytes():
            file.write(piece)


def _filled(path: str, ids: Mapping[str, str]) -> str:
    for name, one in ids.items():
        path = path.replace(f"{{{name}}}", quote(one, safe=""))
    return path


def _bare(url: str | None) -> str | None:
    """Return an address without user, query and fragment."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    host = f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else ""
    return f"{host}{parts.path}"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
