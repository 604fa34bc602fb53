"""Dates by a strptime pattern, for engines that have no strptime: rewritten as ISO 8601."""

import re

import ibis
import ibis.expr.types as ir

from connectors.engine.shared import EngineError

MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
FORMS = {
    "Y": r"(\d{4})",
    "y": r"(\d{2})",
    "m": r"(\d{1,2})",
    "b": r"(\d{2})",
    "B": r"(\d{2})",
    "d": r"(\d{1,2})",
    "H": r"(\d{1,2})",
    "I": r"(\d{1,2})",
    "p": r"([ap]m)",
    "M": r"(\d{1,2})",
    "S": r"(\d{1,2})",
    "f": r"(\d{1,6})",
    "z": r"([+-]\d{2}:?\d{2}|z)",
}


def as_iso(text: ir.StringValue, pattern: str) -> ir.StringValue:
    """Rewrite texts of a strptime pattern as ISO 8601 with seconds; null where they do not fit.

    Parameters
    ----------
    text
        Without white space around it.
    pattern
        With a whole day, of the directives in :data:`FORMS` and ``%%``.

    Raises
    ------
    EngineError
        The pattern has another directive, or no whole day.
    """
    form, directives = _form(pattern)
    low = text.lower()
    if {"b", "B"} & {*directives}:
        for number, name in enumerate(MONTHS, 1):
            low = low.replace(name if "B" in directives else name[:3], f"{number:02}")
    fits = ibis.ifelse(low.re_search(form), low, ibis.null("string"))

    def part(*letters: str) -> ir.StringValue | None:
        there = [directives.index(one) + 1 for one in letters if one in directives]
        return fits.re_replace(form, rf"\{there[0]}") if there else None

    year, month, day = part("Y", "y"), part("m", "b", "B"), part("d")
    if year is None or month is None or day is None:
        raise EngineError(
            f"orders.date_format has a year, a month and a day: {pattern!r} has not. Mend it"
        )
    if "y" in directives:
        year = ibis.ifelse(year >= "69", "19", "20") + year
    clock = _hour(part("H", "I"), part("p"))
    for one in (part("M"), part("S")):
        clock = clock + ":" + ("00" if one is None else one)
    fraction, zone = part("f"), part("z")
    if fraction is not None:
        clock = clock + "." + fraction
    if zone is not None:
        clock = clock + zone.replace("z", "+00:00")
    return year + "-" + month + "-" + day + " " + clock


def _hour(hour: ir.StringValue | None, half: ir.StringValue | None) -> ir.StringValue:
    if hour is None:
        return ibis.literal("00")
    if half is None:
        return hour
    of_twelve = hour.cast("int64")
    counted = of_twelve % 12 + ibis.ifelse(half == "pm", 12, 0)
    return ibis.ifelse(of_twelve.between(1, 12), counted.cast("string"), ibis.null("string"))


def _form(pattern: str) -> tuple[str, list[str]]:
    """Return a pattern as a regular expression, and its directives in order."""
    form, directives = "", list[str]()
    for directive, plain in re.findall(r"%(.)|([^%]+)", pattern):
        if plain or directive == "%":
            form += re.escape((plain or "%").lower())
        elif directive in FORMS and directive not in directives:
            form, directives = form + FORMS[directive], [*directives, directive]
        else:
            raise EngineError(
                f"this engine reads dates of %{', %'.join(FORMS)}: orders.date_format has %{directive}. "
                'Export ISO 8601, or set engine.backend = "duckdb"'
            )
    return f"^{form}$", directives
