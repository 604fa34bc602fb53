"""What every purchase model answers, and what it needs to be fitted.

Times are days; the papers' ``x``, ``t_x`` and ``T`` are our `frequency`, `recency_days` and
`age_days`: repeat purchases, days from the first to the last purchase, days observed.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize.elementwise import find_root
from scipy.special import betainc

from models.cells import distinct
from models.pieces import by_rows

Array = NDArray[np.float64]

ROWS, MOMENT_ROWS = 1024, 4096  # computed at once, in the processor's own memory
NEGLIGIBLE = 1e-14  # share of the chance of any order from which on further ones are not counted
RARE = 1e-8  # the same, where a spread is asked for
MAX_COUNT = 100_000  # of orders that a horizon is thought to hold
NEVER_DAYS = 1e7  # what takes longer is called never
MANY = 1000  # histories from which on those alike are looked for
SMALL = 1e-6  # share of the last chance computed by itself, below which the next one is
EXTREME = 100.0  # a shape beyond it, or below its inverse, tells that customers do not differ
NO_DROPOUT = "no dropout identified: the history does not show anybody leaving"
SURE = 600.0  # exponent from which on exp(-exponent) is too small for a recurrence to start with


class PurchaseModel(ABC):
    """A fitted model of when customers buy.

    Methods take `x, t_x, T`, arrays of shape (n,), and return arrays of shape (n,). What is returned
    for a customer does not depend on who else is in the arrays.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    free: ClassVar[tuple[str, ...]]  # parameters that are fitted, all positive
    times: ClassVar[
        tuple[str, ...]
    ]  # those among them that are in days; never per day, since fits scale them
    leaving: ClassVar[tuple[str, ...]] = ()  # those that have no estimate where no dropout shows
    can_leave: ClassVar[bool] = True  # whether customers may leave for good
    lifetimes_fitter: ClassVar[str | None] = None  # class of `lifetimes` that fits this model
    is_regular: ClassVar[bool] = False  # fitted only where gaps between purchases are regular

    @abstractmethod
    def gradient(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> tuple[Array, Array]:
        """Log-likelihood of each history, shape (n,), and its derivatives, shape (free parameters, n)."""

    @classmethod
    @abstractmethod
    def starts(cls, rate: float) -> list[tuple[float, ...]]:
        """Return parameters that a fit starts from, in the order of ``free``.

        Parameters
        ----------
        rate
            Purchases per customer and unit of time, the longest history; with a k, its random moments.
        """

    @abstractmethod
    def notes(self, at_bound: Collection[str]) -> tuple[str, ...]:
        """Return what the data cannot tell of a fit, :data:`NO_DROPOUT` if nobody is seen to leave.

        Parameters
        ----------
        at_bound
            Names of the parameters that are at a bound of the fit.
        """

    @abstractmethod
    def p_alive(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Chance that a customer has not left for good, shape (n,), in [0, 1]."""

    @abstractmethod
    def active_tails(self, days: ArrayLike, x: ArrayLike, T: ArrayLike) -> Iterator[Array]:
        """Yield what :meth:`tails` does of someone who is active, by phase, each of shape (phases, n).

        When the last purchase was tells whether somebody is active, and in which phase, and no more.
        """

    @abstractmethod
    def active_orders(self, days: ArrayLike, x: ArrayLike, T: ArrayLike) -> Array:
        """Purchases expected in the next `days` days of someone who is active, by phase, (phases, n)."""

    def active(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Chances of being active in each phase between two purchases, shape (phases, n); one, as a rule."""
        return self.p_alive(x, t_x, T)[None]

    def tails(
        self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
    ) -> Iterator[Array]:
        """Yield the chances of at least 1, 2, 3, ... purchases in the next `days` days.

        Parameters
        ----------
        days
            Length of the window, 0 or more.
        x, t_x, T
            Arrays of shape (n,).

        Yields
        ------
        Array
            Shape (n,), in [0, 1], never rising.
        """
        days, x, t_x, T = as_arrays(days, x, t_x, T)
        share = self.active(x, t_x, T)
        for tail in self.active_tails(days, x, T):
            yield mean_by_phase(share, tail)

    def expected_orders(
        self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike
    ) -> Array:
        """Purchases expected in the next `days` days.

        Parameters
        ----------
        days
            Length of the window, 0 or more.
        x, t_x, T
            Arrays of shape (n,).

        Returns
        -------
        Array
            Shape (n,), 0 or more.
        """
        x, t_x, T = as_arrays(x, t_x, T)
        share = self.active(x, t_x, T)  # once, where there are several windows
        if np.size(days) == 1 and x.ndim == 1 and len(x) >= MANY:
            alike, where = distinct(x, T)
            return mean_by_phase(share, self.active_orders(days, *alike)[:, where])
        days, x, T = as_arrays(days, x, T)
        return mean_by_phase(share, self.active_orders(days, x, T))

    def log_likelihood(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Log-likelihood of each history, shape (n,)."""
        return self.gradient(x, t_x, T)[0]

    def p_order(self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Chance of at least one purchase in the next `days` days, shape (n,), in [0, 1]."""
        return by_rows(lambda *of: next(self.tails(*of)), *as_arrays(days, x, t_x, T), size=ROWS)

    def days_until(self, chance: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Days after which a purchase has been made with a given chance.

        Parameters
        ----------
        chance
            In (0, 1), a number or an array of shape (n,).
        x, t_x, T
            Arrays of shape (n,).

        Returns
        -------
        Array
            Shape (n,); infinite where a purchase is never so likely.
        """
        chance, *history = as_arrays(chance, x, t_x, T)

        def short_of(log_days: Array, *of: Array) -> Array:
            wanted, *reached = of
            return self.p_order(np.expm1(log_days), *reached) - wanted

        is_reached = self.p_order(NEVER_DAYS, *history) > chance
        days = np.full(chance.shape, np.inf)
        if is_reached.any():
            reached = [column[is_reached] for column in (chance, *history)]
            ends = (np.zeros(len(reached[0])), np.full(len(reached[0]), np.log1p(NEVER_DAYS)))
            days[is_reached] = np.expm1(find_root(short_of, ends, args=tuple(reached)).x)
        return days

    def median_days(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Days until the next purchase is as likely made as not; infinite where never is likelier."""
        return self.days_until(0.5, x, t_x, T)

    def distribution(
        self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, largest: int
    ) -> Array:
        """Chance of each number of purchases in the next `days` days.

        Parameters
        ----------
        days
            Length of the window, 0 or more.
        x, t_x, T
            Arrays of shape (n,).
        largest
            Number of purchases up to which chances are told.

        Returns
        -------
        Array
            Shape (n, largest + 1): of 0, 1, ..., `largest` purchases.
        """
        above = [np.ones(as_arrays(days, x, t_x, T)[0].shape)]
        for tail in self.tails(days, x, t_x, T):
            above.append(tail)
            if len(above) == largest + 2:
                break
        return np.maximum(-np.diff(np.stack(above, axis=-1), axis=-1), 0.0)

    def moments(self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Return what the spread of the number n of purchases in the next `days` days is made of.

        Parameters
        ----------
        days
            Length of the window, 0 or more.
        x, t_x, T
            Arrays of shape (n,).

        Returns
        -------
        Array
            Shape (3, n): the chance of any, the mean of n, and the mean of n (n - 1); within 1e-6 of
            the exact ones.
        """
        x, t_x, T = as_arrays(x, t_x, T)
        share, alike, where = self.active(x, t_x, T), [x, T], None
        if np.shape(days)[-1:] in ((), (1,)) and x.ndim == 1 and len(x) >= MANY:
            alike, where = distinct(x, T)
        moments = by_rows(self._active_moments, *as_arrays(days, *alike), size=MOMENT_ROWS)
        moments = moments if where is None else moments[..., where]
        return np.stack([mean_by_phase(share, of) for of in moments])

    def _active_moments(self, days: Array, x: Array, T: Array) -> Array:
        """Return :meth:`moments` of someone who is active, by phase, shape (3, phases, n)."""
        tails = self.active_tails(days, x, T)
        first = next(tails)
        mean, pairs = first.copy(), np.zeros(first.shape)
        for count, tail in enumerate(tails, start=2):
            mean += tail
            pairs += 2 * (count - 1) * tail
            if count > MAX_COUNT or not (tail > RARE * first).any():
                break
        return np.stack([first, mean, pairs])

    @property
    def kind(self) -> str:
        """The model's name, with its k where it has one."""
        k = self.to_dict().get("k")
        return self.name if k is None else f"{self.name}_{k:.0f}"

    def to_dict(self) -> dict[str, float]:
        """Return the parameters by name."""
        parameters: dict[str, float] = asdict(self)  # type: ignore[call-overload]
        return parameters


def rate_starts(
    rate: float, others: Sequence[tuple[float, ...]] = ((),)
) -> list[tuple[float, ...]]:
    """Return starts of a gamma distributed rate whose mean is `rate`, each with each of the others."""
    return [(shape, shape / rate, *other) for shape in (0.3, 1.0) for other in others]


def rate_notes(shape: float) -> tuple[str, ...]:
    """Say whether customers differ in their rate of buying, by its gamma distribution's shape."""
    return ("customers hardly differ in how often they buy",) if shape > EXTREME else ()


def as_arrays(*columns: ArrayLike) -> tuple[Array, ...]:
    """Return columns as arrays of numbers, all of one shape."""
    return np.broadcast_arrays(*(np.asarray(c, dtype=np.float64) for c in columns))


def mean_by_phase(share: Array, answers: Array) -> Array:
    """Return the mean of what is said of someone active, by phase: shapes (phases, n) to (n,).

    A sum term by term, not a matrix product, whose last digits would depend on the batch.
    """
    total = share[0] * answers[0]
    for part, answer in zip(share[1:], answers[1:], strict=True):
        total = total + part * answer
    return np.asarray(total)


def sum_of(tails: Iterator[Array]) -> Array:
    """Sum the chances of at least 1, 2, 3, ...: the mean number."""
    first = next(tails)
    total = first.copy()
    for count, tail in enumerate(tails):
        some = np.where(tail > NEGLIGIBLE * first, tail, 0.0)
        total += some
        if count > MAX_COUNT or not some.any():
            break
    return total


def at_least(odds: Array, shape: Array) -> Iterator[Array]:
    """Yield the chances of at least 0, 1, 2, ... events at a rate that is gamma distributed.

    Parameters
    ----------
    odds
        Length of the window over the distribution's rate parameter.
    shape
        Its shape parameter, an array of the same form.

    Notes
    -----
    Negative binomial, by its recurrence, and by the incomplete beta function where little is left; where
    the chance of none is too small to start with, by the recurrence of the logarithms.
    """
    odds, shape = as_arrays(odds, shape)
    exponent, z = shape * np.log1p(odds), odds / (1 + odds)
    mass, above, n = np.exp(-exponent), np.ones(z.shape), 0
    exact = above.copy()
    is_sure = exponent > SURE
    log_mass, many, log_z = -exponent[is_sure], shape[is_sure], np.log(z[is_sure])
    while True:
        yield above
        above = np.maximum(above - mass, 0.0)
        is_small = above < SMALL * exact  # where differences have lost their digits
        if is_small.any():
            above[is_small] = exact[is_small] = betainc(n + 1, shape[is_small], z[is_small])
        mass = mass * z * (n + shape) / (n + 1)
        if many.size:
            log_mass = log_mass + log_z + np.log((n + many) / (n + 1))
            mass[is_sure] = np.exp(log_mass)
        n += 1
