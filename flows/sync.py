"""Bring the published scores to Klaviyo: plan what differs, send it, believe what is confirmed."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from connectors.klaviyo.apply import Hands
from connectors.klaviyo.erasure import Erasures
from connectors.store import PublishedDay
from perennial.pipeline.activation.account import open_hands
from perennial.pipeline.activation.sync import (
    check_account,
    check_switch,
    each_job,
    find_day,
    finish_earlier,
    finish_sync,
    keep_lists,
    keep_segments,
    one_sync,
    plan_sync,
    report_sync,
    send_job,
    verify_job,
)
from perennial.pipeline.runtime.context import RunContext, home_context
from perennial.pipeline.runtime.steps import flow
from perennial.pipeline.settings.store import read_settings


@flow
def sync(
    config: Path, as_of: date, *, apply: bool = False, create_missing: bool = False
) -> dict[str, Any]:
    """Plan a sync of the published day, and with `apply` carry it out; return its counts."""
    run = home_context(read_settings(config), as_of)
    day = find_day(run)
    with open_hands(run.state, needs_key=apply) as hands:
        return sync_day(run, day, hands, config, apply=apply, create_missing=create_missing)


def sync_day(
    run: RunContext,
    day: PublishedDay,
    hands: Hands | None,
    config: Path | None = None,
    *,
    apply: bool,
    create_missing: bool,
) -> dict[str, Any]:
    """Sync a day in named steps; without `hands` Klaviyo is not even read."""
    check_switch(run.settings.klaviyo)
    with one_sync(run):
        key: dict[str, Any] = {}
        if hands is not None:
            hands = replace(hands, erased=Erasures(run.state))  # as it is under the lock
            key = check_account(run, hands)
        if hands is None or not apply:
            return plan_sync(run, day, hands, create_missing=create_missing)
        is_resumed = finish_earlier(run, day, hands, create_missing=create_missing)
        planned = (
            {}
            if is_resumed
            else plan_sync(run, day, hands, create_missing=create_missing, apply=True)
        )
        for number in each_job(run):
            check_switch((run.settings if config is None else read_settings(config)).klaviyo)
            send_job(run, hands, number)
        for number in each_job(run):
            verify_job(run, hands, number)
        confirmed = finish_sync(run, hands)
        segments = keep_segments(run, hands)
        lists = keep_lists(run, day, hands)
        made = {"segments": segments, "lists": lists, "key": key}
        return report_sync(run, day, hands, planned, confirmed, made)
