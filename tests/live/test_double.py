"""The shared base of the doubles fails as planned, and only then."""

from pathlib import Path

import httpx
import pytest

from tests.live.double import (
    FAULT_KINDS,
    Answer,
    Clock,
    Double,
    Faults,
    Killed,
    KillSwitch,
    Server,
)


class Counting(Double):
    """Answers how often it was asked, or a file."""

    handled = 0
    file: Path | None = None

    def handle(self, request):
        self.handled += 1
        return Answer(200, self.file or {"handled": self.handled, "text": "x" * 1000})


def get(double, count=1, transport=None):
    with Server(double) as server, httpx.Client(transport=transport) as client:
        results = []
        for _ in range(count):
            try:
                response = client.get(server.url + "/orders?page=2")
                response.json()
                results.append(str(response.status_code))
            except httpx.TransportError as error:
                results.append(type(error).__name__)
            except ValueError:
                results.append("garbled")
        return results


OUTCOMES = {
    "cut_before": ("RemoteProtocolError", 1),
    "lost": ("RemoteProtocolError", 2),
    "cut_in": ("RemoteProtocolError", 2),
    "cut_after": ("200", 2),
    "truncated": ("garbled", 2),
    "429": ("garbled", 1),
    "429_bare": ("garbled", 1),
    "500": ("garbled", 1),
    "502": ("garbled", 1),
    "503": ("garbled", 1),
    "slow": ("200", 2),
}


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_each_fault_happens_at_its_request_and_is_counted(kind):
    double = Counting(faults=Faults(at={kind: [2]}))
    outcome, handled = OUTCOMES[kind]
    results = get(double, 2)
    assert results == ["200", outcome]
    assert double.handled == handled
    assert double.faults.counts == {kind: 1}
    assert double.clock.seconds == (40 if kind == "slow" else 0)


@pytest.mark.parametrize(("kind", "after"), [("429", "7"), ("429_bare", None)])
def test_too_many_requests_come_with_and_without_a_wait(kind, after):
    double = Counting(faults=Faults(at={kind: [1]}))
    with Server(double) as server:
        answer = httpx.get(server.url)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (429, after)


def test_drawn_faults_repeat_and_never_come_more_than_twice_in_a_row():
    plans = [Faults(5, rates={"500": 0.4, "cut_before": 0.3}) for _ in range(2)]
    results = [get(Counting(faults=plan), 60) for plan in plans]
    assert results[0] == results[1]
    assert plans[0].counts["500"] > 5
    assert plans[0].counts["cut_before"] > 5
    failures = "".join("." if result == "200" else "x" for result in results[0])
    assert "xx" in failures
    assert "xxx" not in failures


def test_an_unknown_fault_is_refused():
    with pytest.raises(ValueError, match="no fault"):
        Faults(rates={"fire": 0.5})


def test_the_store_changes_between_requests():
    double = Counting()
    double.hooks.append(lambda request: setattr(double, "handled", request.number * 100))
    get(double, 3)
    assert double.handled == 301
    assert [request.value("page") for request in double.requests] == ["2", "2", "2"]


@pytest.mark.parametrize(("when", "handled"), [("before", 1), ("after", 2)])
def test_a_client_is_killed_at_a_request(when, handled):
    double = Counting()
    with pytest.raises(Killed):
        get(double, 5, KillSwitch(2, when))
    assert double.handled == handled


def test_the_clock_passes_by_sleep_only():
    clock = Clock()
    clock.sleep(90)
    assert (clock.now() - clock.start).total_seconds() == clock.monotonic() == 90
    assert clock.sleeps == [90]


def test_a_file_is_streamed_and_may_be_cut(tmp_path):
    double = Counting(faults=Faults(at={"cut_in": [2]}))
    double.file = tmp_path / "large.json"
    double.file.write_bytes(b'"' + b"x" * 3_000_000 + b'"')
    assert get(double, 2) == ["200", "RemoteProtocolError"]


def test_a_fault_of_the_double_itself_fails_the_test():
    class Broken(Double):
        def handle(self, request):
            raise KeyError("orders")

    server = Server(Broken())
    assert httpx.get(server.url).status_code == 500
    with pytest.raises(RuntimeError, match="the double failed") as error:
        server.close()
    assert isinstance(error.value.__cause__, KeyError)
