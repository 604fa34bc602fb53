"""Whether it paid: what those who were invested in bought, beside those who were held out."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from connectors.kept import read_parquet
from connectors.optional import read_table
from connectors.orders import History
from connectors.programs import Programs
from connectors.published import PublishedFile
from features.labels import outcomes_since
from features.tables import DataError
from models.lift import (
    SUSPICIOUS,
    GroupReadout,
    Lift,
    LiftError,
    Readout,
    SegmentReadout,
    UpliftTargetingReadout,
    always_valid,
    average_lift,
    posterior,
    sample_ratio,
    shrink,
    smallest_lift,
    winsorized,
)
from perennial.pipeline.experiments.effects import save_effects
from perennial.pipeline.experiments.uplift_targeting import (
    KNOWN,
    learn_uplift_targeting,
    save_uplift_targeting,
)
from perennial.pipeline.runtime.context import RunContext
from perennial.pipeline.runtime.steps import step
from segments.holdout import CONTROL
from segments.investment import UNCERTAINTY, EffectEstimate

EVERYTHING = "all"


LEAST = 30  # customers in either arm below which a segment is not told apart


OUTCOMES = {"orders": "later_orders", "revenue": "later_value", "margin": "margin"}


@dataclass(frozen=True)
class Experiment:
    """What is compared.

    Attributes
    ----------
    customers
        One row per customer: ``customer_id, start_date, group`` (tier), ``segment, is_holdout,
        covariate, cost, assumed`` (margin that is assumed to be added within the window).
    program
        Held out of what; :data:`segments.holdout.CONTROL` = of all investment.
    enrolled
        Customers assigned so far, those included who were not watched for long enough yet.
    days
        That each customer is watched for, from the day after the start on.
    planned
        Day of the one planned read-out.
    """

    customers: pd.DataFrame
    program: str
    enrolled: int
    days: int
    planned: date


@step
def find_experiment(run: RunContext, program: str, *, early: bool = False) -> Experiment:
    """Find who was assigned, when, and when the read-out is planned.

    Raises
    ------
    DataError
        Nobody was assigned or watched for long enough, or the day is before the planned one.
    """
    programs, as_of, settings = Programs(run.state, run.store), run.as_of, run.settings
    days = settings.holdout.measure_days
    customers = (_committed if program == CONTROL else _assigned)(programs, program, as_of)
    if customers.empty:
        raise DataError(
            f"measuring {program!r} needs customers who were assigned: there are none by {as_of}. Run "
            "`perennial run` first, with a holdout share above 0"
        )
    first = pd.to_datetime(customers["start_date"]).min().date()
    planned = first + timedelta(days=settings.investment.period_days - 1 + days)
    if as_of < planned and not early:
        raise DataError(
            f"an experiment is read on its planned day: {program!r} began on {first} and is planned for "
            f"{planned}, not {as_of}: looking until it pleases finds what is not there. Wait, or add "
            "--early for an interval that allows for every look"
        )
    last = as_of - timedelta(days=days)
    watched = customers[pd.to_datetime(customers["start_date"]).dt.date <= last]
    if watched.empty:
        raise DataError(
            f"measuring needs customers who were watched for {days} days: by {as_of} nobody was. Wait "
            f"until {first + timedelta(days=days)}, or lower holdout.measure_days"
        )
    return Experiment(watched.reset_index(drop=True), program, len(customers), days, planned)


def _committed(programs: Programs, _: str, as_of: date) -> pd.DataFrame:
    """Return each customer's first commitment: later ones depend on what it did."""
    rows = programs.commitments(date.min, as_of).sort_values("committed_date", kind="stable")
    first = rows.drop_duplicates("customer_id")
    return pd.DataFrame(
        {
            "customer_id": first["customer_id"],
            "start_date": first["committed_date"],
            "group": first["investment_tier"],
            "segment": first["segment"],
            "is_holdout": first["is_holdout"].astype(bool),
            "share": _share(programs, first["customer_id"], CONTROL),
            "covariate": first["expected_margin"],
            "cost": first["expected_cost"],
            "assumed": first["assumed_gain"],
        }
    )


def _assigned(programs: Programs, program: str, as_of: date) -> pd.DataFrame:
    """Return who was drawn into the arms of a program."""
    rows = programs.assignments()
    rows = rows[
        (rows["program"] == program)
        & (pd.to_datetime(rows["assigned_date"]) <= pd.Timestamp(as_of))
    ]
    return pd.DataFrame(
        {
            "customer_id": rows["customer_id"],
            "start_date": rows["assigned_date"],
            "group": program,
            "segment": EVERYTHING,
            "is_holdout": rows["is_holdout"].astype(bool),
            "share": rows["share"],
            "covariate": 0.0,
            "cost": 0.0,
            "assumed": 0.0,
        }
    )


def _share(programs: Programs, customer_id: pd.Series, program: str) -> Any:  # noqa: ANN401  # array
    drawn = programs.assignments()
    drawn = drawn[drawn["program"] == program]
    share = drawn.drop_duplicates("customer_id").set_index("customer_id")["share"]
    return share.reindex(customer_id).to_numpy()


@step
def watch(run: RunContext, experiment: Experiment, history: History) -> Path:
    """Count what each customer bought in the window, and what was spent on them; return the file."""
    path, settings = run.folder / "watched.parquet", run.settings
    with run.engine() as engine:
        starts = engine.table(experiment.customers[["customer_id", "start_date"]], "starts")
        outcomes = engine.frame(
            outcomes_since(engine.parquet(history.orders), starts, experiment.days)
        )
        rows = experiment.customers.merge(outcomes, on="customer_id", validate="one_to_one")
        location = settings.optional_tables.get("touches")
        if location is not None:
            touches = pd.read_parquet(
                read_table(engine, "touches", location, run.as_of, run.folder).path
            )
            rows = _touched(rows, touches, experiment.days)
    rows["margin"] = rows["later_value"] * settings.store.margin
    rows.to_parquet(path, index=False)
    return path


def _touched(rows: pd.DataFrame, touches: pd.DataFrame, days: int) -> pd.DataFrame:
    """Take the cost from what was sent for an action, and say who was reached although held out."""
    sent = touches[touches["action"].notna()].merge(rows[["customer_id", "start_date"]])
    since = pd.to_datetime(sent["sent_at"]).dt.tz_localize(None).dt.normalize() - pd.to_datetime(
        sent["start_date"]
    )
    sent = sent[since.dt.days.between(0, days)]
    cost = sent.groupby("customer_id")["cost_amount"].sum()
    reached = rows["customer_id"].isin(sent["customer_id"])
    spent = rows["customer_id"].map(cost).fillna(0.0)
    return rows.assign(cost=spent if len(sent) else rows["cost"], was_reached=reached)


@step
def compare(run: RunContext, experiment: Experiment, watched: Path) -> Readout:
    """Compare the arms, after checking that they are as large as they were drawn.

    Raises
    ------
    DataError
        Arms that cannot be compared.
    """
    as_of, currency = run.as_of, run.settings.store.currency
    rows = pd.read_parquet(watched)
    held = rows["is_holdout"].to_numpy()
    if held.all() or not held.any():
        raise DataError(
            f"a lift needs two arms: of {len(rows):,} customers {int(held.sum()):,} are held out. Set "
            "holdout.share between 0 and 1 before the next program"
        )
    chance = sample_ratio(int((~held).sum()), int(held.sum()), float(rows["share"].mean()))
    if chance < SUSPICIOUS:
        raise DataError(
            f"arms are as large as they were drawn: {int(held.sum()):,} of {len(rows):,} are held out, "
            f"{rows['share'].mean():.1%} were to be, which comes by chance once in {1 / max(chance, 1e-99):,.0f}. "
            "Find who is missing before reading anything: a filter after the draw, or ids that were merged"
        )
    is_early = as_of < experiment.planned
    planned_share = len(rows) / experiment.enrolled if is_early else 1.0
    groups = [EVERYTHING, *sorted(set(rows["group"]))]
    compared = tuple(
        _compared(
            rows if name == EVERYTHING else rows[rows["group"] == name],
            name,
            planned_share,
            is_early,
        )
        for name in groups
    )
    if all(one.margin is None for one in compared):
        raise DataError(
            f"a lift needs customers with different outcomes in each arm: {len(rows):,} customers, "
            f"{int(held.sum()):,} held out. Wait for orders"
        )
    reached = int((rows["is_holdout"] & rows["was_reached"]).sum()) if "was_reached" in rows else 0
    return Readout(
        as_of=as_of,
        program=experiment.program,
        planned=experiment.planned,
        is_early=is_early,
        days=experiment.days,
        customers=len(rows),
        held_out=int(held.sum()),
        held_out_reached=reached,
        currency=currency,
        groups=compared,
        segments=_by_segment(rows),
        sentence=_sentence(compared[0], experiment, currency, is_early=is_early),
    )


def _compared(rows: pd.DataFrame, name: str, planned_share: float, is_early: bool) -> GroupReadout:
    """Compare the arms of a group in orders, revenue and margin, per customer."""
    treated = ~rows["is_holdout"].to_numpy()
    n_treated, n_control = int(treated.sum()), int((~treated).sum())
    if min(n_treated, n_control) < 2:
        return GroupReadout(group=name, treated=n_treated, control=n_control)
    try:
        lifts = {}
        for outcome, column in OUTCOMES.items():
            value = rows[column].to_numpy(dtype=np.float64)
            lift = average_lift(value, treated, rows["covariate"].to_numpy())
            lifts[outcome] = always_valid(lift, planned_share) if is_early else lift
        margin = rows["margin"].to_numpy()
        trimmed = average_lift(winsorized(margin), treated, rows["covariate"].to_numpy())
        smallest = smallest_lift(
            n_treated,
            n_control,
            float(margin.std(ddof=1) * np.sqrt(lifts["margin"].variance_left)),
        )
    except LiftError as error:
        return GroupReadout(group=name, treated=n_treated, control=n_control, note=str(error))
    return GroupReadout(
        group=name,
        treated=n_treated,
        control=n_control,
        orders=lifts["orders"],
        revenue=lifts["revenue"],
        margin=lifts["margin"],
        margin_winsorized=trimmed,
        smallest_margin=smallest,
        cost=float(rows.loc[treated, "cost"].mean()),
    )


def _by_segment(rows: pd.DataFrame) -> tuple[SegmentReadout, ...]:
    """Compare the arms of each segment in margin, shrunk towards the whole."""
    named, lifts = _lifts(rows, ["segment"])
    if not lifts:
        return ()
    means, deviations = shrink([x.estimate for x in lifts], [x.standard_error for x in lifts])
    return tuple(
        SegmentReadout(
            segment=names[0],
            treated=lift.n_treated,
            control=lift.n_control,
            estimate=lift.estimate,
            shrunk=float(mean),
            deviation=float(deviation),
        )
        for names, lift, mean, deviation in zip(named, lifts, means, deviations, strict=True)
    )


def _lifts(rows: pd.DataFrame, by: list[str]) -> tuple[list[Any], list[Lift]]:
    """Return the lift in margin of each group that has enough customers in both arms."""
    named, lifts = [], []
    for names, group in rows.groupby(by, sort=True):
        held = group["is_holdout"].to_numpy()
        if min(held.sum(), (~held).sum()) < LEAST:
            continue
        try:
            lift = average_lift(group["margin"].to_numpy(), ~held, group["covariate"].to_numpy())
        except LiftError:
            continue
        named.append(names)
        lifts.append(lift)
    return named, lifts


@step
def learn_effects(state: Path, watched: Path, as_of: date) -> int:
    """Replace assumed effects by what is known now that they were measured; return how many."""
    rows = pd.read_parquet(watched)
    measured = effects(rows)
    if measured:
        save_effects(state, as_of, measured)
    return len(measured)


@step
def fit_uplift_targeting(run: RunContext, watched: Path) -> dict[str, UpliftTargetingReadout]:
    """Fit uplift targeting by tier to the scores of the day of each draw; save what is proved."""
    rows = pd.read_parquet(watched)
    days = pd.to_datetime(rows["start_date"]).dt.date
    parts = []
    for day in run.store.published_days(days.min(), days.max()):
        scores = read_parquet(day.file(PublishedFile.SCORES), ["customer_id", *KNOWN])
        parts.append(rows[days == day.as_of].merge(scores, on="customer_id"))
    readouts, proved = {}, {}
    for tier, of_tier in pd.concat(parts, ignore_index=True).groupby("group", sort=True):
        readouts[str(tier)], effect = learn_uplift_targeting(of_tier)
        if effect is not None:
            proved[str(tier)] = effect
    save_uplift_targeting(run.state, run.as_of, proved)
    return readouts


def effects(rows: pd.DataFrame) -> dict[tuple[str, str], EffectEstimate]:
    """Say how each tier's effect on each segment compares with the assumed one.

    Parameters
    ----------
    rows
        One row per customer: ``group, segment, is_holdout, margin, covariate, assumed``.

    Returns
    -------
    dict
        By tier and segment. Within a tier, segments are shrunk towards the whole.
    """
    estimates = {}
    for tier, of_tier in rows.groupby("group", sort=True):
        named, lifts = _lifts(of_tier, ["segment"])
        assumed = of_tier.groupby("segment")["assumed"].mean()
        pairs = [
            (n[0], x, assumed[n[0]])
            for n, x in zip(named, lifts, strict=True)
            if assumed[n[0]] > 0
        ]
        if not pairs:
            continue
        ratios = [x.estimate / base for _, x, base in pairs]
        errors = [x.standard_error / base for _, x, base in pairs]
        means, deviations = posterior(1.0, UNCERTAINTY, *shrink(ratios, errors))
        for (segment, *_), mean, deviation in zip(pairs, means, deviations, strict=True):
            estimates[str(tier), str(segment)] = EffectEstimate(
                float(mean), float(deviation), is_measured=True
            )
    return estimates


@step
def record(run: RunContext, readout: Readout) -> str:
    """Log the read-out as an MLflow run; return its id."""
    tags = {"as_of": run.as_of.isoformat(), "kind": "measure", "program": readout.program}
    with run.tracking.run(f"measure {readout.program} {run.as_of}", tags) as logged:
        whole = readout.groups[0]
        lifts = {"orders": whole.orders, "revenue": whole.revenue, "margin": whole.margin}
        metrics = {f"lift_{name}": lift.estimate for name, lift in lifts.items() if lift}
        logged.log(params={"days": readout.days}, metrics=metrics)
        return logged.id


def _sentence(
    whole: GroupReadout, experiment: Experiment, currency: str, *, is_early: bool
) -> str:
    """Say the return in one sentence."""
    margin, cost = whole.margin, whole.cost
    if margin is None:
        return f"Nothing can be said yet: {whole.note or 'too few customers'}."
    when = "so far" if is_early else f"in the {experiment.days} days after"
    who = f"{whole.treated:,} customers invested in beside {whole.control:,} held out"
    if not cost:
        span = f"{margin.estimate:.2f} ({margin.low:.2f} to {margin.high:.2f})"
        return f"Each customer brought {currency} {span} more margin {when}: {who}."
    back = [end / cost for end in (margin.estimate, margin.low, margin.high)]
    verdict = (
        "it paid"
        if back[1] > 1
        else "it did not pay"
        if back[2] < 1
        else "too early to tell whether it paid"
    )
    return (
        f"Each {currency} 1.00 brought back {currency} {back[0]:.2f} ({back[1]:.2f} to {back[2]:.2f}) of margin "
        f"{when}, {verdict}: {who}."
    )
