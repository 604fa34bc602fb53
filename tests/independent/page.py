"""The audit's page: tables of results and bounds."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tests.independent.bounds import NEW_BANDS, Results, bounds_of
from tests.independent.measures import BANDS, GROUPS
from tests.independent.product import RULES
from tests.independent.stores import CHANGING, SEASONAL, STORES

SECTIONS = {"before": "Before", "after": "After"}
FIGURES = (
    "value",
    "orders",
    "orders, 90 days",
    "ordered by the next-order date",
    "top fifth",
    "with a season index",
)
HEAD = """# Forecast audit

Written by `make audit-forecasts`. The stores come from a generator of their own (`tests/independent/generator.py`), written from the
papers: Poisson or Erlang purchases with gamma rates, dropout after orders or by the clock, gamma order values with gamma-distributed
scales. It shares no code with the simulated store of the product. Each store has three years of orders and 8,000 customers, and the
forecast is for the 365 days after its last day, undiscounted. Exceptions: `eighteen_months` has 550 days, just above one and a half
horizons; `weekly` has 3,000 customers, `small_700` and `small_250` have 700 and 250. By default, every store is
simulated with three seeds, `weekly` and `small_250` with ten; *by seed* has one figure for each seed of a section.

`make audit-forecasts FORECASTS='--stores signal,quality --seeds 1'` runs a part of it; the exit code is 1 where a bound is not met.

- The *truth* is the mean of 20 futures that are simulated from the latent state of each customer on the last day. Ratios are predicted / true.
- *Plain* is the best purchase model of the family with Gamma-Gamma, without anything learned.
- *Rules* rank customers by the revenue so far, or by that of the last 365 days.
- *Stationary* stores differ in arrivals, dropout and length; nothing else changes over time.
- Coverage is that of one more future, with the randomized probability integral transform where a customer orders nothing.
- *Ordered by the next-order date* is, in that future, the share of the customers with such a date within 365 days who order by then.
  Half of them are expected to order by the median; published dates are rounded up to whole days, which raises the share.
- *Top fifth* is predicted / true chance of an order within 90 days, of the fifth of one-time buyers with the highest `p_second_order`.
- *k* is the regularity of the purchase model that is used: 1 = random order times.
- Gini coefficients are relative to the ranking by the truth itself, so that 1 cannot be reached.

| store | what is special |
|---|---|
| `by_order` | customers leave after an order (MBG/NBD), arrivals are steady |
| `by_clock` | customers leave at any time (Pareto/NBD) |
| `growing`, `dying` | arrivals grow to five times, or fall to a fifth, within three years |
| `viral` | 40 % of the customers arrive within one month, 14 months before the end |
| `one_time` | 85 % have ordered once |
| `weekly` | random orders, one a week |
| `eighteen_months` | 550 days of history |
| `quality` | cohorts lose half of their value within three years, by rate and return chance |
| `price` | prices rise by 35 % half a year before the end |
| `wholesale` | 3 % of the customers order twice as often, ten times the value |
| `dependence` | frequent customers spend more |
| `rising`, `falling` | repeat orders of every customer rise to 1.6 times, or fall to 0.6 times, within three years, and stay there |
| `sale_recent`, `sale_year_ago` | three times the repeat orders in a sale of 14 days that began 60, or 365, days before the end |
| `season_30`, `season_50` | repeat orders follow a sine of 30 or 50 % over the year |
| `q4_peak` | 2.2 times the repeat orders from November 10 to December 24 |
| `_mar`, `_jun`, `_sep` | the seasonal stores as of the ends of other quarters; those without a suffix end on December 31 |
| `subscriptions` | regular monthly orders (Erlang, k = 10) |
| `signal` | 45 % stay after the first order; one category doubles that, a first-order discount halves it |
"""


def write_section(path: Path, section: str, text: str) -> None:
    """Write one section of the page, and keep the others.

    Parameters
    ----------
    path
        The page.
    section
        A name of :data:`SECTIONS`.
    text
        The section, without its heading.
    """
    page = path.read_text() if path.exists() else ""
    parts = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    parts[SECTIONS[section]] = f"\n{text}"
    kept = [f"## {name}\n{parts[name].rstrip()}\n" for name in SECTIONS.values() if name in parts]
    path.write_text("\n".join([HEAD, *kept]))


def section_text(results: Results) -> str:
    """Return the tables of a run."""
    parts = [_totals(results), _seasonal(results), _changing(results), _choices(results)]
    parts += [_tenure(results), _rankings(results), _signal(results)]
    parts += [_intervals(results), _notes(results), _bounds(results)]
    return "\n".join("\n".join(lines) + "\n" for lines in map(list, parts) if lines)


def _table(names: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    names = list(names)
    yield f"| {' | '.join(names)} |"
    yield f"|---|{'--:|' * (len(names) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _number(figure: float) -> str:
    if not np.isfinite(figure):
        return ""
    is_usual = figure == 0 or 1e-3 <= abs(figure) < 1e4
    return f"{figure:.3f}" if is_usual else f"{figure:.1e}"


def _totals(results: Results) -> Iterator[str]:
    yield "### Totals\n"
    names = (
        "store",
        "value",
        "by seed",
        "orders",
        "orders, 90 days",
        "plain: value",
        "plain: orders",
    )

    def mean(store: str, what: str, by: str = "product") -> str:
        return f"{results.mean_ratio(store, what, by):.2f}"

    yield from _table(
        names,
        (
            (
                f"`{store}`",
                mean(store, "value_365"),
                ", ".join(f"{ratio:.2f}" for ratio in results.ratios(store, "value_365")),
                mean(store, "orders_365"),
                mean(store, "orders_90"),
                mean(store, "value_365", "plain"),
                mean(store, "orders_365", "plain"),
            )
            for store in results.by_store
        ),
    )


def _seasonal(results: Results) -> Iterator[str]:
    stores = [name for name in SEASONAL if name in results.by_store]
    if stores:
        yield "### Seasonal stores by quarter\n"
        yield from _table(
            ("store", "as of", *FIGURES),
            ((f"`{name}`", f"{STORES[name].as_of}", *_figures(results, name)) for name in stores),
        )


def _changing(results: Results) -> Iterator[str]:
    stores = [name for name in CHANGING if name in results.by_store]
    if stores:
        yield "### Changing stores\n"
        yield from _table(
            ("store", *FIGURES), ((f"`{name}`", *_figures(results, name)) for name in stores)
        )


def _figures(results: Results, store: str) -> Iterator[str]:
    """Return the columns :data:`FIGURES` of a store."""
    for what in ("value_365", "orders_365", "orders_90"):
        yield f"{results.mean_ratio(store, what):.2f}"
    yield _number(results.ordered_share(store))
    yield _number(results.second_order_ratio(store))
    yield _with_season(results, store)


def _with_season(results: Results, *stores: str) -> str:
    runs = [run for store in stores for run in results.by_store[store]]
    return f"{sum(run['has_season'] for run in runs)} of {len(runs)}"


def _choices(results: Results) -> Iterator[str]:
    yield "### Regularity, season index and next-order dates\n"
    names = (
        "store",
        "k by seed",
        "with a season index",
        "customers with a next-order date",
        "ordered by it",
        "by the median, not rounded",
    )
    yield from _table(
        names,
        (
            (
                f"`{store}`",
                ", ".join(str(run["k"]) for run in runs),
                _with_season(results, store),
                f"{sum(run['next_order']['customers'] for run in runs):,}",
                _number(results.ordered_share(store)),
                _number(results.ordered_share(store, "ordered_unrounded")),
            )
            for store, runs in results.by_store.items()
        ),
    )
    if results.stationary:
        yield f"\nFits of stationary stores with a season index: {_with_season(results, *results.stationary)}."


def _tenure(results: Results) -> Iterator[str]:
    if not results.stationary:
        return
    yield f"### Value by tenure\n\nStationary stores pooled, each weighted equally: {len(results.stationary)} stores.\n"
    rows = {**{name: (name,) for name in BANDS}, "0-90": NEW_BANDS}
    yield from _table(
        ("days since the first order", "product", "plain"),
        (
            (name, *(f"{results.tenure(bands, by):.2f}" for by in ("product", "plain")))
            for name, bands in rows.items()
        ),
    )


def _rankings(results: Results) -> Iterator[str]:
    yield "### Ranking and order values\n"
    names = ("store", "Gini: product", "plain", *RULES, "largest order value / largest order")
    yield from _table(
        names,
        (
            (
                f"`{store}`",
                *(f"{results.gini(store, by):.3f}" for by in ("product", "plain", *RULES)),
                _number(max(run["largest_order_value"] / run["largest_order"] for run in runs)),
            )
            for store, runs in results.by_store.items()
        ),
    )


def _signal(results: Results) -> Iterator[str]:
    if "signal" not in results.by_store:
        return
    yield "### Newcomers with a planted signal\n\nFirst order within 180 days, none since.\n"
    names = ("first basket", "customers", "true value", "product", "without classifier")

    def row(name: str) -> Iterator[str]:
        customers = results.group(name, "customers")
        yield from (name, f"{customers:,.0f}", f"{results.group(name, 'true') / customers:.1f}")
        for by in ("product", "unclassified"):
            yield f"{results.group(name, by) / results.group(name, 'true'):.2f}"

    yield from _table(names, (row(name) for name in GROUPS))
    ginis = {by: results.signal_gini(by) for by in ("product", "unclassified", "plain", "oracle")}
    yield (
        f"\nGini of their value: product {ginis['product']:.3f}, without classifier "
        f"{ginis['unclassified']:.3f} (its trees see the discount), plain {ginis['plain']:.3f}, with the true "
        f"parameters and return chances {ginis['oracle']:.3f}."
    )


def _intervals(results: Results) -> Iterator[str]:
    yield "### Interval of value\n"
    yield from _table(
        ("store", "coverage, 80 % intended"),
        ((f"`{store}`", f"{results.coverage(store):.3f}") for store in results.by_store),
    )
    newcomers, above = results.newcomers()
    if newcomers:
        yield (
            f"\nOf {newcomers:,} customers of stationary stores with one order within 90 days and a chance above .6 to order again, "
            f"{above / newcomers:.1%} brought more than `value_high` (10 % intended)."
        )


def _notes(results: Results) -> Iterator[str]:
    yield "### Notes of the fits\n"
    stores: dict[str, list[str]] = {}
    for store, runs in results.by_store.items():
        for run in runs:
            for note in run["notes"]:
                stores.setdefault(note, []).append(store)
    for note, names in stores.items():
        counted = ", ".join(f"`{name}` ({names.count(name)})" for name in dict.fromkeys(names))
        yield f"- {note}: {counted}"


def _bounds(results: Results) -> Iterator[str]:
    bounds = bounds_of(results)
    met = sum(bound.is_met for bound in bounds)
    yield f"### Bounds\n\n{met} of {len(bounds)} are met.\n"
    yield from _table(
        ("figure", "value", "least", "most", "met"),
        (
            (
                bound.name,
                _number(bound.figure),
                _number(bound.low),
                _number(bound.high),
                "yes" if bound.is_met else "**no**",
            )
            for bound in bounds
        ),
    )
