"""How figures are written: the store's currency and its locale's numbers."""

from dataclasses import dataclass
from functools import lru_cache

from babel import Locale
from babel.numbers import format_currency, format_decimal, format_percent

from reports.records.kpis import Rate

WHOLE_FROM = 100  # amounts from here on are written without cents


@dataclass(frozen=True)
class Words:
    """Numbers as people of a locale read them.

    Attributes
    ----------
    currency
        ISO 4217 code.
    locale
        As Unicode's CLDR names it, such as ``en_US`` or ``de_DE``.
    """

    currency: str
    locale: str = "en_US"

    def money(self, value: float) -> str:
        """Write an amount: whole units from 100 on, else two decimals."""
        return self._money(value, is_whole=abs(value) >= WHOLE_FROM)

    def round_money(self, value: float) -> str:
        """Write an amount on an axis: without cents where there are none."""
        return self._money(value, is_whole=abs(value) >= WHOLE_FROM or float(value).is_integer())

    @property
    def one(self) -> str:
        """One unit of currency, without decimals."""
        return self._money(1, is_whole=True)

    def _money(self, value: float, *, is_whole: bool) -> str:
        pattern = _currency_pattern(self.locale, is_whole=is_whole)
        return str(
            format_currency(
                value,
                self.currency,
                format=pattern,
                locale=self.locale,
                currency_digits=not is_whole,
            )
        )

    def count(self, value: float) -> str:
        """Write a number without decimals."""
        return str(format_decimal(round(value), locale=self.locale))

    def decimal(self, value: float, digits: int = 2) -> str:
        """Write a number with decimals."""
        return str(format_decimal(value, format=f"#,##0.{'0' * digits}", locale=self.locale))

    def percent(self, value: float, digits: int = 1) -> str:
        """Write a share, 0 to 1, as a percentage."""
        pattern = Locale.parse(self.locale).percent_formats[None].pattern
        decimals = "." + "0" * digits if digits else ""
        return str(
            format_percent(value, format=pattern.replace("0", f"0{decimals}"), locale=self.locale)
        )

    def unit(self, value: float | None, unit: str) -> str:
        """Write a value of a unit: ``count``, ``money``, ``share``, ``days``, ``score``, ``ratio``."""
        if value is None:
            return "too few"
        if unit == "money":
            return self.money(value)
        if unit == "share":
            return self.percent(value)
        if unit == "days":
            return f"{self.count(value)} days"
        return self.count(value) if unit in ("count", "score") else self.decimal(value)

    def rate(self, rate: Rate) -> str:
        """Write a rate; one of too few customers, or of too short a time, is not said."""
        if rate.value is None:
            return rate.why or "too few"
        return self.percent(rate.value)

    def based_on(self, rate: Rate) -> str:
        """Write what a rate rests on: its interval, and of how many."""
        if rate.value is None or rate.low is None or rate.high is None:
            return f"n = {self.count(rate.n)}"
        ends = f"{self.percent(rate.low)} to {self.percent(rate.high)}"
        return f"{ends}, n = {self.count(rate.n)}"


@lru_cache
def _currency_pattern(locale: str, *, is_whole: bool) -> str:
    pattern: str = Locale.parse(locale).currency_formats["standard"].pattern
    return pattern.replace("0.00", "0") if is_whole else pattern
