"""Fit purchase models by maximum likelihood, from several starts, and say how sure the result is."""

import contextlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, softmax

from models.cells import counted, distinct
from models.likelihood import EDGE, log_covariance, most_likely, standard_errors
from models.purchases.averaged import Averaged
from models.purchases.family import FAMILY
from models.purchases.geometric import BGNBD, MBGCNBD, BetaGeometric
from models.purchases.model import NO_DROPOUT, Array, PurchaseModel
from models.purchases.prior import Prior

LOG_BOUND = 9.2  # a parameter, times in units of the longest history, lies within e^-9.2 and e^9.2
COARSE = 32  # moments that times are rounded to where starts are looked for
REGULAR = 1.5  # Wheat and Morrison's k from which on gaps are thought to be regular
MIN_K, MAX_K = 2, 12
CLEAR = 0.9  # Akaike's weight from which on the best model is used alone
LEAST_WEIGHT, MAX_MEMBERS = 0.05, 3  # of a model in an average
NO_LIKELIHOOD = 1e10  # stands for a loss that is not finite


class FitError(ValueError):
    """A model cannot be fitted: the message has the problem, the fix and the rule."""


@dataclass(frozen=True)
class Histories:
    """Customers' histories, equal ones counted.

    Attributes
    ----------
    x, t_x, T
        Arrays of shape (n,): repeat purchases, days from the first to the last, days observed.
    customers
        Array of shape (n,): how many share the history.
    """

    x: Array
    t_x: Array
    T: Array
    customers: Array


@dataclass(frozen=True)
class PurchasesFit:
    """A model and how well it fits.

    Attributes
    ----------
    model
        The fitted model, in days.
    log_likelihood
        Sum over customers; comparable between models, whatever the unit of time.
    customers
        Number of customers.
    covariance
        Of the parameters' logarithms, in the order of ``model.free``; 0 for one at its bound. With a
        prior, of the posterior around its mode.
    notes
        What a reader must know, for instance that no dropout could be identified.
    members
        Of an average, the fits that it is made of, the best first; its criteria are those of the best.
    """

    model: PurchaseModel
    log_likelihood: float
    customers: int
    covariance: Array
    notes: tuple[str, ...] = ()
    members: tuple["PurchasesFit", ...] = ()

    @property
    def title(self) -> str:
        """The model's name, with its k where it has one."""
        return self.model.kind

    @property
    def standard_errors(self) -> dict[str, float]:
        """Standard errors by parameter; NaN for one at its bound."""
        if self.members:
            return {
                f"{fit.title}.{name}": error
                for fit in self.members
                for name, error in fit.standard_errors.items()
            }
        parameters = self.model.to_dict()
        estimate = np.array([parameters[name] for name in self.model.free])
        errors = standard_errors(estimate, self.covariance)
        return dict(zip(self.model.free, errors.tolist(), strict=True))

    @property
    def aic(self) -> float:
        """Akaike's criterion: the lower the better."""
        if self.members:
            return self.members[0].aic
        parameters = len(self.model.free) + ("k" in self.model.to_dict())
        return 2 * parameters - 2 * self.log_likelihood


@dataclass(frozen=True)
class Regularity:
    """How regular the gaps between purchases are.

    Attributes
    ----------
    gaps
        Number of gaps between purchase days.
    log_gaps
        Sum of their natural logarithms, of days.
    wheat_k
        1 = at random, more = more regular; NaN where no customer has two gaps that could differ.

    References
    ----------
    Wheat & Morrison (1990), Estimating Purchase Regularity with Two Interpurchase Times, Journal of
    Marketing Research 27(1), 87-93.
    """

    gaps: int
    log_gaps: float
    wheat_k: float

    @classmethod
    def of(
        cls,
        gaps: int,
        log_gaps: float,
        pair_variance: float | None,
        random_variance: float | None,
    ) -> "Regularity":
        """Estimate k from the statistics of :func:`features.regularity.gap_facts`.

        Of two neighboring gaps, each Erlang-k, the first's share of both has variance 1 / (8 k + 4),
        which is 3 / (2 k + 1) times that of random purchases. The ratio R of the observed variance to
        that of random purchases on a grid of whole days gives k = (3 / R - 1) / 2.
        """
        variance, at_random = (
            np.nan if value is None else float(value) for value in (pair_variance, random_variance)
        )
        k = np.nan
        if at_random > 0:
            k = max((3 * at_random / max(variance, 1e-9) - 1) / 2, 0.0)
        return cls(int(gaps), float(log_gaps), float(k))


def fit_purchases(
    x: ArrayLike,
    t_x: ArrayLike,
    T: ArrayLike,
    customers: ArrayLike | None = None,
    *,
    model: type[PurchaseModel] = BGNBD,
    k: int | None = None,
    log_gaps: float = 0.0,
    start: PurchaseModel | None = None,
    prior: Prior | None = None,
) -> PurchasesFit:
    """Fit a purchase model by maximum likelihood, or to the mode of the posterior.

    Parameters
    ----------
    x, t_x, T
        Arrays of shape (n,): repeat purchases, days from first to last purchase, days observed, of
        each distinct state.
    customers
        Array of shape (n,): how many customers share the state; 1 by default.
    model
        Class of the model.
    k, log_gaps
        Of MBG/CNBD-k: the regularity, and the sum of all gaps' logarithms, which makes its
        likelihood comparable with that of another k.
    start
        A model of this kind fitted earlier, as a start in place of ``lifetimes``' optimum.
    prior
        Of the parameters, which counts once, whatever the number of customers; None = maximum
        likelihood.

    Returns
    -------
    PurchasesFit
        The most likely of what several starts lead to: ``lifetimes``' own optimum on rounded times
        where it fits the model, moments, a small grid, `start`. Where there is no peak inside, the
        best at the bounds, which `notes` says.

    Raises
    ------
    FitError
        Impossible histories, no time observed, nobody who came back, or no finite likelihood.
    """
    seen = _distinct(x, t_x, T, customers)
    _check(seen)
    scale = float(seen.T.max())
    scaled = Histories(seen.x, seen.t_x / scale, seen.T / scale, seen.customers)
    make = _Maker(model, k, prior)
    coarse = _coarse(scaled)
    bound = np.full(len(model.free), LOG_BOUND)
    best, loss = most_likely(
        lambda log_params: make.loss(log_params, coarse),
        lambda log_params: make.loss(log_params, scaled),
        _starts(make, coarse, scale, start),
        -bound,
        bound,
    )
    if loss >= NO_LIKELIHOOD:
        raise FitError(
            f"{model.title} did not fit {int(seen.customers.sum()):,} customers: the likelihood is "
            "not finite. Look for customers with very many orders"
        )
    fitted = make.at(best, scale)
    constant = (getattr(fitted, "every", 1) - 1) * log_gaps
    log_likelihood = float(
        (seen.customers * fitted.log_likelihood(seen.x, seen.t_x, seen.T)).sum()
    )
    at_bound = np.abs(best) >= LOG_BOUND - 1e-6
    notes = fitted.notes([name for name, is_at in zip(model.free, at_bound, strict=True) if is_at])
    return PurchasesFit(
        fitted,
        log_likelihood + constant,
        int(seen.customers.sum()),
        _covariance(make, scaled, best, has_dropout=NO_DROPOUT not in notes),
        notes,
    )


def fit_family(
    x: ArrayLike,
    t_x: ArrayLike,
    T: ArrayLike,
    customers: ArrayLike | None = None,
    *,
    regularity: Regularity | None = None,
    prior: Prior | None = None,
) -> list[PurchasesFit]:
    """Fit every model of the family, the best by Akaike's criterion first.

    Parameters
    ----------
    x, t_x, T, customers
        As in :func:`fit_purchases`.
    regularity
        MBG/CNBD-k is tried where Wheat and Morrison's k is 1.5 or more: the whole k nearest to it, within
        2 to 12, and from there every step that lowers Akaike's criterion.

    prior
        As in :func:`fit_purchases`. Criteria are of the likelihood at the posterior's mode.

    Returns
    -------
    list of PurchasesFit
        A model that does not fit is left out. Where none is clearly the best, their average is the
        first, see :func:`average_family`.

    Raises
    ------
    FitError
        None fits: says why the first did not.
    """
    cells = _distinct(x, t_x, T, customers)
    columns = (cells.x, cells.t_x, cells.T, cells.customers)
    fits, reasons = [], []
    for model in FAMILY.values():
        if model.is_regular:
            continue
        try:
            fits.append(fit_purchases(*columns, model=model, prior=prior))
        except FitError as error:
            reasons.append(error)
    if fits and regularity is not None and regularity.wheat_k >= REGULAR:
        fits += _fit_regular(cells, regularity, prior)
    if not fits:
        raise reasons[0]
    best, *others = sorted(fits, key=lambda fit: fit.aic)
    if not best.model.can_leave:
        best = replace(best, notes=(NO_DROPOUT, *best.notes))
    average = average_family([best, *others])
    return [best, *others] if average is None else [average, best, *others]


def average_family(family: Sequence[PurchasesFit]) -> PurchasesFit | None:
    """Average the likely models of a family where none is clearly the best.

    Parameters
    ----------
    family
        Fits of single models, the best first.

    Returns
    -------
    PurchasesFit
        The mixture of at most three models whose Akaike weight is 0.05 or more; None where the best
        one's is 0.9 or more, or no other is likely enough. Beside NBD, models that show no dropout do
        not count: they are NBD.

    References
    ----------
    Burnham & Anderson (2002), Model Selection and Multimodel Inference, section 2.9.
    """
    if not family[0].model.can_leave:  # without dropout, others are the same model once more
        family = [family[0], *(fit for fit in family[1:] if NO_DROPOUT not in fit.notes)]
    weights = akaike_weights(family)
    if weights[0] >= CLEAR:
        return None
    pairs = list(zip(family, weights, strict=True))[:MAX_MEMBERS]
    pairs = [(fit, weight) for fit, weight in pairs if weight >= LEAST_WEIGHT]
    if len(pairs) < 2:
        return None
    model = Averaged.of([fit.model for fit, _ in pairs], [weight for _, weight in pairs])
    best = family[0]
    shares = [
        f"{one.kind} ({weight:.0%})"
        for one, weight in zip(model.members, model.weights, strict=True)
    ]
    note = f"no purchase model is clearly the best: the average of {', '.join(shares)} is used"
    members = tuple(fit for fit, _ in pairs)
    nothing = np.zeros((0, 0))
    return PurchasesFit(
        model, best.log_likelihood, best.customers, nothing, (note, *best.notes), members
    )


def akaike_weights(family: Sequence[PurchasesFit]) -> Array:
    """Return Akaike's weights of fits to the same customers, shape (fits,), summing to 1."""
    return np.asarray(softmax([-fit.aic / 2 for fit in family]))


def fit_again(
    model: PurchaseModel,
    x: ArrayLike,
    t_x: ArrayLike,
    T: ArrayLike,
    customers: ArrayLike | None = None,
    *,
    prior: Prior | None = None,
) -> PurchaseModel:
    """Fit a model of the same kind to other histories; of an average, each member.

    Parameters
    ----------
    model
        The kind, its k or its members' weights, and the start.
    x, t_x, T, customers, prior
        As in :func:`fit_purchases`.

    Returns
    -------
    PurchaseModel
        A member that does not fit is left out of an average.

    Raises
    ------
    FitError
        The model, or every member, does not fit.
    """
    if not isinstance(model, Averaged):
        k = getattr(model, "k", None)
        return fit_purchases(
            x, t_x, T, customers, model=type(model), k=k, start=model, prior=prior
        ).model
    members, weights, reasons = [], [], []
    for member, weight in zip(model.members, model.weights, strict=True):
        try:
            members.append(fit_again(member, x, t_x, T, customers, prior=prior))
            weights.append(weight)
        except FitError as error:
            reasons.append(error)
    if not members:
        raise reasons[0]
    return Averaged.of(members, weights)


def _fit_regular(
    cells: Histories, regularity: Regularity, prior: Prior | None
) -> list[PurchasesFit]:
    """Fit MBG/CNBD-k near Wheat and Morrison's k, and climb to the k that neither neighbor is better than."""
    columns = (cells.x, cells.t_x, cells.T, cells.customers)
    fits: dict[int, PurchasesFit | None] = {}
    k = int(np.clip(round(regularity.wheat_k), MIN_K, MAX_K))

    def aic(at: int) -> float:
        if at not in fits:
            near, start = fits.get(k), None
            if near is not None and isinstance(near.model, MBGCNBD):
                start = replace(near.model, k=at, alpha=near.model.alpha * k / at)
            fits[at] = None
            with contextlib.suppress(FitError):
                fits[at] = fit_purchases(
                    *columns,
                    model=MBGCNBD,
                    k=at,
                    log_gaps=regularity.log_gaps,
                    start=start,
                    prior=prior,
                )
        fit = fits[at]
        return np.inf if fit is None else fit.aic

    aic(k)
    while True:
        near = [at for at in (k, k - 1, k + 1) if MIN_K <= at <= MAX_K]
        best = min(near, key=aic)
        if best == k:
            return [fit for fit in fits.values() if fit is not None]
        k = best


def dropout_weight(family: Sequence[PurchasesFit]) -> float:
    """Say how far a history tells that customers leave after an order, rather than by the clock or never.

    Parameters
    ----------
    family
        What :func:`fit_family` returns.

    Returns
    -------
    float
        Akaike's weight, 0 to 1, of the best model in which customers leave after an order, beside the
        best of the others.

    References
    ----------
    Burnham & Anderson (2002), Model Selection and Multimodel Inference, section 2.9.
    """
    single = [fit for fit in family if not fit.members]
    after = [fit.aic for fit in single if isinstance(fit.model, BetaGeometric)]
    others = [fit.aic for fit in single if not isinstance(fit.model, BetaGeometric)]
    if not after or not others:
        return float(bool(after))
    return float(expit((min(others) - min(after)) / 2))


@dataclass(frozen=True)
class _Maker:
    """Models of a kind, by the logarithms of their free parameters."""

    model: type[PurchaseModel]
    k: int | None
    prior: Prior | None = None

    def at(self, log_params: Array, scale: float = 1.0) -> PurchaseModel:
        """Return a model whose times are in units of `scale`."""
        values = dict(zip(self.model.free, np.exp(log_params).tolist(), strict=True))
        for name in self.model.times:
            values[name] *= scale
        return self.model(**values, **({} if self.k is None else {"k": self.k}))

    def of(self, model: PurchaseModel, scale: float) -> Array:
        """Return the logarithms of a model's free parameters."""
        parameters = model.to_dict()
        return np.array(
            [
                np.log(parameters[name] / (scale if name in self.model.times else 1.0))
                for name in self.model.free
            ]
        )

    def loss(self, log_params: Array, seen: Histories) -> tuple[float, Array]:
        """Return the mean negative log-likelihood and its gradient in the logarithms.

        The negative logarithm of the prior's density is added once, shared out over the customers.
        """
        values, derivatives = self.at(log_params).gradient(seen.x, seen.t_x, seen.T)
        share = seen.customers / seen.customers.sum()
        value = -float((share * values).sum())
        if not np.isfinite(value):
            return NO_LIKELIHOOD, np.zeros(len(log_params))
        slope = -(share * derivatives).sum(axis=1) * np.exp(log_params)
        slope = np.where(np.isfinite(slope), slope, 0.0)
        if self.prior is not None:
            penalty, rise = self.prior.penalty(self.model.free, log_params)
            value += penalty / seen.customers.sum()
            slope += rise / seen.customers.sum()
        return value, slope


def _distinct(
    x: ArrayLike, t_x: ArrayLike, T: ArrayLike, customers: ArrayLike | None
) -> Histories:
    """Count equal histories, in an order that does not depend on the rows'."""
    columns: list[Array] = [np.asarray(v, dtype=np.float64) for v in (x, t_x, T)]
    if not all(np.isfinite(column).all() for column in columns):
        raise FitError("purchase histories must be finite numbers: some are not. Check the orders")
    if not len(columns[0]):
        return Histories(columns[0], columns[1], columns[2], np.ones(0))
    if customers is None:
        once, counts = counted(*columns)
    else:
        weights = np.asarray(customers, dtype=np.float64)
        if weights.shape != columns[0].shape or not (np.isfinite(weights) & (weights > 0)).all():
            raise FitError(
                "each history needs a number of customers above 0: some have none. Leave `customers` out, or "
                "give one number to each history"
            )
        once, where = distinct(*columns)
        counts = np.bincount(where, weights=weights).astype(np.float64)
    return Histories(once[0], once[1], once[2], counts)


def _check(seen: Histories) -> None:
    x, t_x, T = seen.x, seen.t_x, seen.T
    wrong = (x < 0) | (x != np.floor(x)) | (t_x < 0) | (t_x > T) | ((x == 0) & (t_x != 0))
    if wrong.any():
        raise FitError(
            "purchase histories need whole x >= 0 and 0 <= t_x <= T: "
            f"{int(wrong.sum()):,} of {len(x):,} do not. Check the orders"
        )
    if not len(x) or not (T > 0).any():
        raise FitError(
            "purchase models need some days of history: nobody was seen for longer than the first "
            "day. Add older orders"
        )
    if not (x > 0).any():
        raise FitError(
            "purchase models need customers who came back: nobody has a second purchase day. Add "
            "older orders"
        )


def _coarse(seen: Histories) -> Histories:
    """Round times, in units of the longest history, so that few histories are left to look at."""
    t_x, T = (2 * np.round(COARSE * t) for t in (seen.t_x, seen.T))  # half units: whole numbers
    first_week = np.where((seen.x > 0) & (t_x == 0), np.minimum(1.0, T), t_x)
    histories = _distinct(seen.x, first_week, np.maximum(T, 1.0), seen.customers)
    return replace(histories, t_x=histories.t_x / (2 * COARSE), T=histories.T / (2 * COARSE))


def _starts(
    make: _Maker, coarse: Histories, scale: float, start: PurchaseModel | None
) -> list[Array]:
    """Return the logarithms of the parameters to start from."""
    mean = np.average(coarse.x, weights=coarse.customers)
    rate = mean / max(np.average(coarse.T, weights=coarse.customers), 1e-6)
    starts = [np.log(values) for values in make.model.starts(rate * (make.k or 1))]
    if start is not None and isinstance(start, make.model):
        return [*starts, make.of(start, scale)]
    return [*starts, *_by_lifetimes(make.model, coarse)]


def _by_lifetimes(model: type[PurchaseModel], coarse: Histories) -> list[Array]:
    """Return lifetimes' optimum, if it has the model and finds one."""
    if model.lifetimes_fitter is None:
        return []
    import lifetimes  # costs two seconds
    from lifetimes.utils import ConvergenceError

    fitter = getattr(lifetimes, model.lifetimes_fitter)()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # trial steps overflow on the way; it is only a start
        try:
            fitter.fit(coarse.x, coarse.t_x, coarse.T, weights=coarse.customers)
        except (ConvergenceError, np.linalg.LinAlgError):
            return []
    parameters = np.array([float(fitter.params_[name]) for name in model.free])
    return [np.log(parameters)] if np.isfinite(parameters).all() and (parameters > 0).all() else []


def _covariance(make: _Maker, seen: Histories, best: Array, *, has_dropout: bool) -> Array:
    """Return the covariance of the logarithms of the parameters that the history tells of.

    One at its bound is held, and so are those of leaving where nobody is seen to leave.
    """
    total = float(seen.customers.sum())
    is_told = np.array([has_dropout or name not in make.model.leaving for name in make.model.free])
    return log_covariance(
        lambda log_params: -total * make.loss(log_params, seen)[1],
        best,
        is_told & (np.abs(best) < LOG_BOUND - EDGE),
    )
