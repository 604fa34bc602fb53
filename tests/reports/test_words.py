import pytest

from reports.records.kpis import Rate
from reports.words import Words


@pytest.mark.parametrize(
    ("locale", "currency", "value", "text"),
    [
        ("en_US", "USD", 99.994, "$99.99"),
        ("en_US", "USD", 1234.6, "$1,235"),
        ("en_US", "USD", -3, "-$3.00"),
        ("de_DE", "EUR", 1234.6, "1.235\xa0€"),
        ("de_DE", "EUR", 12.5, "12,50\xa0€"),
        ("ja_JP", "JPY", 12.6, "￥13"),
    ],
)
def test_money_is_written_as_its_locale_does(locale, currency, value, text):
    assert Words(currency, locale).money(value) == text


def test_shares_and_numbers_are_written_as_the_locale_does():
    german, english = Words("EUR", "de_DE"), Words("USD")
    assert (german.percent(0.1234), german.count(12345.6), german.decimal(2.5)) == (
        "12,3\xa0%",
        "12.346",
        "2,50",
    )
    assert (english.percent(0.5, 0), english.count(12345.6)) == ("50%", "12,346")


def test_one_unit_of_currency_has_no_decimals():
    assert [Words("USD").one, Words("EUR", "de_DE").one] == ["$1", "1\xa0€"]


def test_amounts_on_an_axis_have_cents_where_there_are_any():
    words = Words("USD")
    assert [words.round_money(v) for v in (0.0, 20.0, 2.5, 1234.5)] == [
        "$0",
        "$20",
        "$2.50",
        "$1,234",
    ]


def test_a_rate_that_is_not_said_says_why():
    past = Rate(value=0.25, low=0.2, high=0.3, n=100, count=25)
    words = Words("USD")
    assert (words.rate(past), words.based_on(past)) == ("25.0%", "20.0% to 30.0%, n = 100")
    early = Rate(value=None, low=None, high=None, n=100, count=0, why="too early")
    assert (words.rate(early), words.based_on(early)) == ("too early", "n = 100")


def test_a_value_is_written_by_its_unit():
    words = Words("USD")
    messages = [
        words.unit(12.0, unit) for unit in ("count", "money", "share", "days", "score", "ratio")
    ]
    assert messages == ["12", "$12.00", "1,200.0%", "12 days", "12", "12.00"]
    assert words.unit(None, "money") == "too few"
