"""Headings in any spelling."""

from connectors.presets.headings import find_headings, missing_column, theirs_of

HEADINGS = {
    "created": ("Created (UTC)", "Created date (UTC)"),
    "amount": ("Amount",),
    "tax": ("Tax",),
}


def test_a_heading_is_taken_in_every_wording_and_spelling():
    names = ["AMOUNT", "created_date_utc", "Fee"]
    assert find_headings(names, HEADINGS) == {"created": "created_date_utc", "amount": "AMOUNT"}


def test_the_settings_go_before_the_usual_heading():
    names = ["Amount", "Gross amount"]
    assert find_headings(names, HEADINGS, {"amount": "gross_amount"}) == {"amount": "Gross amount"}


def test_of_two_spellings_the_first_is_taken():
    assert find_headings(["tax", "Tax"], HEADINGS) == {"tax": "tax"}


def test_columns_that_are_read_as_amounts_are_listed_as_they_are_spelled():
    amounts = theirs_of(HEADINGS, ("amount", "tax"))
    assert amounts(["id", "TAX", "Amount", "Created (UTC)"]) == ["TAX", "Amount"]


def test_a_missing_column_is_named_with_its_setting():
    text = missing_column("tax", "Tax", ["Taxes", "id"])
    assert text == "no column 'Tax' (did you mean 'Taxes'?): set orders.columns.tax = \"…\""
