import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf

from models.survival import kaplan_meier, rate_difference, wilson

# Remission of 21 leukemia patients on 6-mercaptopurine, weeks; Freireich et al. (1963), Blood 21, 699-716.
ENDED = [6, 6, 6, 7, 10, 13, 16, 22, 23]
GOES_ON = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]


def curve_of(ended, goes_on):
    days = [*ended, *goes_on]
    flags = [True] * len(ended) + [False] * len(goes_on)
    return kaplan_meier(days, flags, np.ones(len(days)))


def test_the_curve_of_the_remissions_is_as_published():
    """Kalbfleisch & Prentice (2002), table 1.2: .857, .807, .753, .690, .627, .538, .448; median 23."""
    actual = curve_of(ENDED, GOES_ON)
    assert actual.days.tolist() == [6, 7, 10, 13, 16, 22, 23]
    published = [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    assert 1 - actual.share == pytest.approx(published, abs=5e-4)
    assert actual.at_risk.tolist() == [21, 17, 15, 12, 11, 7, 6]
    assert actual.median()[0] == 23
    assert (actual.n, actual.events) == (21, 9)


@pytest.mark.filterwarnings("ignore:The confidence interval is undefined")
@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.booleans(), st.integers(1, 5)), min_size=2, max_size=30
    )
)
def test_curve_and_interval_are_scipys(rows):
    days, flags, counts = (np.array(column) for column in zip(*rows, strict=True))
    ended, going = (np.repeat(days[mask], counts[mask]) for mask in (flags, ~flags))
    if not len(ended):
        return
    past = CensoredData(uncensored=ended, right=going)
    sf = ecdf(past).sf
    ends = sf.confidence_interval(method="log-log")
    actual = kaplan_meier(days, flags, counts)
    at = np.searchsorted(sf.quantiles, actual.days)
    assert 1 - actual.share == pytest.approx(sf.probabilities[at], abs=1e-12)
    inner = (actual.share > 0) & (actual.share < 1)
    low, high = (1 - end.probabilities[at][inner] for end in (ends.high, ends.low))
    assert actual.low[inner] == pytest.approx(low, abs=1e-9)
    assert actual.high[inner] == pytest.approx(high, abs=1e-9)


def test_before_the_first_event_nothing_has_happened_and_a_half_may_never_be_reached():
    actual = curve_of([10], [5, 20, 30])
    assert actual.at(9) == (0, 0, 0)
    assert actual.at(10)[0] == pytest.approx(1 / 3)
    assert actual.median()[0] is None


def test_nobody_is_no_curve():
    actual = kaplan_meier([], [], [])
    assert actual.at(10) == (0, 0, 0)
    assert actual.median() == (None, None, None)


def test_score_interval_and_difference_are_as_published():
    """Newcombe (1998), Statistics in Medicine 17, 857-872 and 873-890: 81/263; 56/70 against 48/80."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert rate_difference(56, 70, 48, 80) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert wilson(0, 0) == (0, 1)
