"""What a column's values are, by looking at a sample of them: dates, amounts, ids, addresses."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
ISO = re.compile(
    r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s?(Z|UTC|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?$"
)
AMOUNT = re.compile(
    r"^[-+]?\(?\s*[-+]?\s*(?P<sign>[$€£¥₹₽₩₺₪]|R\$|[A-Z]{1,3}\$|zł|kr\.?|CHF|[A-Z]{3})?\s*"
    r"(?P<body>[-+]?\d[\d.,'\u00a0\u202f ]*)\s*(?P<after>[€$£₽]|zł|kr\.?|Kč|Ft|CHF|[A-Z]{3})?\s*\)?-?$"
)
GROUPED = {
    ".": re.compile(r"^\d{1,3}(\.\d{3})+$"),
    ",": re.compile(r"^\d{1,3}(,\d{2,3})*,\d{3}$"),
}
NO_DECIMALS = re.compile(r"^\d+$")
WORDS = re.compile(r"^[^\W\d_][^\d@]*[\s,][^\d@]+$")
DAYS_FIRST = ("%d/%m/%Y", "%d/%m/%y", "%d-%m-%Y", "%d.%m.%Y", "%d.%m.%y", "%d-%m-%y")
MONTHS_FIRST = ("%m/%d/%Y", "%m/%d/%y", "%m-%d-%Y", "%m.%d.%Y", "%m-%d-%y")
OTHER_DAYS = (
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y%m%d",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%a, %d %b %Y",
)
TIMES = (
    "",
    " %H:%M",
    " %H:%M:%S",
    " %I:%M %p",
    " %I:%M:%S %p",
    ", %H:%M",
    ", %I:%M %p",
    " %H:%M:%S %z",
    "T%H:%M:%S",
)
FORMS = tuple(day + time for day in (*MONTHS_FIRST, *DAYS_FIRST, *OTHER_DAYS) for time in TIMES)
YEARS = (1990, 2100)
MOST = 0.95  # share of values that must be of a kind
CURRENCIES = {"$": "USD", "US$": "USD", "€": "EUR", "£": "GBP", "R$": "BRL", "₹": "INR", "zł": "PLN", "C$": "CAD",
              "CA$": "CAD", "A$": "AUD", "AU$": "AUD", "NZ$": "NZD", "₽": "RUB", "₺": "TRY", "₪": "ILS", "₩": "KRW",
              "Kč": "CZK", "Ft": "HUF"}  # fmt: skip

ISO_4217 = frozenset(
    [
        "AED",
        "ARS",
        "AUD",
        "BGN",
        "BHD",
        "BRL",
        "CAD",
        "CHF",
        "CLP",
        "CNY",
        "COP",
        "CZK",
        "DKK",
        "EGP",
        "EUR",
        "GBP",
        "HKD",
        "HUF",
        "IDR",
        "ILS",
        "INR",
        "ISK",
        "JPY",
        "KES",
        "KRW",
        "KWD",
        "MAD",
        "MXN",
        "MYR",
        "NGN",
        "NOK",
        "NZD",
        "PEN",
        "PHP",
        "PKR",
        "PLN",
        "QAR",
        "RON",
        "RSD",
        "RUB",
        "SAR",
        "SEK",
        "SGD",
        "THB",
        "TRY",
        "TWD",
        "UAH",
        "USD",
        "UYU",
        "VND",
        "ZAR",
    ]
)


def plain(name: str) -> str:
    """Return a heading in lower case without accents, spaces and punctuation."""
    text = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("№", "no").casefold())
    return "".join(letter for letter in text if letter.isalnum())


def without_accents(word: str) -> str:
    """Return a word without accents."""
    text = unicodedata.normalize("NFKD", word)
    return "".join(letter for letter in text if not unicodedata.combining(letter))


@dataclass(frozen=True)
class DateForm:
    """How a column writes its dates.

    Attributes
    ----------
    patterns
        strptime patterns that fit every value; none = ISO 8601.
    offsets
        Offsets from UTC that the values state.
    """

    patterns: tuple[str, ...] = ()
    offsets: tuple[str, ...] = ()

    @property
    def is_ambiguous(self) -> bool:
        """Whether the day and the month may each be first."""
        return len(self.patterns) > 1


@dataclass(frozen=True)
class Column:
    """A column of a sample, as text; an empty text is no value."""

    name: str
    values: tuple[str, ...]

    @cached_property
    def plain(self) -> str:
        """The heading without case and punctuation."""
        return plain(self.name)

    @cached_property
    def filled(self) -> tuple[str, ...]:
        """The values that are there."""
        return tuple(value for value in self.values if value)

    @cached_property
    def distinct(self) -> frozenset[str]:
        """The different values."""
        return frozenset(self.filled)

    @cached_property
    def is_nested(self) -> bool:
        """Whether values are objects or lists."""
        return any(value[0] in "{[" for value in self.filled[:100])

    @cached_property
    def is_emails(self) -> bool:
        """Whether values are e-mail addresses."""
        return _most(self.distinct, lambda value: bool(EMAIL.match(value)))

    @cached_property
    def is_names(self) -> bool:
        """Whether values are several words, as the names of people are."""
        return _most(self.distinct, lambda value: bool(WORDS.match(value)), 0.5)

    @cached_property
    def dates(self) -> DateForm | None:
        """How dates are written; None = these are no dates."""
        return date_form(self.distinct)

    @cached_property
    def decimal(self) -> str | None:
        """The decimal mark that the values show; None = they show none, or are no amounts."""
        marks = {mark for value in self.distinct if (mark := _mark(value))}
        return marks.pop() if len(marks) == 1 else None

    @cached_property
    def amounts(self) -> tuple[float | None, ...] | None:
        """The values as numbers, None where there is none; None = these are no amounts."""
        marks = {mark for value in self.distinct if (mark := _mark(value))}
        if not self.distinct or len(marks) > 1:
            return None
        mark = marks.pop() if marks else "."
        numbers = {value: read_amount(value, mark) for value in self.distinct}
        readable = sum(number is not None for number in numbers.values())
        if readable < MOST * len(numbers):
            return None
        return tuple(numbers.get(value) for value in self.values)

    @cached_property
    def currency_signs(self) -> frozenset[str]:
        """Currency signs and codes that stand beside the amounts."""
        matches = [match for value in self.distinct if (match := AMOUNT.match(value))]
        return frozenset(
            sign for match in matches if (sign := match["sign"] or match["after"]) is not None
        )

    def sums_to(self, other: Sequence[float]) -> bool:
        """Tell whether the column's amounts equal others, row by row."""
        mine = self.amounts
        return mine is not None and all(
            a is None or abs(a - b) < 0.015 for a, b in zip(mine, other, strict=True)
        )


def read_amount(text: str, mark: str) -> float | None:
    """Read an amount of any notation, whose decimal mark is known; None where it is none."""
    match = AMOUNT.match(text.strip())
    if match is None:
        return None
    group = "," if mark == "." else "."
    body = re.sub(r"['\u00a0\u202f \-+]", "", match["body"]).replace(group, "").replace(mark, ".")
    try:
        number = float(body)
    except ValueError:
        return None
    is_negative = "-" in text or (text.strip().startswith("(") and text.strip().endswith(")"))
    return -number if is_negative else number


def _mark(text: str) -> str | None:
    """Return the decimal mark that one amount shows; None where it may be either, or is none."""
    match = AMOUNT.match(text.strip())
    if match is None:
        return None
    body = re.sub(r"['\u00a0\u202f \-+]", "", match["body"])
    if NO_DECIMALS.match(body):
        return None
    if "." in body and "," in body:
        return max(".,", key=body.rfind)
    mark = "." if "." in body else ","
    if body.count(mark) > 1:
        return "," if mark == "." else "."
    return None if GROUPED[mark].match(body) and not body.startswith("0") else mark


def date_form(values: Iterable[str]) -> DateForm | None:
    """Return how dates are written; None = some value is no date, or there is none."""
    texts = list(values)
    if not texts:
        return None
    matches = [ISO.match(text) for text in texts]
    if all(matches):
        offsets = {match[1] for match in matches if match is not None and match[1]}
        return DateForm((), tuple(sorted(offsets)))
    fitting = [form for form in FORMS if all(_is_date(text, form) for text in texts)]
    return DateForm(tuple(fitting)) if fitting else None


def _is_date(text: str, form: str) -> bool:
    try:
        year = datetime.strptime(text, form).year  # noqa: DTZ007  # only its form is of interest
    except ValueError:
        return False
    return YEARS[0] <= year <= YEARS[1]


def _most(values: Iterable[str], is_one: Callable[[str], bool], share: float = MOST) -> bool:
    texts = list(values)
    return bool(texts) and sum(map(is_one, texts)) >= share * len(texts)
