"""How much customers spend: the Gamma-Gamma model of monetary value.

A customer's orders vary around a mean of their own (gamma), and the means differ between customers
(inverse gamma). It assumes that how much someone spends says nothing of how often they buy.

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
from scipy.optimize import minimize
from scipy.special import gammaln

from models.purchases import FitError

Array = NDArray[np.float64]

MAX_P, MIN_Q, MAX_Q = 1000.0, 1.05, 1000.0  # beyond these the shapes tell nothing more


@dataclass(frozen=True)
class Spend:
    """A fitted Gamma-Gamma model.

    Attributes
    ----------
    p
        Shape of an order's value around the customer's mean.
    q, gamma
        Shape and scale (currency) of the means' distribution; a finite mean needs ``q > 1``.
    """

    p: float
    q: float
    gamma: float

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
        p, q, gamma = self.p, self.q, self.gamma
        return np.asarray(
            gammaln(p * x + q)
            - gammaln(p * x)
            - gammaln(q)
            + q * np.log(gamma)
            + (p * x - 1) * np.log(m)
            + p * x * np.log(x)
            - (p * x + q) * np.log(gamma + m * x)
        )

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
        x, m = np.asarray(x, dtype=np.float64), np.asarray(m, dtype=np.float64)
        own = np.where(m > 0, x, 0.0)
        return np.asarray(self.p * (self.gamma + own * m) / (self.p * own + self.q - 1))

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
    notes
        What a reader must know, for instance that nobody's orders differ in value.
    """

    model: Spend
    log_likelihood: float
    customers: int
    notes: tuple[str, ...] = ()


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
        The most likely of the optima found from several starts; where there is none inside, the
        best at the bounds of :data:`MAX_P`, :data:`MIN_Q` and :data:`MAX_Q`, which `notes` says.

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
    if not (np.isfinite(m).all() and (m > 0).all() and (x > 0).all()):
        raise FitError(
            "Gamma-Gamma needs positive x and m: some are not. Leave these customers out"
        )
    scale = float(np.average(m, weights=n))
    models = _fit_with_lifetimes(x, m / scale, n, scale)
    inner = [model for model in models if model.q > MIN_Q and model.p < MAX_P]
    best = max(
        inner or [_fit_in_bounds(x, m / scale, n, scale)],
        key=lambda model: float((n * model.log_likelihood(x, m)).sum()),
    )
    log_likelihood = float((n * best.log_likelihood(x, m)).sum())
    if not np.isfinite(log_likelihood):
        raise FitError(
            f"Gamma-Gamma did not fit {int(n.sum()):,} repeat customers: the likelihood is not "
            "finite. Look for a few giant orders"
        )
    return SpendFit(best, log_likelihood, int(n.sum()), _notes(best))


def _notes(model: Spend) -> tuple[str, ...]:
    """Say where the optimum lies at a bound."""
    said = []
    if model.p >= 0.99 * MAX_P:
        said.append("a customer's orders hardly differ in value")
    if model.q >= 0.99 * MAX_Q:
        said.append("customers hardly differ in what they spend")
    if model.q <= 1.01 * MIN_Q:
        said.append("a few giant customers: the mean order value is barely finite")
    return tuple(said)


def _fit_in_bounds(x: Array, m: Array, n: Array, scale: float) -> Spend:
    """Maximize the likelihood where it has no inner optimum, as with a single price."""

    def loss(log_params: Array) -> float:
        value = -(n * Spend(*np.exp(log_params)).log_likelihood(x, m)).sum() / n.sum()
        return float(value) if np.isfinite(value) else 1e10

    bounds = np.log([(0.01, MAX_P), (MIN_Q, MAX_Q), (1e-4, 10 * MAX_Q)])
    starts = ([1.0, 1.3, 0.7], [3.0, 3.0, 3.0])
    fits = [minimize(loss, start, method="L-BFGS-B", bounds=bounds) for start in starts]
    p, q, gamma = np.exp(min(fits, key=lambda fit: float(fit.fun)).x)
    return Spend(float(p), float(q), float(gamma) * scale)


def _fit_with_lifetimes(x: Array, m: Array, n: Array, scale: float) -> list[Spend]:
    from lifetimes import GammaGammaFitter  # costs two seconds, only training needs it
    from lifetimes.utils import ConvergenceError

    models = []
    for start in ([1.0, 1.0, 0.0], [2.0, 1.3, 1.0], [0.0, 3.0, 2.0]):  # log p, log q, log gamma
        fitter = GammaGammaFitter()
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter(
                "ignore"
            )  # trial steps overflow on the way; the result is checked
            try:
                fitter.fit(x, m, weights=n, initial_params=start)
            except (ConvergenceError, np.linalg.LinAlgError):
                continue
        p, q, v = (float(fitter.params_[name]) for name in ("p", "q", "v"))
        if np.isfinite([p, q, v]).all():
            models.append(Spend(p, q, v * scale))
    return models
