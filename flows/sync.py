"""Bring the published scores to Klaviyo: plan what differs, send it, record what Klaviyo confirmed."""

from dataclasses import replace
from datetime import date
from pathlib import Path

from connectors.klaviyo.apply import SyncContext
from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.records import SyncOutcome, SyncPlan
from connectors.store import PublishedDay
from perennial.pipeline.activation.account import open_context
from perennial.pipeline.activation.sync import (
    SyncSteps,
    check_account,
    check_switch,
    each_job,
    find_day,
    finish_earlier,
    finish_sync,
    one_sync,
    plan_sync,
    report_sync,
    save_lists,
    save_segments,
    send_job,
    verify_job,
)
from perennial.pipeline.runtime.context import RunContext, home_context
from perennial.pipeline.runtime.steps import flow
from perennial.pipeline.settings.store import read_settings


@flow
def sync(
    config: Path, as_of: date, *, apply: bool = False, create_missing: bool = False
) -> SyncPlan | SyncOutcome:
    """Plan a sync of the published day, and with `apply` carry it out; return its counts."""
    run = home_context(read_settings(config), as_of)
    day = find_day(run)
    with open_context(run.state, needs_key=apply) as context:
        return sync_day(run, day, context, config, apply=apply, create_missing=create_missing)


def sync_day(
    run: RunContext,
    day: PublishedDay,
    context: SyncContext | None,
    config: Path | None = None,
    *,
    apply: bool,
    create_missing: bool,
) -> SyncPlan | SyncOutcome:
    """Sync a day in named steps; without `context` Klaviyo is not even read."""
    if context is None:
        return plan_day(run, day, create_missing=create_missing)
    check_switch(run.settings.klaviyo)
    with one_sync(run):
        context = replace(context, erased=Erasures(run.state))  # as it is under the lock
        key = check_account(run, context)
        if not apply:
            return plan_sync(run, day, context, create_missing=create_missing)
        is_resumed = finish_earlier(run, day, context, create_missing=create_missing)
        planned = (
            None
            if is_resumed
            else plan_sync(run, day, context, create_missing=create_missing, apply=True)
        )
        for number in each_job(run):
            check_switch((run.settings if config is None else read_settings(config)).klaviyo)
            send_job(run, context, number)
        for number in each_job(run):
            verify_job(run, context, number)
        delivery = finish_sync(run, context)
        segments = save_segments(run, context)
        lists = save_lists(run, day, context)
        done = SyncSteps(key, delivery, segments, lists)
        return report_sync(run, day, context, planned, done)


def plan_day(run: RunContext, day: PublishedDay, *, create_missing: bool = False) -> SyncPlan:
    """Plan a day's sync without reading Klaviyo."""
    check_switch(run.settings.klaviyo)
    with one_sync(run):
        return plan_sync(run, day, None, create_missing=create_missing)
