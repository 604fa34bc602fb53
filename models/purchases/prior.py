"""Weakly informative priors on the parameters of purchase models, for stores with few customers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Normal:
    """A normal distribution.

    Attributes
    ----------
    mean, sd
        Its mean and standard deviation.
    """

    mean: float
    sd: float

    def penalty(self, value: float) -> tuple[float, float]:
        """Return the negative log density, less a constant, and its derivative."""
        z = (value - self.mean) / self.sd
        return z * z / 2, z / self.sd


@dataclass(frozen=True)
class Prior:
    """Independent normal priors on the logarithms of shapes and on the log odds of leaving.

    None depends on the unit of time or on the number of customers: the prior counts as much as a few
    customers, and vanishes as customers grow. The level of the purchase rate, `alpha` given `r`, has
    none.

    Attributes
    ----------
    log_r
        Of log r: how much customers differ in their purchase rate, every model.
    leaving
        Of log(a / b), the log odds of the mean chance of leaving a / (a + b): models in which
        customers leave after an order.
    log_concentration
        Of log(a + b): how much customers differ in it.
    log_s
        Of log s, the shape of the rate of leaving: Pareto/NBD.
    log_beta
        Of log beta, in units of the longest history: Pareto/NBD.
    """

    log_r: Normal = Normal(0.0, 1.0)
    leaving: Normal = Normal(float(np.log(0.3 / 0.7)), 0.8)
    log_concentration: Normal = Normal(float(np.log(2.5)), 0.8)
    log_s: Normal = Normal(float(np.log(0.7)), 0.7)
    log_beta: Normal = Normal(float(np.log(0.5)), 1.5)

    def penalty(self, free: Sequence[str], log_params: Array) -> tuple[float, Array]:
        """Return the negative logarithm of the density, less a constant, and its gradient.

        Parameters
        ----------
        free
            Names of a model's free parameters.
        log_params
            Their logarithms, shape (k,), times in units of the longest history.

        Returns
        -------
        tuple
            A number, and the gradient in the logarithms, shape (k,).
        """
        at = dict(zip(free, log_params.tolist(), strict=True))
        slope = dict.fromkeys(free, 0.0)
        total = 0.0
        for name, prior in (("r", self.log_r), ("s", self.log_s), ("beta", self.log_beta)):
            if name in at:
                value, slope[name] = prior.penalty(at[name])
                total += value
        if "a" in at:
            value, by_odds = self.leaving.penalty(at["a"] - at["b"])
            both = float(np.logaddexp(at["a"], at["b"]))
            other, by_both = self.log_concentration.penalty(both)
            total += value + other
            share = float(np.exp(at["a"] - both))
            slope["a"] = by_odds + by_both * share
            slope["b"] = -by_odds + by_both * (1 - share)
        return total, np.array([slope[name] for name in free])
