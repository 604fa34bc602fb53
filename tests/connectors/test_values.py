"""Values of a sample: every notation of amounts and dates that exports have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.values import Column, date_form, plain, read_amount


def column(*values, name="x"):
    return Column(name, values)


@pytest.mark.parametrize(
    ("values", "numbers", "mark"),
    [
        (("$1,250.00", "($18.00)", "$0.00"), (1250.0, -18.0, 0.0), "."),
        (("1.250,00 €", "3,50 €", "-7,00 €"), (1250.0, 3.5, -7.0), ","),
        (("1 250,50", "12,00"), (1250.5, 12.0), ","),
        (("1'250.50", "12.00"), (1250.5, 12.0), "."),
        (("R$ 1.250,00", "R$ 3,10"), (1250.0, 3.1), ","),
        (("£12.50", "-£3.00"), (12.5, -3.0), "."),
        (("12.50-", "3.00"), (-12.5, 3.0), "."),
        (("USD 12.50", "USD 3.00"), (12.5, 3.0), "."),
        (("49,90 zł", "100,00 zł"), (49.9, 100.0), ","),
        (("10", "20"), (10.0, 20.0), None),
        (("110.0000", "55.0000"), (110.0, 55.0), "."),
        (("1,00,000.00", "5.00"), (100000.0, 5.0), "."),
    ],
)
def test_amounts_are_read_in_every_notation(values, numbers, mark):
    assert column(*values).amounts == numbers
    assert column(*values).decimal == mark


def test_texts_dates_and_mixed_marks_are_no_amounts():
    assert column("Mug", "Pot").amounts is None
    assert column("2024-01-05", "2024-01-06").amounts is None
    assert column("1,50", "1.50").amounts is None
    assert column("").amounts is None


def test_a_single_group_of_three_is_a_group_and_no_decimal():
    assert column("1,250").decimal is None
    assert column("1,250").amounts == (1250.0,)
    assert column("1,250", "3,50").amounts == (1.25, 3.5)  # the second shows the mark


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2))
def test_an_amount_is_the_same_in_every_notation(amount):
    english = f"{amount:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))
    assert read_amount(english, ".") == read_amount(german, ",") == float(amount)
    assert read_amount(f"${abs(amount):,.2f}", ".") == float(abs(amount))


@pytest.mark.parametrize(
    ("values", "patterns"),
    [
        (("2024-01-05", "2024-01-31"), ()),
        (("2024-01-05 10:00:00", "2024-02-01 11:00:00"), ()),
        (("11/8/2016", "12/30/2016"), ("%m/%d/%Y",)),
        (("30/12/2016", "8/11/2016"), ("%d/%m/%Y",)),
        (("12/1/2010 8:26", "12/13/2010 8:45"), ("%m/%d/%Y %H:%M",)),
        (("09/25/25", "10/13/25"), ("%m/%d/%y",)),
        (("25.12.2024 10:00", "01.02.2025 09:30"), ("%d.%m.%Y %H:%M",)),
        (("Dec 8, 2024", "Jan 5, 2025"), ("%b %d, %Y",)),
        (("Oct 1, 2025 8:15:10 AM",), ("%b %d, %Y %I:%M:%S %p",)),
        (("1/2/2024", "3/4/2024"), ("%m/%d/%Y", "%d/%m/%Y")),
        (("Mon, 23 Sep 2024 14:21:24 +0000",), ("%a, %d %b %Y %H:%M:%S %z",)),
        (("20240105", "20241231"), ("%Y%m%d",)),
    ],
)
def test_the_form_of_dates_is_decided_by_every_value(values, patterns):
    assert date_form(values).patterns == patterns


def test_offsets_are_named():
    assert date_form(["2024-01-05T10:00:00-05:00", "2024-07-05T10:00:00-04:00"]).offsets == (
        "-04:00",
        "-05:00",
    )


@pytest.mark.parametrize("values", [("soon",), ("2024-01-05", "soon"), ("101", "102"), ()])
def test_other_texts_are_no_dates(values):
    assert date_form(values) is None


def test_people_are_no_ids():
    assert column("Ana Lee", "Bo Day", "Cy van Doe").is_names
    assert column("Lee, Ana").is_names
    assert not column("CG-12520", "DV-13045").is_names
    assert not column("cus_1", "buyer01").is_names
    assert column("ana@example.org", "bo@example.org").is_emails
    assert column("{'id': 1}").is_nested


@pytest.mark.parametrize(
    ("heading", "spelled"),
    [("Subtotal (ex tax)", "subtotalextax"), ("N° de commande", "ndecommande"), ("Wäh­rung", "wahrung"),
     ("E-Mail", "email"), ("Größe", "grosse")],
)  # fmt: skip
def test_headings_are_compared_without_case_accents_and_punctuation(heading, spelled):
    assert plain(heading) == spelled
