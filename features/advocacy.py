"""What customers do for the store: referrals, recommendations, reviews, loyalty."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from features.window import QUARTER_DAYS, YEAR_DAYS


def conversions(referrals: ir.Table) -> ir.Table:
    """List the referrals that brought somebody: ``referrer_id, referred_id, date, reward_amount``."""
    won = referrals.filter(referrals.event == "converted")
    return won.select(
        "referrer_id", "referred_id", "reward_amount", date=won.occurred_at.cast("date")
    )


def rewards(won: ir.Table) -> ir.Table:
    """Sum what was paid for referrals by day: ``date, amount`` (null = not given)."""
    return won.group_by("date").aggregate(amount=won.reward_amount.sum())


def referrers(won: ir.Table, as_of: date) -> ir.Table:
    """Count who brought somebody within a year: one row, ``customers``."""
    late = won.filter(won.date > as_of - timedelta(days=YEAR_DAYS))
    return late.aggregate(customers=late.referrer_id.nunique())


def origins(customers: ir.Table, acquired: ir.Table, paid: ir.Table) -> ir.Table:
    """Say where each customer came from.

    Parameters
    ----------
    customers
        What :func:`features.products.customers` returns.
    acquired
        Table :class:`features.tables.Customers`.
    paid
        ``channel`` of what money is spent on.

    Returns
    -------
    ir.Table
        ``origin`` (``referred``, ``paid``, ``other``), ``date`` (of the first purchase),
        ``customers, seen`` (for 90 days or longer), ``value_90d`` (sum of those).
    """
    came = acquired.select("acquired_via", "referred_by", named="customer_id")
    both = customers.left_join(came, customers.customer_id == came.named)
    channels = paid.select(channel="channel").distinct()
    both = both.left_join(channels, both.acquired_via == channels.channel)
    origin = ibis.cases(
        (both.referred_by.notnull(), "referred"), (both.channel.notnull(), "paid"), else_="other"
    )
    is_seen = both.age_days >= 90
    zero = ibis.literal(0).cast(both.value_90d.type())
    each = both.mutate(
        origin=origin,
        is_seen=is_seen,
        early=ibis.ifelse(is_seen, both.value_90d, zero),
    )
    return each.group_by("origin", date=each.first_date).aggregate(
        customers=each.count(), seen=each.is_seen.sum(), value_90d=each.early.sum().cast("float64")
    )


def scores_by_month(nps: ir.Table) -> ir.Table:
    """Count answers by month: ``month`` (its first day), ``answers, promoters, detractors``."""
    each = nps.mutate(month=nps.answered_at.cast("date").truncate("M"))
    return each.group_by("month").aggregate(
        answers=each.count(), promoters=(each.score >= 9).sum(), detractors=(each.score <= 6).sum()
    )


def promoters_who_refer(nps: ir.Table, won: ir.Table | None) -> ir.Table:
    """Count by last score who brought somebody after the answer: ``kind, customers, referring``.

    ``kind`` is ``nines_and_tens`` or ``sevens_and_eights``.
    """
    last = nps.group_by("customer_id").aggregate(answered_at=nps.answered_at.max())
    answers = nps.join(last, ["customer_id", "answered_at"])
    answers = answers.group_by("customer_id").aggregate(
        score=answers.score.min(), day=answers.answered_at.cast("date").min()
    )
    kind = ibis.cases(
        (answers.score >= 9, "nines_and_tens"),
        (answers.score >= 7, "sevens_and_eights"),
        else_="others",
    )
    answers = answers.mutate(kind=kind).filter(lambda t: t.kind != "others")
    if won is None:
        return answers.group_by("kind").aggregate(
            customers=answers.count(), referring=ibis.literal(0)
        )
    by = won.group_by("referrer_id").aggregate(last_won=won.date.max())
    both = answers.left_join(by, answers.customer_id == by.referrer_id)
    return both.group_by("kind").aggregate(
        customers=both.count(), referring=(both.last_won >= both.day).fill_null(False).sum()
    )


def members(loyalty_events: ir.Table, as_of: date) -> ir.Table:
    """Count members: one row, ``enrolled, active`` (earned or redeemed within a quarter), ``risen``."""
    events = loyalty_events.mutate(date=loyalty_events.occurred_at.cast("date"))
    late = events.date > as_of - timedelta(days=QUARTER_DAYS)
    each = events.group_by("customer_id").aggregate(
        enrolled=(events.event == "enrolled").any(),
        active=(late & events.event.isin(["earned", "redeemed"])).any(),
        risen=(late & (events.event == "tier_reached")).any(),
    )
    return each.aggregate(enrolled=each.count(), active=each.active.sum(), risen=each.risen.sum())


def by_day(table: ir.Table, at: str) -> ir.Table:
    """Count the rows of a table by day: ``date, n``."""
    days = table.mutate(date=table[at].cast("date"))
    return days.group_by("date").aggregate(n=days.count())


def answered_touches(touches: ir.Table, journeys: ir.Table, since: date) -> ir.Table:
    """Count touches, and those after which the customer bought within a week: ``date, n, answered``."""
    sent = touches.mutate(date=touches.sent_at.cast("date"))
    sent = sent.filter(sent.date >= since).select("customer_id", "date").distinct()
    bought = journeys.filter(journeys.is_purchase & (journeys.order_date >= since))
    bought = bought.select("order_date", buyer="customer_id")
    week = [sent.customer_id == bought.buyer, bought.order_date >= sent.date,
            bought.order_date <= sent.date + ibis.interval(days=7)]  # fmt: skip
    answered = sent.semi_join(bought, week).mutate(answered=1)
    both = sent.left_join(answered, ["customer_id", "date"])
    return both.group_by("date").aggregate(
        n=both.count(), answered=both.answered.fill_null(0).sum()
    )


def scores_by_day(nps: ir.Table) -> ir.Table:
    """Count answers by day: ``date, answers, balance`` (promoters less detractors)."""
    each = nps.mutate(date=nps.answered_at.cast("date"))
    return each.group_by("date").aggregate(
        answers=each.count(), balance=(each.score >= 9).sum() - (each.score <= 6).sum()
    )
