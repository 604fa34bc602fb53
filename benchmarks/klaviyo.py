"""Plan a sync of a million profiles of which 3 % changed: seconds, memory, and jobs beside the least.

The first day is confirmed beforehand. Planning reads the published scores and the confirmed rows,
compares, writes the bodies and packs them; whom Klaviyo knows is asked in look-ups, which are only
counted here. The plan runs in a process of its own. ``python -m benchmarks.klaviyo [PROFILES]``
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

AS_OF = date(2024, 6, 30)
CHANGED = 0.03
ROUNDS = 3
SEGMENTS = ("champion", "loyal", "promising", "at_risk_high_value", "lapsed", "one_and_done")
SETTINGS = """
[orders]
source = "orders.csv"
[klaviyo]
account = "AbC123"
"""


def make_scores(profiles: int) -> pd.DataFrame:
    """Return scores of as many customers, a tenth of them held out."""
    from features.tables import Scores

    rng = np.random.default_rng(0)
    once = rng.random(profiles) < 0.6
    days = np.array([AS_OF + timedelta(days=n) for n in range(1, 400)], dtype=object)
    due = days[rng.integers(0, len(days), profiles)]
    due[rng.random(profiles) < 0.4] = None
    given = {
        "customer_id": [f"{n:09}" for n in range(profiles)],
        "as_of": AS_OF,
        "first_order_date": AS_OF - timedelta(days=400),
        "last_order_date": AS_OF - timedelta(days=40),
        "p_order_90d": rng.random(profiles),
        "churn_probability": rng.random(profiles),
        "expected_value": rng.gamma(2, 20, profiles),
        "p_second_order": np.where(once, rng.random(profiles), np.nan),
        "next_order_date": due,
        "segment": rng.choice(SEGMENTS, profiles),
        "journey_stage": rng.choice(["after_order", "reorder_window"], profiles),
        "investment_tier": rng.choice(["heavy", "standard", "light", "none"], profiles),
        "loyalty_tier": rng.choice(["bronze", "silver", "gold"], profiles),
        "is_holdout": rng.random(profiles) < 0.1,
    }
    filled = {"string": "", "float64": 0.0, "int64": 0, "boolean": False}
    rest = {
        name: filled[kind]
        for name, kind in Scores.schema().items()
        if name not in given and kind in filled
    }
    return pd.DataFrame({**given, **rest})[list(Scores.columns())]


def prepare(home: Path, profiles: int) -> None:
    """Publish a second day, of which the first is confirmed."""
    from connectors.klaviyo.properties import row_hashes
    from connectors.klaviyo.synced_profiles import SyncedProfiles
    from connectors.programs import write_table
    from connectors.store import REQUIRED_FILES, Store
    from features.tables import Scores
    from perennial.pipeline.activation.sync_plan import SyncPlaces
    from perennial.pipeline.runtime.context import home_context
    from perennial.pipeline.settings.store import read_settings

    (home / "perennial.toml").write_text(SETTINGS)
    settings = read_settings(home / "perennial.toml")
    scores = make_scores(profiles)
    properties = settings.klaviyo.all_properties
    hashes = row_hashes(scores["customer_id"], scores, properties)
    before = scores[["customer_id", "segment"]].assign(
        row_hash=hashes, scored_date=AS_OF, profile_id="01GDDKASAP8TKDDA2" + scores["customer_id"]
    )
    SyncedProfiles(SyncPlaces.of(home_context(settings)).confirmed).add(before)
    changed = np.random.default_rng(1).random(profiles) < CHANGED
    changed &= ~scores["is_holdout"].to_numpy()  # of whom nothing changes
    scores.loc[changed, "expected_value"] += 1
    scores["as_of"] = AS_OF + timedelta(days=1)

    def write(folder: Path) -> None:
        for name in REQUIRED_FILES:
            (folder / name).write_text("{}")
        write_table(scores, Scores, folder / "scores.parquet")

    Store(settings.exports).publish(AS_OF + timedelta(days=1), "r2", write)


def plan(home: Path) -> dict[str, float]:
    """Plan, and say what it took."""
    started = time.perf_counter()
    from connectors.klaviyo.api import MOST_LOOKED_UP
    from connectors.store import Store
    from perennial.pipeline.activation.sync_plan import write_plan
    from perennial.pipeline.runtime.context import home_context
    from perennial.pipeline.settings.store import read_settings

    settings = read_settings(home / "perennial.toml")
    day = Store(settings.exports).current()
    if day is None:
        raise FileNotFoundError("a published day")
    record = write_plan(
        home_context(settings, day.as_of), day, None, create_missing=False, apply=True
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": time.perf_counter() - started,
        "megabytes": peak,
        "to_send": record.counts.to_send,
        "jobs": record.jobs,
        "least_jobs": record.least_jobs,
        "look_ups": -(-record.counts.to_send // MOST_LOOKED_UP),
    }


def apart(*arguments: str) -> str:
    """Do a part in a process of its own, so that its memory is its own; return what it printed."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.klaviyo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main() -> None:
    """Print the median of a few rounds."""
    if sys.argv[1:2] == ["prepare"]:
        prepare(Path(sys.argv[2]), int(sys.argv[3]))
        return
    if sys.argv[1:2] == ["plan"]:
        print(json.dumps(plan(Path(sys.argv[2]))))
        return
    profiles = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        apart("prepare", folder, str(profiles))
        rounds = []
        for _ in range(ROUNDS):
            rounds.append(json.loads(apart("plan", folder).splitlines()[-1]))
            shutil.rmtree(Path(folder, "state", "klaviyo", "AbC123", "open"))
    actual = sorted(rounds, key=lambda one: one["seconds"])[len(rounds) // 2]
    print(
        f"{profiles:,} profiles, {actual['to_send']:,} to send: {actual['seconds']:.1f} s, {actual['megabytes']:,.0f} MB; "
        f"{actual['jobs']} import jobs, {actual['least_jobs']} at least; {actual['look_ups']} look-ups"
    )


if __name__ == "__main__":
    main()
