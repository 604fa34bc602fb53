"""How much customers spend: the Gamma-Gamma model of monetary value.

A customer's orders vary around a mean of their own (gamma), and the means differ between customers
(inverse gamma). It assumes that how much someone spends says nothing of how often they buy; where it
does, means are first divided by a power of the number of orders.

References
----------
.. [1] Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value, note 025.
"""

import contextlib
import io
import warnings
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, gammaincinv, gammaln, ndtr

from models.cells import distinct, runs
from models.likelihood import log_covariance, most_likely, standard_errors
from models.purchases import FitError

Array = NDArray[np.float64]

LOW, HIGH = np.array([0.01, 1.05, 1e-4]), np.array([1000.0, 1000.0, 1e4])  # of p, q, gamma / mean
STARTS = ([1.0, 1.3, 0.7], [3.0, 3.0, 3.0], [6.0, 4.0, 2.0])
MAX_RANK_CORRELATION, MAX_ETA_SQUARED = 0.30, 0.25  # from which on spend depends on frequency
GIANT_SPREADS, LEAST_SPREAD = 8.0, 0.5  # log means farther from the median are capped for the fit
COARSE = 20  # steps of the log mean, to a factor e, that it is rounded to for lifetimes


@dataclass(frozen=True)
class Spend:
    """A fitted Gamma-Gamma model.

    Attributes
    ----------
    p
        Shape of an order's value around the customer's mean.
    q, gamma
        Shape and scale (currency) of the means' distribution; a finite mean needs ``q > 1``.
    slope
        Power of the number of repeat orders that means are divided by; 0 where spend does not depend
        on frequency.
    """

    p: float
    q: float
    gamma: float
    slope: float = 0.0

    @property
    def mean(self) -> float:
        """Mean order value over all customers, store's currency."""
        return self.p * self.gamma / (self.q - 1)

    def log_likelihood(self, x: ArrayLike, m: ArrayLike) -> Array:
        """Log-likelihood of each customer's mean.

        Parameters
        ----------
        x, m
            Arrays of shape (n,): number of orders averaged, and their mean value; both positive.

        Returns
        -------
        Array
            Shape (n,).

        References
        ----------
        [1]_, equation (1a).
        """
        x, m = np.asarray(x, dtype=np.float64), np.asarray(m, dtype=np.float64)
        lift = self.lift(x)
        return self._gradient(x, m / lift)[0] - np.log(lift)

    def _gradient(self, x: Array, m: Array) -> tuple[Array, Array]:
        """Log-likelihood of means that are already divided, and its derivatives in p, q and gamma."""
        p, q, gamma = self.p, self.q, self.gamma
        counts, at = runs(x)
        log_x, log_sum = np.log(x), np.log(gamma + m * x)
        of_count = gammaln(p * counts + q) - gammaln(p * counts) - gammaln(q) + q * np.log(gamma)
        value = of_count[at] + (p * x - 1) * np.log(m) + p * x * log_x - (p * x + q) * log_sum
        both = digamma(p * counts + q)
        derivatives = np.stack(
            [
                x * ((both - digamma(p * counts))[at] + np.log(m) + log_x - log_sum),
                (both - digamma(q) + np.log(gamma))[at] - log_sum,
                q / gamma - (p * x + q) / (gamma + m * x),
            ]
        )
        return value, derivatives

    def lift(self, x: ArrayLike) -> Array:
        """Return what means are divided by, shape (n,): 1 where spend does not depend on frequency."""
        return np.asarray(np.maximum(np.asarray(x, dtype=np.float64), 1.0) ** self.slope)

    def of_customer(self, x: ArrayLike, m: ArrayLike) -> tuple[Array, Array]:
        """Return what is known of each customer's rate: shape and scale of its gamma distribution.

        Parameters
        ----------
        x, m
            Arrays of shape (n,): number of orders averaged, and their mean value; x = 0 for none.

        Returns
        -------
        tuple
            Arrays of shape (n,): q + p x, and gamma + x m in the store's currency. Over the scale, the
            sum of k orders is beta prime distributed with p k and the shape.

        References
        ----------
        [1]_, section 3.
        """
        x, m = np.asarray(x, dtype=np.float64), np.asarray(m, dtype=np.float64)
        own, lift = np.where(m > 0, x, 0.0), self.lift(x)
        return self.q + self.p * own, lift * self.gamma + own * m

    def expected_order_value(self, x: ArrayLike, m: ArrayLike) -> Array:
        """Mean value of a customer's next orders.

        Parameters
        ----------
        x, m
            Arrays of shape (n,): number of orders averaged, and their mean value; x = 0 for none.

        Returns
        -------
        Array
            Shape (n,), store's currency: the own mean, shrunk towards everyone's.

        References
        ----------
        [1]_, equation (5).
        """
        shape, scale = self.of_customer(x, m)
        return self.p * scale / (shape - 1)

    def low_order_value(self, x: ArrayLike, m: ArrayLike, deviations: float) -> Array:
        """Mean value of a customer's next orders, taken low by what is not known of the customer.

        Parameters
        ----------
        x, m
            As for :meth:`expected_order_value`.
        deviations
            0 or more: standard deviations of a normal distribution, 1 = the lowest sixth.

        Returns
        -------
        Array
            Shape (n,), store's currency: what is expected, times that quantile of the customer's mean
            over its median; the fewer orders are known, the lower.
        """
        shapes, at = runs(self.of_customer(x, m)[0])
        share = gammaincinv(shapes, 0.5) / gammaincinv(shapes, float(ndtr(deviations)))
        return np.asarray(self.expected_order_value(x, m) * share[at])

    def to_dict(self) -> dict[str, float]:
        """Return the parameters by name."""
        return asdict(self)


@dataclass(frozen=True)
class SpendFit:
    """A model and how well it fits.

    Attributes
    ----------
    model
        The fitted model.
    log_likelihood
        Sum over repeat customers.
    customers
        Number of repeat customers.
    rank_correlation, eta_squared
        Of frequency and mean spend: Spearman's, and the share of the log means' variance between
        customers of different frequency. The model assumes both to be 0.
    covariance
        Of the logarithms of p, q and gamma; 0 for one at its bound.
    notes
        What a reader must know, for instance that nobody's orders differ in value.
    """

    model: Spend
    log_likelihood: float
    customers: int
    rank_correlation: float
    eta_squared: float
    covariance: Array
    notes: tuple[str, ...] = ()

    @property
    def standard_errors(self) -> dict[str, float]:
        """Standard errors by parameter; NaN for one at its bound."""
        estimate = np.array([self.model.p, self.model.q, self.model.gamma])
        errors = standard_errors(estimate, self.covariance)
        return dict(zip(("p", "q", "gamma"), errors.tolist(), strict=True))


def fit_spend(x: ArrayLike, m: ArrayLike, customers: ArrayLike | None = None) -> SpendFit:
    """Fit Gamma-Gamma by maximum likelihood, to repeat customers only.

    Parameters
    ----------
    x, m
        Arrays of shape (n,): number of repeat purchases, and their mean value, store's currency.
    customers
        Array of shape (n,): how many customers share both; 1 by default.

    Returns
    -------
    SpendFit
        The most likely of what several starts lead to, ``lifetimes``' own optimum on rounded means
        among them, with q > 1; an optimum at a bound is in `notes`, as is a few customers' spend
        that was capped for the fit, and spend that depends on frequency.

    Raises
    ------
    FitError
        Fewer than two repeat customers, or values that are not positive.
    """
    x, m = np.asarray(x, dtype=np.float64), np.asarray(m, dtype=np.float64)
    n = np.ones(len(x)) if customers is None else np.asarray(customers, dtype=np.float64)
    if n.sum() < 2:
        raise FitError(
            f"Gamma-Gamma needs repeat customers: {int(n.sum())} have a repeat purchase of positive "
            "value. Add older orders"
        )
    if not (np.isfinite(x).all() and np.isfinite(m).all() and (m > 0).all() and (x > 0).all()):
        raise FitError(
            "Gamma-Gamma needs positive x and m: some are not. Leave these customers out"
        )
    order = np.lexsort((m, x))  # sums do not depend on the order of the rows
    x, m, n = x[order], m[order], n[order]
    rank_correlation, eta_squared = dependence(x, m, n)
    depends = abs(rank_correlation) >= MAX_RANK_CORRELATION or eta_squared >= MAX_ETA_SQUARED
    slope = _slope(x, m, n) if depends else 0.0
    divided = m / x**slope
    capped = np.minimum(divided, _cap(divided, n))
    model, log_params = _most_likely(x, capped, n, slope)
    log_likelihood = float((n * model.log_likelihood(x, m)).sum())
    if not np.isfinite(log_likelihood):
        raise FitError(
            f"Gamma-Gamma did not fit {int(n.sum()):,} repeat customers: the likelihood is not "
            "finite. Look for a few giant orders"
        )
    notes = _notes(model, log_params, depends=depends, giants=int(n[capped < divided].sum()))
    return SpendFit(
        model,
        log_likelihood,
        int(n.sum()),
        rank_correlation,
        eta_squared,
        _covariance(x, capped, n, log_params),
        notes,
    )


def dependence(x: Array, m: Array, customers: Array) -> tuple[float, float]:
    """Measure how much mean spend depends on frequency.

    Parameters
    ----------
    x, m, customers
        Arrays of shape (n,): orders averaged, their mean, and how many customers share both.

    Returns
    -------
    tuple of float
        Spearman's rank correlation, and the share of the log means' variance that lies between
        customers of different frequency, less what chance would give; both 0 where nothing varies.
    """
    total = customers.sum()
    ranks = []
    for values in (x, m):
        _, place = np.unique(values, return_inverse=True)
        counts = np.bincount(place, weights=customers)
        middle = np.cumsum(counts) - counts / 2
        ranks.append(middle[place] - np.average(middle[place], weights=customers))
    spread = np.sqrt((customers * ranks[0] ** 2).sum() * (customers * ranks[1] ** 2).sum())
    rank_correlation = float((customers * ranks[0] * ranks[1]).sum() / spread) if spread else 0.0
    _, group = np.unique(x, return_inverse=True)
    log_m = np.log(m) - np.average(np.log(m), weights=customers)
    means = np.bincount(group, weights=customers * log_m) / np.bincount(group, weights=customers)
    within = float((customers * (log_m - means[group]) ** 2).sum())
    overall = float((customers * log_m**2).sum())
    groups = len(means)
    if overall < 1e-12 * total or total <= groups:
        return rank_correlation, 0.0
    adjusted = 1 - (within / (total - groups)) / (overall / (total - 1))
    return rank_correlation, max(0.0, adjusted)


def _slope(x: Array, m: Array, n: Array) -> float:
    """Regress the log mean on the log number of orders; a mean of many orders tells more."""
    weight, log_x, log_m = n, np.log(x), np.log(m)
    centered = log_x - np.average(log_x, weights=weight)
    variance = float((weight * centered**2).sum())
    return float((weight * centered * log_m).sum() / variance) if variance > 0 else 0.0


def _cap(m: Array, n: Array) -> float:
    """Return the mean from which on a customer counts as a giant: far from the median of the logs."""
    log_m = np.log(m)
    middle = _weighted_median(log_m, n)
    spread = 1.4826 * _weighted_median(np.abs(log_m - middle), n)
    return float(np.exp(middle + GIANT_SPREADS * max(spread, LEAST_SPREAD)))


def _weighted_median(values: Array, weights: Array) -> float:
    order = np.argsort(values, kind="stable")
    above = np.cumsum(weights[order]) >= weights.sum() / 2
    return float(values[order][above.argmax()])


def _most_likely(x: Array, m: Array, n: Array, slope: float) -> tuple[Spend, Array]:
    """Return the most likely model, and the logarithms of its parameters, gamma's over the mean."""
    scale = float(np.average(m, weights=n))
    few = _rounded(x, m / scale, n)
    best, _ = most_likely(
        lambda at: _loss(at, *few),
        lambda at: _loss(at, x, m / scale, n),
        [*np.log(STARTS), *_by_lifetimes(*few)],
        np.log(LOW),
        np.log(HIGH),
    )
    p, q, gamma = np.exp(best)
    return Spend(float(p), float(q), float(gamma) * scale, slope), best


def _loss(log_params: Array, x: Array, m: Array, n: Array) -> tuple[float, Array]:
    """Return the mean negative log-likelihood and its gradient in the parameters' logarithms."""
    params = np.exp(log_params)
    values, derivatives = Spend(*params.tolist())._gradient(x, m)  # noqa: SLF001  # our own module's
    share = n / n.sum()
    return -float((share * values).sum()), -(share * derivatives).sum(axis=1) * params


def _covariance(x: Array, m: Array, n: Array, best: Array) -> Array:
    """Return the covariance of the logarithms of the parameters that lie inside the bounds."""
    scaled, total = m / np.average(m, weights=n), float(n.sum())
    is_free = (best > np.log(LOW) + 0.01) & (best < np.log(HIGH) - 0.01)
    return log_covariance(lambda at: -total * _loss(at, x, scaled, n)[1], best, is_free)


def _rounded(x: Array, m: Array, n: Array) -> tuple[Array, Array, Array]:
    """Round means, so that few customers stand for all: arrays of orders, means and customers."""
    (count, log_mean), where = distinct(x, np.round(COARSE * np.log(m)) / COARSE)
    return count, np.exp(log_mean), np.bincount(where, weights=n).astype(np.float64)


def _by_lifetimes(x: Array, m: Array, n: Array) -> list[Array]:
    """Return lifetimes' optimum, if it finds one."""
    from lifetimes import GammaGammaFitter  # costs two seconds, only training needs it
    from lifetimes.utils import ConvergenceError

    fitter = GammaGammaFitter()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # trial steps overflow on the way; it is only a start
        try:
            fitter.fit(x, m, weights=n)
        except (ConvergenceError, np.linalg.LinAlgError):
            return []
    parameters = np.array([float(fitter.params_[name]) for name in ("p", "q", "v")])
    return [np.log(parameters)] if np.isfinite(parameters).all() and (parameters > 0).all() else []


def _notes(model: Spend, best: Array, *, depends: bool, giants: int) -> tuple[str, ...]:
    """Say where the optimum lies at a bound, and what was done to the data."""
    notes = []
    p, q, _ = np.exp(best)
    if p >= 0.99 * HIGH[0]:
        notes.append("a customer's orders hardly differ in value")
    if q >= 0.99 * HIGH[1]:
        notes.append("customers hardly differ in what they spend")
    if q <= 1.01 * LOW[1]:
        notes.append("a few giant customers: the mean order value is barely finite")
    if depends:
        notes.append(
            "spend depends on frequency: mean order values are taken relative to the number of repeat "
            f"orders to the power {model.slope:.2f}"
        )
    if giants:
        whose = "1 customer's" if giants == 1 else f"{giants:,} customers'"
        notes.append(f"{whose} giant mean spend was capped for the fit")
    return tuple(notes)
