"""What customers do for the store: referrals, recommendations, reviews, loyalty."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reports.records.kpis import (
    Advocacy,
    Loyalty,
    Missing,
    Need,
    NpsMonth,
    OriginGroup,
    PromoterRates,
    Rate,
)
from reports.words import Words


@dataclass(frozen=True)
class AdvocacyRow:
    """A measure in words, what it rests on, and whether it is lower than it should be."""

    label: str
    text: str
    basis: str
    is_odd: bool = False


@dataclass(frozen=True)
class AdvocacyTable:
    """The measures that are available, and what the others need."""

    rows: tuple[AdvocacyRow, ...]
    missing: tuple[Need, ...]


def advocacy_table(
    advocacy: Advocacy | Missing, loyalty: Loyalty | Missing, words: Words
) -> AdvocacyTable:
    """Arrange what is known as rows, and list what is missing.

    Parameters
    ----------
    advocacy, loyalty
        Sections of ``kpis.json``.
    words
        How figures are written.
    """
    missing = [part.missing for part in (advocacy, loyalty) if isinstance(part, Missing)]
    rows: list[AdvocacyRow] = []
    if isinstance(advocacy, Advocacy):
        missing += [part.missing for _, part in advocacy if isinstance(part, Missing)]
        rows += _advocacy(advocacy, words)
    if isinstance(loyalty, Loyalty):
        rows += _loyalty(loyalty, words)
    needs = {(need.measure, need.needs): need for need in missing}
    return AdvocacyTable(tuple(rows), tuple(needs.values()))


def _advocacy(advocacy: Advocacy, words: Words) -> Iterator[AdvocacyRow]:
    for label, rate in (
        ("Customers who referred somebody in 12 months", advocacy.referral_rate_12m),
        ("New customers who were referred", advocacy.share_of_new_referred),
        ("Orders that were reviewed", advocacy.review_rate),
    ):
        if isinstance(rate, Rate):
            yield _rate(label, rate, words)
    yield from _origins(advocacy, words)
    if isinstance(advocacy.promoters_refer, PromoterRates):
        refer = advocacy.promoters_refer
        yield _rate("Promoters (9 and 10) who then refer", refer.nines_and_tens, words)
        yield _rate("Scores of 7 and 8 who then refer", refer.sevens_and_eights, words)
    if isinstance(advocacy.nps, tuple) and advocacy.nps:
        yield _nps(advocacy.nps[-1], words)


def _origins(advocacy: Advocacy, words: Words) -> Iterator[AdvocacyRow]:
    groups = [one for one in (advocacy.referred, advocacy.paid) if isinstance(one, OriginGroup)]
    if isinstance(advocacy.referred, OriginGroup):
        yield from _group("referred customer", advocacy.referred, words)
    if isinstance(advocacy.paid, OriginGroup):
        yield from _group("paid-for customer", advocacy.paid, words)
    if advocacy.ratio is not None:
        basis = ", ".join(f"n = {words.count(group.seen)}" for group in groups)
        text = words.decimal(advocacy.ratio)
        yield AdvocacyRow("Revenue in 90 days, referred over paid-for", text, basis)


def _nps(month: NpsMonth, words: Words) -> AdvocacyRow:
    span = f"n = {words.count(month.n)}"
    if month.low is not None and month.high is not None:
        span = f"{words.count(month.low)} to {words.count(month.high)}, {span}"
    text = "too few" if month.score is None else words.count(month.score)
    return AdvocacyRow(f"Net promoter score, {month.month}", text, span)


def _loyalty(loyalty: Loyalty, words: Words) -> Iterator[AdvocacyRow]:
    yield _rate("Customers enrolled in the loyalty program", loyalty.enrolled, words)
    active = _rate(
        "Members who earned or redeemed within a quarter", loyalty.active_quarter, words
    )
    yield replace(active, is_odd=loyalty.is_low)
    yield _rate("Members who rose to a higher tier within a quarter", loyalty.ascension, words)


def _rate(label: str, rate: Rate, words: Words) -> AdvocacyRow:
    return AdvocacyRow(label, words.rate(rate), words.based_on(rate))


def _group(label: str, group: OriginGroup, words: Words) -> Iterator[AdvocacyRow]:
    text = "too few" if group.value_90d is None else words.money(group.value_90d)
    yield AdvocacyRow(f"Revenue of a {label} in 90 days", text, f"n = {words.count(group.seen)}")
    if group.cost_needs:
        text = f"not available: needs {group.cost_needs}"
    else:
        text = "too few" if group.cac is None else words.money(group.cac)
    times = group.value_per_cost
    basis = "" if times is None else f"{words.decimal(times)} times that comes in 90 days"
    yield AdvocacyRow(f"Cost of a {label}", text, basis)
