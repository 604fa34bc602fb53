"""Tables whose cells are shaded by what they say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.records.kpis import AverageAge, CohortAge, CohortMonth, Cohorts
from reports.records.run import ChanceCell, RfmCell
from reports.words import Words

MOST_AGES = 13  # months of the cohort table
MOST_COHORTS = 18
MARGIN_AGES = (3, 6, 12)  # months by which margin is written


@dataclass(frozen=True)
class Cell:
    """A cell of a grid: how dark it is, 0 to 1, and its texts."""

    heat: float
    text: str
    small: str = ""


@dataclass(frozen=True)
class GridRow:
    """A row of a grid; an empty cell is None."""

    label: str | int
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Grid:
    """A grid, and the labels of its columns."""

    columns: tuple[str | int, ...]
    rows: tuple[GridRow, ...]


@dataclass(frozen=True)
class CohortCell:
    """A cohort in a month of its life: who ordered, as a shade and as texts."""

    heat: float
    text: str
    title: str
    is_partial: bool


@dataclass(frozen=True)
class CohortRow:
    """A cohort in words: its cells by age, and its margin by some ages."""

    month: str
    customers: int
    cac: str
    payback: str
    cells: tuple[CohortCell | None, ...]
    margins: tuple[str, ...]


@dataclass(frozen=True)
class AllCohorts:
    """All cohorts together."""

    customers: int
    cells: tuple[CohortCell | None, ...]
    margins: tuple[str, ...]


@dataclass(frozen=True)
class CohortTable:
    """The cohorts by month and age.

    Attributes
    ----------
    ages, margins
        Months of life that have a column: of cells, and of the margin.
    cost
        Acquisition cost per customer; None where no spend is given.
    margin_note
        What the picture of the margin shows.
    """

    ages: tuple[int, ...]
    margins: tuple[int, ...]
    rows: tuple[CohortRow, ...]
    all: AllCohorts
    cost: float | None
    margin_note: str


def rfm(rows: Sequence[RfmCell], least: int, words: Words) -> Grid:
    """Arrange :func:`reports.tables.rfm_grid` as rows of cells.

    Parameters
    ----------
    rows
        A row per cell.
    least
        Customers below whom the margin is not said.
    words
        How figures are written.
    """
    margins = [row.expected_margin or 0.0 for row in rows if row.customers >= max(least, 1)]
    most = max(margins, default=1.0) or 1.0
    return _grid({(row.recency, row.frequency): _rfm(row, least, most, words) for row in rows})


def _rfm(row: RfmCell, least: int, most: float, words: Words) -> Cell | None:
    if not row.customers:
        return None
    if row.customers < least:
        return Cell(0.0, words.count(row.customers))
    margin = row.expected_margin or 0.0
    return Cell(max(margin, 0.0) / most, words.count(row.customers), words.money(margin))


def chances(rows: Sequence[ChanceCell], least: int, words: Words) -> Grid:
    """Arrange :func:`reports.tables.order_matrix` as rows of cells; those of too few are empty.

    Parameters
    ----------
    rows
        A row per cell.
    least
        Customers that a cell needs to be shown.
    words
        How figures are written.
    """
    return _grid({(row.orders, row.silent_days): _chance(row, least, words) for row in rows})


def _chance(row: ChanceCell, least: int, words: Words) -> Cell | None:
    if row.customers < least or row.p_order_90d is None:
        return None
    return Cell(row.p_order_90d, words.percent(row.p_order_90d, 0), words.count(row.customers))


def _grid(cells: Mapping[tuple[str | int, str | int], Cell | None]) -> Grid:
    """Lay cells out by row and column, both in the order of their first cells."""
    columns = tuple(dict.fromkeys(column for _, column in cells))
    labels = dict.fromkeys(label for label, _ in cells)
    return Grid(
        columns,
        tuple(
            GridRow(label, tuple(cells[label, column] for column in columns)) for label in labels
        ),
    )


def cohorts(section: Cohorts, words: Words) -> CohortTable:
    """Arrange the newest cohorts by month and age.

    Parameters
    ----------
    section
        The section ``cohorts`` of ``kpis.json``.
    words
        How figures are written.
    """
    months = section.months[-MOST_COHORTS:]
    oldest = max((len(month.ages) for month in months), default=0)
    ages = range(1, min(MOST_AGES, oldest))
    margins = tuple(age for age in MARGIN_AGES if age < oldest)
    rates = [age.active.value for month in months for age in month.ages[1:MOST_AGES]]
    most = max((rate for rate in rates if rate is not None), default=1.0) or 1.0
    cost = _cost(section.months)
    note = "Every cohort in grey, all together in color."
    if cost is None:
        note += " What a new customer cost is not available: needs marketing_spend."
    return CohortTable(
        ages=tuple(ages),
        margins=margins,
        rows=tuple(_cohort(month, len(ages), margins, most, words) for month in months),
        all=AllCohorts(
            customers=sum(month.customers for month in section.months),
            cells=_filled([_average(age, most, words) for age in section.average], len(ages)),
            margins=tuple(_margin(section.average, age, words) for age in margins),
        ),
        cost=cost,
        margin_note=note,
    )


def _cost(months: Sequence[CohortMonth]) -> float | None:
    """Return what was paid per new customer of the months whose spend is given."""
    paid = [(month.spend, month.customers) for month in months if month.spend is not None]
    n = sum(customers for _, customers in paid)
    return sum(spend for spend, _ in paid) / n if n else None


def _cohort(
    month: CohortMonth, ages: int, margins: Sequence[int], most: float, words: Words
) -> CohortRow:
    return CohortRow(
        month=month.month,
        customers=month.customers,
        cac="" if month.cac is None else words.money(month.cac),
        payback=_payback(month),
        cells=_filled([_cell(age, most, words) for age in month.ages], ages),
        margins=tuple(_margin(month.ages, age, words) for age in margins),
    )


def _filled(cells: Sequence[CohortCell | None], ages: int) -> tuple[CohortCell | None, ...]:
    """Return the cells of the ages after the first month, with empty ones up to the last."""
    later = tuple(cells[1 : ages + 1])
    return later + (None,) * (ages - len(later))


def _cell(age: CohortAge, most: float, words: Words) -> CohortCell | None:
    rate = age.active
    if rate.value is None:
        return None
    return CohortCell(
        heat=min(rate.value / most, 1.0),
        text=words.percent(rate.value, 0),
        title=f"{words.count(rate.count)} of {words.count(rate.n)}",
        is_partial=age.is_partial,
    )


def _average(age: AverageAge, most: float, words: Words) -> CohortCell:
    return CohortCell(
        heat=min(age.active / most, 1.0),
        text=words.percent(age.active, 0),
        title=f"{words.count(age.active * age.n)} of {words.count(age.n)}",
        is_partial=False,
    )


def _margin(ages: Sequence[CohortAge | AverageAge], age: int, words: Words) -> str:
    """Write the margin by an age that a cohort has lived whole."""
    if age >= len(ages):
        return ""
    at = ages[age]
    if at.margin is None or (isinstance(at, CohortAge) and at.is_partial):
        return ""
    return words.money(at.margin)


def _payback(month: CohortMonth) -> str:
    if month.cac is None:
        return ""
    age = month.payback_month
    if age is None:
        return "not yet"
    return "at once" if age == 0 else f"in month {age}"
