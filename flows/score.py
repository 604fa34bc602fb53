"""Score every customer as of a day, decide who gets which investment, and publish."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from features.tables import DataError
from perennial.pipeline.ingestion.people import keep_contacts
from perennial.pipeline.ingestion.read import (
    build_customer_state,
    read_orders,
    workspace,
)
from perennial.pipeline.publishing.checks import check_decided, check_orders
from perennial.pipeline.publishing.mirrored import mirror_exports
from perennial.pipeline.publishing.publish import find_published, past_ratios, publish
from perennial.pipeline.publishing.steps import Scored, find_model
from perennial.pipeline.runtime.purpose import Purpose
from perennial.pipeline.runtime.steps import flow, in_prefect
from perennial.pipeline.scoring.decide import decide
from perennial.pipeline.scoring.kpis import REFILLS, measure_retention
from perennial.pipeline.scoring.moments import list_moments
from perennial.pipeline.settings.store import read_settings
from perennial.pipeline.training.forecaster import Forecaster


@flow
def score(
    config: Path,
    as_of: date,
    shared: Path | None = None,
    *,
    force: bool = False,
    accepted: Mapping[str, str] | None = None,
    purpose: Purpose = Purpose.CURRENT,
) -> Scored:
    """Read, check, score with the model valid that day, check again, publish.

    `accepted` says why a person lets a check pass, by its name.

    Raises
    ------
    DataError
        No model was trained with these settings on orders up to that day.
    """
    settings, told = read_settings(config), accepted or {}
    with workspace(settings, shared) as work:
        history = read_orders(settings, as_of, work)
        model = find_model(settings, as_of)
        if model is None:
            raise DataError(
                f"scoring {as_of} needs a model trained with these settings on orders up to that "
                f"day: there is none. Run `perennial train --as-of {as_of}`"
            )
        version = model.version
        if purpose is Purpose.CURRENT:
            keep_contacts(settings, history)
        published = find_published(settings, history, version, as_of, force=force, purpose=purpose)
        if published is not None:
            mirror_exports(settings)
            return Scored(published, is_new=False)
        check_orders(settings, history, version, as_of, work, told)
        further = Forecaster.load(model.folder).looks_further
        state = build_customer_state(settings, history, as_of, work, looks_further=further)
        decided = decide(settings, state, model.folder, as_of, work, purpose=purpose)
        checks = check_decided(settings, decided, version, as_of, work, told)
        ratios = past_ratios(settings, version)
        kpis = measure_retention(
            settings, history, state, decided, model.folder, ratios, as_of, work
        )
        moments = list_moments(settings, history, decided, kpis.with_name(REFILLS), as_of, work)
        day = publish(
            settings, history, decided, moments, kpis, checks, version, as_of, purpose=purpose
        )
        mirror_exports(settings)
        if in_prefect():
            from perennial.pipeline.publishing.artifacts import show_day

            show_day(day)
        return Scored(day, is_new=True)
