"""Before an experiment: what it can detect, and whether its arms are as they were drawn.

References
----------
.. [1] van Belle (2008), Statistical Rules of Thumb, 2nd ed., chapter 2: sample size of a difference
   between two means.
.. [2] Fabijan et al. (2019), Diagnosing Sample Ratio Mismatch in Online Controlled Experiments, KDD.
"""

from math import ceil, sqrt

from scipy.special import ndtri

from models.lift.checks import positive, share

SUSPICIOUS = 0.001  # p-value of the arms' sizes below which no lift is read out [2]_
POWER = 0.8
LEVEL = 0.05  # two-sided

Deviation = float | tuple[float, float]


def sample_ratio(n_treated: int, n_control: int, share_control: float) -> float:
    """Test whether the arms are as large as they were drawn.

    Parameters
    ----------
    n_treated, n_control
        Customers of either arm.
    share_control
        Share that was to be held out, between 0 and 1.

    Returns
    -------
    float
        Two-sided p-value of the exact binomial test. Below :data:`SUSPICIOUS` something else than the
        draw decides who is counted, and no lift means anything.

    Raises
    ------
    ValueError
        Negative counts, no customers, or a share that is none.
    """
    from scipy.stats import binomtest

    share("share_control", share_control)
    treated, control = _count("n_treated", n_treated), _count("n_control", n_control)
    if treated + control == 0:
        raise ValueError("a sample ratio needs customers: there are none. Assign them first")
    return float(binomtest(control, treated + control, share_control).pvalue)


def smallest_lift(
    n_treated: int,
    n_control: int,
    deviation: Deviation,
    power: float = POWER,
    level: float = LEVEL,
) -> float:
    """Return the smallest lift that an experiment of this size detects.

    Parameters
    ----------
    n_treated, n_control
        Customers of either arm.
    deviation
        Standard deviation of a customer's outcome, in its unit; with a covariate, times the root of
        ``variance_left``. A pair where the arms differ: treated, held out. Of a share p it is
        ``sqrt(p * (1 - p))``.
    power
        Chance to detect it.
    level
        Chance of an alarm where there is no lift, both sides together.

    Returns
    -------
    float
        In the outcome's unit a customer [1]_.

    Raises
    ------
    ValueError
        An arm without customers, a deviation of 0 or less, a power or level that is no share.
    """
    treated, control = _deviations(deviation)
    positive("n_treated", n_treated)
    positive("n_control", n_control)
    return _reach(power, level) * sqrt(treated**2 / n_treated + control**2 / n_control)


def customers_needed(
    difference: float,
    deviation: Deviation,
    share_control: float,
    power: float = POWER,
    level: float = LEVEL,
) -> int:
    """Return how many customers an experiment needs to detect a lift.

    Parameters
    ----------
    difference
        Lift to be detected, in the outcome's unit a customer; its sign does not matter.
    deviation, power, level
        As in :func:`smallest_lift`.
    share_control
        Share held out, between 0 and 1.

    Returns
    -------
    int
        Customers of both arms together.

    Raises
    ------
    ValueError
        No difference, a deviation of 0 or less, or a share that is none.
    """
    treated, control = _deviations(deviation)
    size = float(positive("the size of difference", abs(difference)))
    held = share("share_control", share_control)
    spread = treated**2 / (1 - held) + control**2 / held
    return ceil((_reach(power, level) / size) ** 2 * spread)


def _reach(power: float, level: float) -> float:
    """Return the lift that is detected, in standard errors."""
    return float(ndtri(1 - share("level", level) / 2) + ndtri(share("power", power)))


def _deviations(deviation: Deviation) -> tuple[float, float]:
    array = positive("deviation", deviation)
    if array.shape not in {(), (2,)}:
        raise ValueError(
            f"deviation is one number, or treated and held out: got {array.shape}. Pass a pair"
        )
    treated, control = array.ravel()[[0, -1]].tolist()
    return treated, control


def _count(name: str, value: int) -> int:
    if value != int(value) or value < 0:
        raise ValueError(f"{name} counts customers: got {value}. Pass 0 or more")
    return int(value)
