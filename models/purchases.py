"""When customers buy: the BG/NBD model of Fader, Hardie & Lee (2005).

While active, a customer buys at random with a rate that differs between customers (gamma, `r` and
`alpha`), and after any purchase leaves for good with a chance that differs too (beta, `a` and
`b`). Times are days; the papers' ``x``, ``t_x`` and ``T`` are our `frequency`, `recency_days` and
`age_days`.

References
----------
.. [1] Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way: An Alternative to the
   Pareto/NBD Model, Marketing Science 24(2), 275-284.
.. [2] Fader, Hardie & Lee (2008), Computing P(alive) Using the BG/NBD Model, note 021.
"""

import contextlib
import io
import warnings
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import minimize
from scipy.special import gammaln

Array = NDArray[np.float64]

NODES = 64  # of the mean over the dropout chance: within 1e-9 of 40-digit integration up to a year
LOG_BOUNDS = [(-9.0, 7.0), (-9.0, 7.0), (-9.0, 7.0), (-9.0, 9.0)]  # r, alpha / days watched, a, b
EXTREME = 100.0  # a shape beyond it, or below its inverse, tells that customers do not differ


class FitError(ValueError):
    """A model cannot be fitted: says the rule, the finding, the next step."""


@dataclass(frozen=True)
class Purchases:
    """A fitted BG/NBD model.

    Attributes
    ----------
    r, alpha
        Shape and rate (days) of the purchase rate's gamma distribution.
    a, b
        Parameters of the dropout chance's beta distribution.
    """

    r: float
    alpha: float
    a: float
    b: float

    def log_likelihood(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Log-likelihood of each history.

        Parameters
        ----------
        x, t_x, T
            Arrays of shape (n,): repeat purchases, days from first to last purchase, days observed.

        Returns
        -------
        Array
            Shape (n,).

        References
        ----------
        [1]_, equation (3), with the terms summed on the log scale.
        """
        x, t_x, T = (np.asarray(v, dtype=np.float64) for v in (x, t_x, T))
        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        buys = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
        stays = gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
        active = -(r + x) * np.log(alpha + T)
        with np.errstate(divide="ignore"):
            left = np.where(
                x > 0,
                np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + t_x),
                -np.inf,
            )
        return np.asarray(buys + stays + np.logaddexp(active, left))

    def p_alive(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Chance that a customer has not left for good.

        Parameters
        ----------
        x, t_x, T
            Arrays of shape (n,): repeat purchases, days from first to last purchase, days observed.

        Returns
        -------
        Array
            Shape (n,), in [0, 1]; 1 for one-time buyers, who by assumption had no moment to leave.

        References
        ----------
        [2]_, equation (1).
        """
        x, t_x, T = (np.asarray(v, dtype=np.float64) for v in (x, t_x, T))
        log_odds_left = (
            np.log(self.a)
            - np.log(self.b + np.maximum(x, 1) - 1)
            + (self.r + x) * (np.log(self.alpha + T) - np.log(self.alpha + t_x))
        )
        return np.where(x > 0, 1 / (1 + np.exp(np.minimum(log_odds_left, 700))), 1.0)

    def p_order(self, days: float, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Chance of at least one purchase in the next `days` days.

        Parameters
        ----------
        days
            Length of the window, 0 or more.
        x, t_x, T
            Arrays of shape (n,): repeat purchases, days from first to last purchase, days observed.

        Returns
        -------
        Array
            Shape (n,), in [0, 1].

        Notes
        -----
        Someone who is active stays so until the next purchase, so it is the chance of being active
        times 1 - ((alpha + T) / (alpha + T + days))^(r + x).
        """
        x, T = np.asarray(x, dtype=np.float64), np.asarray(T, dtype=np.float64)
        silent = -np.expm1((self.r + x) * -np.log1p(days / (self.alpha + T)))
        return self.p_alive(x, t_x, T) * silent

    def expected_orders(self, days: float, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Purchases expected in the next `days` days.

        Parameters
        ----------
        days
            Length of the window, 0 or more.
        x, t_x, T
            Arrays of shape (n,): repeat purchases, days from first to last purchase, days observed.

        Returns
        -------
        Array
            Shape (n,), 0 or more.

        Notes
        -----
        Equal to equation (10) of [1]_, but computed as the mean of
        (1 - (1 + p days / (alpha + T))^-(r + x)) / p over the dropout chance p, which is beta
        distributed with a and b + x for someone active. Unlike the closed form it has no poles at
        a = 1 and a + b + x = 1 and does not overflow for hundreds of purchases.
        """
        x, t_x, T = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (x, t_x, T)))
        mean = np.empty(x.shape)
        for count in np.unique(x):
            p, weight = _beta_nodes(self.a, self.b + count)
            rows = x == count
            base = np.log1p(np.multiply.outer(days / (self.alpha + T[rows]), p))
            # A sum by row, not a matrix product, whose last digits would depend on the batch.
            mean[rows] = (-np.expm1(-(self.r + count) * base) * (weight / p)).sum(axis=-1)
        return self.p_alive(x, t_x, T) * mean

    def median_days(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Days until the next purchase is as likely made as not.

        Parameters
        ----------
        x, t_x, T
            Arrays of shape (n,): repeat purchases, days from first to last purchase, days observed.

        Returns
        -------
        Array
            Shape (n,); infinite where the customer more likely never buys again.
        """
        x, T = np.asarray(x, dtype=np.float64), np.asarray(T, dtype=np.float64)
        alive = self.p_alive(x, t_x, T)
        with np.errstate(divide="ignore", over="ignore"):
            log_silence = np.log1p(-np.minimum(0.5 / np.maximum(alive, 0.5), 1))
            days = (self.alpha + T) * np.expm1(-log_silence / (self.r + x))
        return np.where(alive > 0.5, days, np.inf)

    def to_dict(self) -> dict[str, float]:
        """Return the parameters by name."""
        return asdict(self)


@dataclass(frozen=True)
class PurchasesFit:
    """A model and how well it fits.

    Attributes
    ----------
    model
        The fitted model.
    log_likelihood
        Sum over customers at the data's own time scale.
    customers
        Number of customers.
    notes
        What a reader must know, for instance that no dropout could be identified.
    """

    model: Purchases
    log_likelihood: float
    customers: int
    notes: tuple[str, ...] = ()


def fit_purchases(
    x: ArrayLike, t_x: ArrayLike, T: ArrayLike, customers: ArrayLike | None = None
) -> PurchasesFit:
    """Fit BG/NBD by maximum likelihood.

    Parameters
    ----------
    x, t_x, T
        Arrays of shape (n,): repeat purchases, days from first to last purchase, days observed, of
        each distinct state.
    customers
        Array of shape (n,): how many customers share the state; 1 by default.

    Returns
    -------
    PurchasesFit
        Parameters in days.

    Raises
    ------
    FitError
        Impossible histories, no time observed, or nobody who came back.
    """
    x, t_x, T = (np.asarray(v, dtype=np.float64) for v in (x, t_x, T))
    n = np.ones(len(x)) if customers is None else np.asarray(customers, dtype=np.float64)
    _check_histories(x, t_x, T)
    found = [_summarize(model, x, t_x, T, n) for model in _fit_with_lifetimes(x, t_x, T, n)]
    if not found or found[0].notes:
        found.append(_summarize(_fit_in_bounds(x, t_x, T, n), x, t_x, T, n))
    return max(found, key=lambda fit: fit.log_likelihood)


def _check_histories(x: Array, t_x: Array, T: Array) -> None:
    if not (np.isfinite(x).all() and np.isfinite(t_x).all() and np.isfinite(T).all()):
        raise FitError("purchase histories must be finite numbers: some are not. Check the orders")
    wrong = (x < 0) | (x != np.floor(x)) | (t_x < 0) | (t_x > T) | ((x == 0) & (t_x != 0))
    if wrong.any():
        raise FitError(
            "purchase histories need whole x >= 0 and 0 <= t_x <= T: "
            f"{int(wrong.sum()):,} of {len(x):,} do not. Check the orders"
        )
    if not len(x) or not (T > 0).any():
        raise FitError(
            "BG/NBD needs some days of history: nobody was seen for longer than the first day. "
            "Add older orders"
        )
    if not (x > 0).any():
        raise FitError(
            "BG/NBD needs customers who came back: nobody has a second purchase day. Add older orders"
        )


def _fit_with_lifetimes(x: Array, t_x: Array, T: Array, n: Array) -> list[Purchases]:
    """Return lifetimes' optimum, if it finds one."""
    from lifetimes import BetaGeoFitter  # costs two seconds, only training needs it
    from lifetimes.utils import ConvergenceError

    fitter = BetaGeoFitter()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # trial steps overflow on the way; the result is checked
        try:
            fitter.fit(x, t_x, T, weights=n)
        except (ConvergenceError, np.linalg.LinAlgError):
            return []
    params = [float(fitter.params_[name]) for name in ("r", "alpha", "a", "b")]
    return [Purchases(*params)] if np.isfinite(params).all() else []


def _fit_in_bounds(x: Array, t_x: Array, T: Array, n: Array) -> Purchases:
    """Maximize the likelihood inside wide bounds: where there is no dropout the optimum is at one."""
    scale = float(T.max())

    def loss(log_params: Array) -> float:
        model = Purchases(*np.exp(log_params))
        return float(-(n * model.log_likelihood(x, t_x / scale, T / scale)).sum() / n.sum())

    starts = [np.log([0.5, 0.5, 0.1, 1.0]), np.log([1.0, 0.1, 1.0, 3.0])]
    fits = [minimize(loss, start, method="L-BFGS-B", bounds=LOG_BOUNDS) for start in starts]
    r, alpha, a, b = np.exp(min(fits, key=lambda fit: float(fit.fun)).x)
    return Purchases(float(r), float(alpha) * scale, float(a), float(b))


def _summarize(model: Purchases, x: Array, t_x: Array, T: Array, n: Array) -> PurchasesFit:
    log_likelihood = float((n * model.log_likelihood(x, t_x, T)).sum())
    if not np.isfinite(log_likelihood):
        raise FitError("BG/NBD did not fit: the likelihood is not finite. Check the orders")
    return PurchasesFit(model, log_likelihood, int(n.sum()), _notes(model))


def _notes(model: Purchases) -> tuple[str, ...]:
    """Say what the data cannot tell."""
    said = []
    if model.a / (model.a + model.b) < 0.001:
        said.append("no dropout identified: the history does not show anybody leaving")
    elif max(model.a, model.b) > EXTREME:
        said.append("customers hardly differ in their chance of leaving")
    elif min(model.a, model.b) < 1 / EXTREME:
        said.append("customers leave after one purchase or never, as far as the history tells")
    if model.r > EXTREME:
        said.append("customers hardly differ in how often they buy")
    return tuple(said)


def _beta_nodes(a: float, b: float) -> tuple[Array, Array]:
    """Nodes in (0, 1) and weights, summing to 1, of a mean over a beta(a, b) distribution.

    Golub & Welsch (1969) on the Jacobi recurrence, which does not overflow for a large `b`.
    """
    k = np.arange(1, NODES, dtype=np.float64)
    s = 2 * k + a + b - 2
    diagonal = np.r_[a / (a + b), (1 + ((a - 1) ** 2 - (b - 1) ** 2) / (s * (s + 2))) / 2]
    ends = np.r_[1.0, (k[1:] + a + b - 2) / (s[1:] - 1)]  # the first is 0 / 0 where a + b = 1
    off = np.sqrt(k * (k + a - 1) * (k + b - 1) * ends / (s**2 * (s + 1)))
    nodes, vectors = eigh_tridiagonal(diagonal, off)
    return np.maximum(nodes, 1e-18), np.asarray(vectors[0] ** 2)
