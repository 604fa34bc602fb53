"""The store's calendar: growth, seasons, promotions, prices, and the clock of buying.

Times are days since the first day's midnight in the store's time zone; 3.25 is six in the morning
of the fourth day. Every day is as the rules of the year make it, however long the world runs.
"""

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from perennial.simulation.draws import Array
from perennial.simulation.profiles import GAP_DAY, PRICE_DAY, Profile, Promotion, season_on

WEEKDAYS = np.array([1.02, 0.97, 0.96, 0.98, 1.01, 1.0, 1.06])  # Monday first
HOURS = np.array(
    [3, 1, 1, 1, 1, 2, 4, 8, 12, 15, 17, 18, 19, 18, 17, 17, 18, 20, 23, 27, 30, 28, 18, 9.0]
)
FIRST_YEAR = 365


@dataclass(frozen=True)
class Calendar:
    """The days of a store.

    Attributes
    ----------
    profile
        The kind of store.
    start, end
        First day, and the day after the last.
    """

    profile: Profile
    start: date
    end: date

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.end - self.start).days

    @cached_property
    def _dates(self) -> NDArray[np.datetime64]:
        return np.datetime64(self.start) + np.arange(max(self.days, FIRST_YEAR))

    @cached_property
    def season(self) -> Array:
        """How much more is bought than usual on each day, as a share."""
        dates = self._dates
        day = (dates - dates.astype("datetime64[Y]")).astype(int) + 1.0
        return season_on(day, self.profile.peaks)

    @cached_property
    def _sales(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Number of the promotion on each day, -1 = none, and the year in which it began."""
        running = np.full(len(self._dates), -1)
        began = np.zeros_like(running)
        first = self.start
        for year in self.sale_years:
            for number, sale in enumerate(self.profile.promotions):
                begins = (date(year, sale.month, sale.day) - first).days
                days = slice(max(begins, 0), max(begins + sale.days, 0))
                running[days], began[days] = number, year
        return running, began

    @property
    def sale_years(self) -> range:
        """Years whose promotions may run on a day of the store; one may run over New Year."""
        return range(self.start.year - 1, self.end.year + 2)

    @property
    def promotion(self) -> NDArray[np.int64]:
        """Number of the promotion on each day; -1 = none."""
        return self._sales[0]

    @property
    def promotion_year(self) -> NDArray[np.int64]:
        """Year in which the promotion on each day began; 0 = none."""
        return self._sales[1]

    @cached_property
    def promotion_lift(self) -> Array:
        """Rise of the purchase rate of those who wait for promotions, on each day, as a share."""
        lifts = np.array([sale.lift for sale in self.profile.promotions] + [0.0])
        return np.asarray(lifts[self.promotion])

    @cached_property
    def weekday(self) -> Array:
        """How much is bought on each day's weekday beside the usual day, as a factor."""
        if not self.profile.effects:
            return np.ones(len(self._dates))
        monday_first = (self._dates.astype("datetime64[D]").astype(int) + 3) % 7
        return np.asarray(WEEKDAYS[monday_first])

    def arrivals(self, customers: float) -> Array:
        """Return the expected arrivals on each day: `customers` in the first 365 days."""
        day = np.arange(len(self._dates))
        pull = (
            (1 + self.profile.growth) ** (day / FIRST_YEAR)
            * self.weekday
            * (1 + self.season)
            * (1 + 0.5 * self.promotion_lift)
        )
        scaled: Array = customers * pull / pull[:FIRST_YEAR].sum()
        return scaled[: self.days]

    def price_index(self, day: NDArray[np.int64]) -> Array:
        """Return the prices beside those of the first day, as a factor."""
        return np.where(day >= PRICE_DAY, 1 + self.profile.price_rise, 1.0)

    def is_lost(self, day: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the orders of the day were lost before anybody counted them."""
        return (day >= GAP_DAY) & (day < GAP_DAY + self.profile.gap_days)

    def promotion_of(self, day: NDArray[np.int64]) -> tuple[NDArray[np.int64], Array]:
        """Return the number and the discount share of the promotion on each day; -1 and 0 = none."""
        shares = np.array([sale.share for sale in self.profile.promotions] + [0.0])
        number = self.promotion[day]
        return number, np.asarray(shares[number])

    @cached_property
    def pace(self) -> tuple[Array, Array, Array]:
        """Clock at each midnight, of shape (days + 1,): the usual, the season's part, the promotions' part."""
        parts = (
            self.weekday,
            self.weekday * self.season,
            self.weekday * self.promotion_lift,
        )
        usual, season, promotion = (np.r_[0.0, np.cumsum(part[: self.days])] for part in parts)
        return usual, season, promotion

    def moments(self, time: Array) -> pa.Array:
        """Return times as UTC timestamps, more of them in the evening than at night."""
        day = np.floor(time)
        hours = np.r_[0.0, np.cumsum(HOURS) / HOURS.sum()]
        second = np.interp(time - day, hours, np.arange(25) * 3600.0)
        local = np.datetime64(self.start, "us") + (
            day.astype(np.int64) * 86_400_000_000 + second.astype(np.int64) * 1_000_000
        )
        zoned = pc.assume_timezone(
            pa.array(local), self.profile.timezone, ambiguous="earliest", nonexistent="latest"
        )
        return zoned.cast(pa.timestamp("us", "UTC"))

    def dates(self, time: Array) -> pa.Array:
        """Return the day of times, in the store's time zone."""
        return pa.array(np.datetime64(self.start) + np.floor(time).astype(np.int64))

    def code_of(self, sale: Promotion, year: int) -> str:
        """Return a promotion's code."""
        return f"{sale.code}{year % 100}"
