"""How fast Klaviyo may be asked: a burst per second and a steady rate per minute, per endpoint."""

from collections import defaultdict, deque
from collections.abc import Mapping

from connectors.klaviyo.api import Endpoint
from connectors.klaviyo.clock import Clock

OWN_SHARE = 0.9  # the limits are the account's: other integrations with a private key share them
SECOND, MINUTE = 1.0, 60.0


class Pace:
    """Makes requests wait for their turn.

    At most the burst in any second and the steady rate in any minute, which is stricter than
    Klaviyo's fixed windows; and none before Klaviyo says that there is room again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent: dict[Endpoint, deque[float]] = defaultdict(deque)
        self._not_before: dict[Endpoint, float] = {}

    def wait_turn(self, endpoint: Endpoint) -> None:
        """Wait until a request may be sent, and count it."""
        sent = self._sent[endpoint]
        while (wait := self._wait(endpoint, sent)) > 0:
            self._clock.sleep(wait)
        sent.append(self._clock.monotonic())

    def note(self, endpoint: Endpoint, headers: Mapping[str, str]) -> None:
        """Learn from an answer how much room is left."""
        left, reset = headers.get("RateLimit-Remaining"), headers.get("RateLimit-Reset")
        if left == "0" and reset is not None and reset.isdigit():
            self._not_before[endpoint] = self._clock.monotonic() + int(reset)

    def _wait(self, endpoint: Endpoint, sent: deque[float]) -> float:
        now = self._clock.monotonic()
        while sent and sent[0] <= now - MINUTE:
            sent.popleft()
        wait = self._not_before.get(endpoint, now) - now
        for most, window in ((endpoint.burst, SECOND), (endpoint.steady, MINUTE)):
            allowed = max(1, int(most * OWN_SHARE))
            if len(sent) >= allowed:
                wait = max(wait, sent[-allowed] + window - now)
        return wait
