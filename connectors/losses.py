"""What the rules left out of a history, said loudly: how much, why, and what to set.

A few rejected rows are usual. Where one rule takes many, the source is likely read the wrong way:
then a person is warned, and where values cannot be read or statuses are unknown, the history is
refused. Void orders and rows without a customer are facts of the store; they are refused only where a
setting says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd

from connectors.dates import fitting_pattern
from connectors.engine import FILE_COLUMN, Engine
from connectors.identity import KEYS, ROUNDED
from connectors.notation import AMOUNTS, as_it_was
from connectors.order_source import OrderSource
from connectors.presets.plain import STATUSES as PLAIN_STATUSES
from connectors.presets.preset import OURS
from connectors.presets.statuses import PAID, plain_word
from connectors.reading import Reading
from connectors.rules import RULES, VOID
from connectors.values import without_accents
from features.tables import DataError

UNREADABLE = ("unreadable_row", "unreadable_date", "unreadable_amount", "unknown_status")
FAMILIES = {  # rules that have a limit together: the setting, and what the rows are
    "most_unreadable": (UNREADABLE, "cannot be read"),
    "most_void": (tuple(rule for rule in VOID if rule != "unknown_status"), "are no purchase"),
    "most_without_customer": (("missing_customer",), "have no customer"),
}
MOST_REASONS = 3
MOST_STATUSES = 8  # that are named
REMEDIES = {  # where the status words stand beside it
    "unpaid": "these statuses count as unpaid or void; if such orders were paid, add the status to "
    "orders.paid_statuses",
    "unknown_status": "these statuses are not recognized; add each to orders.paid_statuses or "
    "orders.void_statuses",
}
OF_STATUS = ("unpaid", "canceled", "refunded_in_full", "deleted", "unknown_status")


@dataclass(frozen=True)
class Loss:
    """Rows that one rule left out, and the most frequent values that it refused."""

    rule: str
    rows: int
    share: float
    values: tuple[tuple[str, int], ...]
    remedy: str

    def __str__(self) -> str:
        """Return the loss in words."""
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        return f"{rows} ({_percent(self.share)}) left out as {self.cause}: {self.remedy}"

    @property
    def cause(self) -> str:
        """The rule, and the values that broke it."""
        values = ", ".join(f"{value!r} {rows:,}" for value, rows in self.values)
        return f"{self.rule} ({values})" if values else self.rule


def losses(engine: Engine, reading: Reading, source: OrderSource) -> list[Loss]:
    """Return the three largest losses, of the rules that took more rows than the settings call usual."""
    rejected, looked_at = _rejected(reading)
    counts = {
        rule: rows
        for rule, rows in rejected.items()
        if rows > source.warn_share * looked_at or rule == "unknown_status"
    }
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_REASONS]
    return [_loss(engine, reading, source, rule, rows, looked_at) for rule, rows in largest]


def check_losses(
    engine: Engine, reading: Reading, source: OrderSource, *, look_at: str = ""
) -> list[str]:
    """Return warnings of what the rules left out.

    Parameters
    ----------
    engine
        Where the tables are.
    reading
        The judged rows, and where each went.
    source
        Its limits.
    look_at
        Last sentence of a refusal: where the rejected rows are.

    Raises
    ------
    DataError
        More rows are left out than the settings allow.
    """
    rejected, looked_at = _rejected(reading)
    if not rejected:
        return []
    named = losses(engine, reading, source)
    for setting, (rules, what) in FAMILIES.items():
        rows = sum(rejected.get(rule, 0) for rule in rules)
        if rows > getattr(source, setting) * looked_at:
            causes = [str(loss) for loss in named if loss.rule in rules]
            raise DataError(
                f"{rows:,} of {looked_at:,} rows {what}, more than orders.{setting} = "
                f"{getattr(source, setting):g} allows. {'. '.join(causes)}{look_at}"
            )
    if not named:
        return []
    rows = sum(rejected.values())
    whole = f"{rows:,} of {looked_at:,} rows ({_percent(rows / looked_at)}) are left out"
    if len(named) == 1:
        most = "" if named[0].rows == rows else f", {named[0].rows:,} of them"
        return [f"{whole}{most} as {named[0].cause}: {named[0].remedy}"]
    return [f"{whole}, mostly for the reasons below", *(str(loss) for loss in named)]


def _rejected(reading: Reading) -> tuple[dict[str, int], int]:
    """Return the rejected rows by rule, and how many there were to reject: those known by the day."""
    rejected = dict(reading.accounting.rejected)
    later = rejected.pop("after_as_of", 0)
    return rejected, reading.accounting.rows_in - later


def statuses(engine: Engine, reading: Reading) -> dict[str, int]:
    """Return how many rows have each order status, the most frequent first; none if there is no status."""
    judged = reading.judged
    if "status" not in judged.columns:
        return {}
    seen = judged.filter(judged.rule.isnull() | (judged.rule != "after_as_of"))
    counts = engine.frame(seen.group_by("status").aggregate(rows=seen.count()))
    counts = counts.dropna().sort_values(["rows", "status"], ascending=[False, True])
    return {str(status): int(rows) for status, rows in counts.itertuples(index=False)}


def unknown_statuses(engine: Engine, reading: Reading, source: OrderSource) -> list[str]:
    """Say which statuses of a plain table count as purchases without anybody having said so."""
    if source.preset != "plain":
        return []
    named = {plain_word(word) for word in (*source.paid_statuses, *source.void_statuses)}
    usual = named | PAID | PLAIN_STATUSES.keys()
    odd = {
        word: rows
        for word, rows in statuses(engine, reading).items()
        if plain_word(word) not in usual and without_accents(plain_word(word)) not in usual
    }
    if not odd:
        return []
    shown = ", ".join(f"{word!r} {rows:,}" for word, rows in list(odd.items())[:MOST_STATUSES])
    return [
        f"these statuses are not recognized and count as purchases (rows): {shown}. Add each to "
        "orders.paid_statuses or orders.void_statuses"
    ]


def _loss(
    engine: Engine, reading: Reading, source: OrderSource, rule: str, rows: int, looked_at: int
) -> Loss:
    values = tuple(_frequent(engine, reading, rule))
    return Loss(
        rule, rows, rows / looked_at, values, _remedy(engine, reading, source, rule, values)
    )


def _frequent(engine: Engine, reading: Reading, rule: str) -> list[tuple[str, int]]:
    """Return the most frequent values that broke a rule, and how often."""
    if rule in OF_STATUS and "status" in reading.judged.columns:
        bad = reading.judged.filter(reading.judged.rule == rule)
        return _counted(engine, bad, bad.status)
    theirs = _columns_of(reading, rule)
    if not theirs:
        return []
    rows = reading.source_rows.rows
    refused = reading.judged.filter(reading.judged.rule == rule).select("row_hash").distinct()
    hashed = rows.mutate(
        perennial_hash=engine.row_hash(rows, [n for n in rows.columns if not n.startswith(OURS)])
    )
    bad = hashed.semi_join(refused, hashed.perennial_hash == refused.row_hash)
    texts = [as_it_was(bad, name).cast("string") for name in theirs]
    if rule == "unreadable_amount":
        is_bad = [bad[name].cast("string").try_cast("decimal(18, 4)").isnull() for name in theirs]
        texts = [
            ibis.ifelse(bad_one, text, ibis.null("string"))
            for bad_one, text in zip(is_bad, texts, strict=True)
        ]
    return _counted(engine, bad, ibis.coalesce(*(text.nullif("") for text in texts)))


def _columns_of(reading: Reading, rule: str) -> list[str]:
    """Return the source's columns that a rule is about."""
    ours = {
        "unreadable_date": ("ordered_at",),
        "unreadable_amount": AMOUNTS,
        "missing_customer": KEYS,
    }.get(rule, ())
    named = [
        reading.source_rows.headings[name] for name in ours if name in reading.source_rows.headings
    ]
    theirs = [part.strip() for name in named for part in name.replace(", else ", ",").split(",")]
    return [name for name in theirs if name in reading.source_rows.rows.columns]


def _counted(engine: Engine, rows: ir.Table, value: ir.Value) -> list[tuple[str, int]]:
    counts = rows.mutate(perennial_value=value)
    counts = counts.filter(counts.perennial_value.notnull())
    frame = engine.frame(
        counts.group_by("perennial_value")
        .aggregate(rows=counts.count())
        .order_by(ibis.desc("rows"), "perennial_value")
        .limit(MOST_REASONS)
    )
    return [(str(one), int(rows)) for one, rows in frame.itertuples(index=False)]


def _remedy(
    engine: Engine,
    reading: Reading,
    source: OrderSource,
    rule: str,
    values: Sequence[tuple[str, int]],
) -> str:
    """Say what to set, in view of the values."""
    texts = [value for value, _ in values]
    if rule == "unreadable_date":
        better = _better_pattern(engine, reading)
        if better:
            return better
    if rule in ("order_of_two_customers", "duplicate_order_id") and _has_rounded(
        engine, reading, rule
    ):
        return (
            "a spreadsheet such as Excel rounded these order numbers, so that several orders have one; export "
            "again, and do not save the file in Excel"
        )
    if rule == "missing_customer" and any(_is_rounded(text) for text in texts):
        return (
            "a spreadsheet such as Excel rounded these customer ids; export again and do not save the file in "
            "Excel"
        )
    if rule == "unreadable_amount" and source.decimal is not None:
        return (
            f'they do not fit orders.decimal = "{source.decimal}"; correct or remove the setting'
        )
    return REMEDIES.get(rule, RULES[rule])


def _better_pattern(engine: Engine, reading: Reading) -> str | None:
    columns, rows = _columns_of(reading, "unreadable_date"), reading.source_rows.rows
    column = columns[0] if columns else ""
    if not column or not rows[column].type().is_string() or FILE_COLUMN not in rows.columns:
        return None
    fits = fitting_pattern(engine, rows, column)
    if fits is None:
        return None
    pattern, dates = fits
    return f'set orders.date_format = "{pattern}", which fits all {dates:,} dates of {column}'


def _has_rounded(engine: Engine, reading: Reading, rule: str) -> bool:
    orders = reading.orders.filter(reading.orders.rule == rule)
    return engine.has_rows(orders.filter(orders.order_id.re_search(ROUNDED)))


def _is_rounded(text: str) -> bool:
    digits, _, power = text.lower().partition("e+")
    return bool(power) and pd.notna(pd.to_numeric(digits.replace(",", "."), errors="coerce"))


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"
