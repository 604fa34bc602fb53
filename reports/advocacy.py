"""What customers do for the store: referrals, recommendations, reviews, loyalty."""

from collections.abc import Iterator, Mapping
from typing import Any

from reports.words import Words

Found = Mapping[str, Any]


def advocacy_table(advocacy: Found, loyalty: Found, words: Words) -> dict[str, Any]:
    """Arrange what is known as rows, and list what is missing.

    Parameters
    ----------
    advocacy, loyalty
        Sections of ``kpis.json``.
    words
        How figures are written.
    """
    missing = [part["missing"] for part in (advocacy, loyalty) if part.get("missing")]
    rows: list[dict[str, Any]] = []
    if not advocacy.get("missing"):
        missing += [
            p["missing"] for p in advocacy.values() if isinstance(p, dict) and p.get("missing")
        ]
        rows += _advocacy(advocacy, words)
    if not loyalty.get("missing"):
        rows += _loyalty(loyalty, words)
    told = {(what["measure"], what["needs"]): what for what in missing}
    return {"rows": rows, "missing": list(told.values())}


def _advocacy(found: Found, words: Words) -> Iterator[dict[str, Any]]:
    for name, label in (
        ("referral_rate_12m", "Customers who referred somebody in 12 months"),
        ("share_of_new_referred", "New customers who were referred"),
        ("review_rate", "Orders that were reviewed"),
    ):
        if _has(found, name):
            yield _rate(label, found[name], words)
    for name, label in (("referred", "referred customer"), ("paid", "paid-for customer")):
        if _has(found, name):
            yield from _group(label, found[name], words)
    if found.get("ratio") is not None:
        basis = ", ".join(f"n = {words.count(found[k]['seen'])}" for k in ("referred", "paid"))
        text = words.decimal(found["ratio"])
        yield _row("Revenue in 90 days, referred over paid-for", text, basis)
    if _has(found, "promoters_refer"):
        for name, label in (
            ("nines_and_tens", "Promoters (9 and 10) who then refer"),
            ("sevens_and_eights", "Scores of 7 and 8 who then refer"),
        ):
            yield _rate(label, found["promoters_refer"][name], words)
    if isinstance(found.get("nps"), list) and found["nps"]:
        last = found["nps"][-1]
        span = f"n = {words.count(last['n'])}"
        if last["low"] is not None:
            span = f"{words.count(last['low'])} to {words.count(last['high'])}, {span}"
        text = "too few" if last["score"] is None else words.count(last["score"])
        yield _row(f"Net promoter score, {last['month']}", text, span)


def _loyalty(found: Found, words: Words) -> Iterator[dict[str, Any]]:
    for name, label in (
        ("enrolled", "Customers enrolled in the loyalty program"),
        ("active_quarter", "Members who earned or redeemed within a quarter"),
        ("ascension", "Members who rose to a higher tier within a quarter"),
    ):
        if _has(found, name):
            is_odd = name == "active_quarter" and bool(found.get("is_low"))
            yield _rate(label, found[name], words) | {"is_odd": is_odd}


def _has(found: Found, name: str) -> bool:
    return bool(found.get(name)) and not found[name].get("missing")


def _rate(label: str, rate: dict[str, Any], words: Words) -> dict[str, Any]:
    return _row(label, words.rate(rate), words.based_on(rate))


def _group(label: str, group: Found, words: Words) -> Iterator[dict[str, Any]]:
    value, cost, times = (group[name] for name in ("value_90d", "cac", "value_per_cost"))
    text = "too few" if value is None else words.money(value)
    yield _row(f"Revenue of a {label} in 90 days", text, f"n = {words.count(group['seen'])}")
    if group["cost_needs"]:
        text = f"not available: needs {group['cost_needs']}"
    else:
        text = "too few" if cost is None else words.money(cost)
    basis = "" if times is None else f"{words.decimal(times)} times that comes in 90 days"
    yield _row(f"Cost of a {label}", text, basis)


def _row(label: str, text: str, basis: str) -> dict[str, Any]:
    return {"label": label, "text": text, "basis": basis, "is_odd": False}
