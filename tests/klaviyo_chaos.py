"""Syncs through bad days: faults at random calls, kills at random moments, resumed until done.

``python -m tests.klaviyo_chaos --runs 200 --profiles 25000`` prints a line per seed that fails and a
summary. Each run publishes two or three days; while they are synced, the double drops, delays,
loses, doubles, garbles and refuses requests, cancels jobs and lets lost ones run late, and the
syncing process is killed (SIGKILL) before or after a request, at a flush to disk, or at any moment.
At the end Klaviyo must hold what is published, and nobody's consent or event may have suffered.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

from connectors.klaviyo.apply import SyncContext
from connectors.klaviyo.client import Klaviyo, connect
from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.errors import UnavailableError
from flows.sync import sync_day
from perennial.pipeline.runtime.context import home_context
from tests.klaviyo_double import KEY, START, Double, Fault, Server
from tests.klaviyo_store import (
    change,
    held,
    make_scores,
    publish_scores,
    store_settings,
    wanted,
)

SCORED_AT = "Retention Scored At"
MOST_ATTEMPTS = 60
UNKNOWN = 50  # one customer in so many is not known to Klaviyo
BAD = 97  # one in so many has an identifier that Klaviyo refuses
DONE, AGAIN, BROKEN = 0, 30, 1


class ChaosDouble(Double):
    """A double that has bad days, and keeps count of what a sync must never do."""

    def __init__(self, seed: int, fault_share: float) -> None:
        super().__init__()
        self.keeps_bodies = False
        self.lag_seconds = (0.0, 5.0, 60.0, 150.0)[seed % 4]
        self.moments = random.Random(seed)
        self.fault_share = fault_share
        self.confirmed: dict[str, str] = {}
        self.posted: dict[str, str] = {}
        self.sent_again = 0
        self.injected: Counter[str] = Counter()
        self.fault = self._draw
        self.cancels = lambda: self.moments.random() < self.fault_share

    def _draw(self, method: str, path: str) -> Fault | None:
        if path.startswith("/__") or self.moments.random() >= self.fault_share:
            return None
        kind = self.moments.choice(
            ["status", "throttle", "drop", "lose", "lose", "twice", "garble", "slow"]
        )
        if kind == "twice" and path == "/api/segments":
            kind = "lose"  # nobody but Klaviyo could see to that
        self.injected[kind] += 1
        self.late_by = self.moments.choice([0.0, 0.0, 20.0, 90.0])
        if kind == "throttle":
            return Fault("status", 429, self.moments.randint(1, 20))
        return Fault(kind, self.moments.choice([500, 502, 503, 504]))

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> Any:
        if target.startswith("/__clock"):
            self.clock.sleep(float(target.rpartition("=")[2]))
            return 200, {"seconds": self.clock.seconds}, {}
        return super().answer(method, target, headers, body)

    def _create_job(self, one: str, query: Any, payload: Any) -> Any:
        for row in payload["data"]["attributes"]["profiles"]["data"]:
            key, reported = _key(row), _told(row)
            self.sent_again += self.confirmed.get(key) == reported == self.posted.get(key)
            self.posted[key] = reported
        return super()._create_job(one, query, payload)

    def _import_errors(self, one: str, query: Any, payload: Any) -> Any:
        status, actual = super()._import_errors(one, query, payload)
        job = self.jobs[one]
        if job.is_done and actual["links"]["next"] is None:  # Klaviyo has said all there is to say
            failed = {_key(error["original_payload"]) for error in job.errors}
            self.confirmed |= {
                _key(row): _told(row) for row in job.rows if _key(row) not in failed
            }
        return status, actual


def _key(row: dict[str, Any]) -> str:
    return str(row["attributes"]["external_id"])


def _told(row: dict[str, Any]) -> str:
    record = row["attributes"]["properties"]
    return json.dumps({name: value for name, value in record.items() if name != SCORED_AT})


class RemoteClock:
    """The double's clock, from another process."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url)
        self._seconds = 0.0
        self.sleep(0.0)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return self._seconds

    def sleep(self, seconds: float) -> None:
        result = self._client.get(f"/__clock?by={max(seconds, 0.0)}").json()
        self._seconds = max(self._seconds, result["seconds"])


def run_apart(work: Callable[[], int | None]) -> int:
    """Start work in a process of its own; return its id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = BROKEN
    try:
        code = work() or DONE
    except UnavailableError:
        code = AGAIN
    except BaseException:  # noqa: BLE001  # whatever it is, the parent hears of it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def wait_for(child: int) -> int:
    """Return how a process ended: its code, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at(moment: int) -> Callable[..., None]:
    """Return what kills this process the moment-th time it is called; at each flush to disk too."""
    left = moment
    flush = os.fsync

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def flush_and_count(handle: int) -> None:
        count()
        flush(handle)

    os.fsync = flush_and_count
    return count


def one_run(seed: int, profiles: int, *, kills: bool = True) -> dict[str, Any]:
    """Sync two or three days through whatever happens; return what was found."""
    chance = random.Random(seed)
    home = Path(tempfile.mkdtemp(prefix="chaos"))
    settings = store_settings(
        home,
        events=chance.random() < 0.7,
        segments={"Win back": {"Segment": "lapsed"}},
        most_changed_share=1.0,
        allow_wide_key=chance.random() < 0.5,
    )
    fault_share = chance.choice([0.005, 0.02, 0.06])
    tries, days = chance.choice([2, 4, 8]), chance.choice([2, 2, 3])
    rows_a_job = max(1, profiles // chance.choice([3, 7, 20]))
    receive, send = os.pipe()
    stop_receive, stop_send = os.pipe()

    def days_of() -> list[pd.DataFrame]:
        scores = [make_scores(profiles, seed)]
        for day in range(1, days):
            scores.append(change(scores[-1], 0.2, seed + day))
        if days == 3:  # some return to what they were, while yesterday's job may still be at work
            back = scores[2].index % 4 == 0
            for name in ("segment", "expected_value"):
                scores[2].loc[back, name] = scores[0].loc[back, name]
        return scores

    def serve() -> int:
        os.close(stop_send)
        double = ChaosDouble(seed, fault_share)
        ids = make_scores(profiles, seed)["customer_id"]
        for place, customer in enumerate(ids):
            if place % UNKNOWN:
                double.add_profile(
                    external_id=customer,
                    consent=("SUBSCRIBED", "UNSUBSCRIBED", "NEVER_SUBSCRIBED")[place % 3],
                )
            if place % BAD == 0:
                double.bad_keys.add(customer)
        before = double.consents()
        server = Server(double)
        os.write(send, f"{server.url}\n".encode())
        os.read(stop_receive, 1)
        server.close()
        double.run_out()
        problems = find_problems(double, before, settings, days_of(), is_whole)
        values = {
            "problems": problems,
            "faults": double.injected,
            "seconds": round(double.clock.seconds),
        }
        (home / "judged.json").write_text(json.dumps(values))
        return DONE

    def publish(day: int) -> int:
        publish_scores(settings, days_of()[day], f"r{day}")
        return DONE

    def attempt(day: int, url: str, moment: int) -> int:
        connection = connect(KEY, url)
        count = kill_at(moment) if moment else lambda *_: None
        connection.event_hooks = {"request": [count], "response": [count]}
        clock = RemoteClock(url)
        context = SyncContext(
            Klaviyo(connection, clock, tries=tries), clock, Erasures(settings.state)
        )
        import connectors.klaviyo.pack as packing
        import perennial.pipeline.activation.sync_plan as plan_module

        plan_module.pack = lambda sizes: packing.pack(sizes, rows_a_job)
        from connectors.store import Store

        published = Store(settings.exports).current()
        assert published is not None
        sync_day(
            home_context(settings, published.as_of),
            published,
            context,
            apply=True,
            create_missing=False,
        )
        return DONE

    is_whole_file = home / "whole"

    def is_whole(day: int) -> bool:
        return (home / f"whole{day}").exists()

    server = run_apart(serve)
    os.close(stop_receive)
    url = b""
    while not url.endswith(b"\n"):
        url += os.read(receive, 200)
    kinds: Counter[str] = Counter()
    failed = []
    for day in range(days):
        if wait_for(run_apart(lambda day=day: publish(day))) != DONE:  # type: ignore[misc]
            failed.append("not published")
        patience = MOST_ATTEMPTS if day == days - 1 else chance.choice([1, 2, 4, MOST_ATTEMPTS])
        for turn in range(patience):
            is_killed = kills and turn < 12 and chance.random() < 0.8
            moment = chance.choice([chance.randint(1, 40), chance.randint(1, 600)])
            by_timer = is_killed and chance.random() < 0.3
            moment = 0 if by_timer or not is_killed else moment
            child = run_apart(lambda: attempt(day, url.decode().strip(), moment))  # noqa: B023
            if by_timer:
                time.sleep(chance.uniform(0, 1.0 + profiles / 15_000))
                os.kill(child, signal.SIGKILL)
            code = wait_for(child)
            kinds[{DONE: "done", AGAIN: "unavailable", -9: "killed"}.get(code, "broken")] += 1
            if code == DONE:
                (home / f"whole{day}").write_text("")
                break
            if code == BROKEN:
                failed.append(f"day {day}, attempt {turn} broke")
                break
        else:
            if day == days - 1:
                failed.append("never done")
    os.write(stop_send, b".")
    if wait_for(server) != DONE:
        failed.append("the double broke")
        values: dict[str, Any] = {"problems": [], "faults": {}, "seconds": 0}
    else:
        values = json.loads((home / "judged.json").read_text())
    for handle in (receive, send, stop_send):
        os.close(handle)
    is_whole_file.unlink(missing_ok=True)
    shutil.rmtree(home)
    return {**values, "problems": [*failed, *values["problems"]], "attempts": dict(kinds)}


def find_problems(
    double: ChaosDouble,
    consents: dict[str, str],
    settings: Any,
    days: list[pd.DataFrame],
    is_whole: Callable[[int], bool],
) -> list[str]:
    """Say what the sync did that it must not, and what it did not that it must."""
    problems = []
    past = double.properties().keys()
    expected = {
        key: text
        for key, text in wanted(settings, days[-1]).items()
        if key in past and key not in double.bad_keys
    }
    actual = {key: text for key, text in held(settings, double).items() if key in expected}
    wrong = [key for key, text in expected.items() if actual.get(key) != text]
    if wrong:
        problems.append(f"{len(wrong)} profiles are not as published")
    if any(text for key, text in held(settings, double).items() if key in double.bad_keys):
        problems.append("a refused profile has properties")
    if double.created_profiles:
        problems.append(f"{double.created_profiles} profiles were made")
    if double.consent_calls or double.consents() != consents:
        problems.append("consent changed")
    if double.sent_again:
        problems.append(f"{double.sent_again} confirmed rows were sent again")
    if [one["name"] for one in double.segments.values()] != ["Retention: Win back"]:
        problems.append(f"{len(double.segments)} segments")
    return [*problems, *_event_problems(double, settings, days, is_whole)]


def _event_problems(
    double: ChaosDouble,
    settings: Any,
    days: list[pd.DataFrame],
    is_whole: Callable[[int], bool],
) -> list[str]:
    reported: Counter[tuple[str, str]] = Counter()
    for (serial, _, _), event in double.events.items():
        reported[double.profiles[serial]["external_id"], event["time"][:10]] += 1
    problems = []
    if any(n > 1 for n in reported.values()):
        problems.append("an event happened twice")
    if not settings.klaviyo.events and reported:
        problems.append("events were not asked for")
    if settings.klaviyo.events and is_whole(len(days) - 2) and is_whole(len(days) - 1):
        before, after = days[-2], days[-1]
        moved = (before["segment"] != after["segment"]) & ~after["is_holdout"]
        is_known = after["customer_id"].isin(
            set(double.properties()) - double.bad_keys  # of whom something can be confirmed
        )
        expected = set(after["customer_id"][moved & is_known])
        day = after["as_of"].iloc[0].isoformat()
        actual = {key for key, when in reported if when == day}
        if actual != expected:
            problems.append(f"{len(actual ^ expected)} events too few or too many")
    return problems


def say(text: str) -> None:
    """Print a line now."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run seeds, and say which failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--profiles", type=int, default=25_000)
    parser.add_argument("--first-seed", type=int, default=1)
    asked = parser.parse_args()
    attempts: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    started, failed = time.perf_counter(), 0
    for seed in range(asked.first_seed, asked.first_seed + asked.runs):
        outcome = one_run(seed, asked.profiles)
        attempts.update(outcome["attempts"])
        faults.update(outcome["faults"])
        if outcome["problems"]:
            failed += 1
            say(f"seed {seed}: {'; '.join(outcome['problems'])}")
        elif seed % 5 == 0:
            say(f"seed {seed}: {time.perf_counter() - started:.0f} s")
    say(
        f"{asked.runs} runs of {asked.profiles:,} profiles: {failed} failed; attempts {dict(attempts)}; "
        f"faults {dict(faults)}; {time.perf_counter() - started:.0f} s"
    )
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
