"""One customer out of ids, e-mails and phones: linked where something is shared, and nowhere else."""

from datetime import date

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine import open_engine
from connectors.identity import (
    KEYS,
    LargestCustomer,
    clean_email,
    clean_id,
    clean_phone,
    link,
    shared_identities,
)
from connectors.order_source import OrderSource
from connectors.orders import look_at_source, read_orders


def names(*rows, at=None):
    """Link rows of (id, e-mail, phone), the first the earliest; return each row's customer."""
    seen = pd.DataFrame(rows, columns=list(KEYS), dtype="str")
    seen["first_at"] = range(len(rows)) if at is None else at
    seen["first_order"] = [str(i) for i in range(len(rows))]
    return link(seen).names["known_as"].tolist()


def test_who_shares_nothing_stays_apart():
    assert names(("1", "a@x.com", None), ("2", "b@x.com", "+15550001")) == ["1", "2"]


def test_where_nobody_is_nobody_is_linked():
    seen = pd.DataFrame(columns=[*KEYS, "first_at", "first_order"], dtype="object")
    linked = link(seen)
    assert linked.names.empty
    assert linked.merged == 0


def test_an_email_links_a_guest_to_an_id():
    assert names(("1", "a@x.com", None), (None, "a@x.com", None)) == ["1", "1"]


def test_links_go_on_over_others():
    chain = (
        ("1", "a@x.com", None),
        (None, "a@x.com", "+15550001"),
        (None, "b@x.com", "+15550001"),
    )
    assert names(*chain, ("9", "c@x.com", None)) == ["1", "1", "1", "9"]


def test_a_customer_is_named_after_the_earliest_row():
    assert names((None, "a@x.com", None), ("1", "a@x.com", None)) == ["a@x.com", "a@x.com"]
    assert names((None, "a@x.com", None), ("1", "a@x.com", None), at=[5, 2]) == ["1", "1"]


def test_an_id_that_is_anothers_email_is_kept_apart():
    assert len(set(names(("a@x.com", None, None), (None, "a@x.com", None)))) == 2


def test_an_email_links_however_many_ids_a_checkout_made():
    checkouts = [(f"cus_{i}", "loyal@x.com", None) for i in range(200)]
    assert len(set(names(*checkouts))) == 1


def test_the_largest_customer_is_counted_by_kind_of_identity():
    rows = [("1", "a@x.com", None), ("2", "a@x.com", "+15550001"), ("3", "b@x.com", None)]
    seen = pd.DataFrame(rows, columns=list(KEYS), dtype="str")
    seen["first_at"], seen["first_order"] = range(3), list("123")
    assert link(seen).largest == LargestCustomer("1", ids=2, emails=1, phones=1)


@pytest.mark.parametrize("relay", ["x1@marketplace.amazon.de", "y@members.ebay.com"])
def test_a_marketplaces_relay_links_nobody(relay):
    assert names(("1", relay, None), ("2", relay, None)) == ["1", "2"]


def cleaned(clean, texts):
    with open_engine() as engine:
        table = engine.table(pd.DataFrame({"i": range(len(texts)), "t": texts}), "texts")
        frame = engine.frame(table.mutate(c=clean(table.t)).order_by("i"))
    return [None if pd.isna(text) else text for text in frame["c"]]


def test_emails_are_read_in_lower_case_and_placeholders_are_none():
    texts = [" Ann@X.com ", "noreply@shop.com", "test@test.com", "n/a", "", "a@b", "guest@x.com"]
    texts += [
        "do-not-reply@x.com",
        "POS@shop.com",
        "no-email@shop.com",
        "walk-in@shop.com",
        "x@noemail.com",
    ]
    assert cleaned(clean_email, texts) == ["ann@x.com", *[None] * 11]
    real = ["position@x.com", "o'brien@x.com", "tilly@x.com", "guesthouse@x.com", "posada@x.com"]
    assert cleaned(clean_email, real) == real


@pytest.mark.parametrize(
    "text",
    ["0", "00", "0.0", "-1", "-", "guest", "Guest User", "NULL", "none", "n/a", "#N/A", "nan", "unknown", "Anonymous",
     "000000", "999999", "4.47912E+11", "6,87E+12", "not logged in", "Walk-in customer", " guest ", "undefined", ""],
)  # fmt: skip
def test_an_id_that_stands_for_nobody_is_none(text):
    assert cleaned(clean_id, [text]) == [None]


@pytest.mark.parametrize(
    "text", ["7", "11", "1e5", "guest-17", "10000", "cus_000", "99999", "0017", "A0"]
)
def test_an_id_that_only_looks_odd_is_an_id(text):
    assert cleaned(clean_id, [text]) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "4.47912E+11",
        "4,47912E+11",
        "'4.48E+11",
        "+4.47E+11",
        "0000000000",
        "1111111",
        "+10000000000",
        "123456789",
        "0123456789",
        "1234567",
        "0",
    ],
)
def test_a_number_that_a_spreadsheet_rounded_or_somebody_made_up_is_no_phone(text):
    assert cleaned(clean_phone, [text]) == [None]


def test_a_phone_behind_a_spreadsheets_apostrophe_is_read():
    assert cleaned(clean_phone, ["'+447911123456"]) == ["+447911123456"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("447911123456.0", "447911123456"),
        ("+447911123456.0", "+447911123456"),
        ("+49 (0)170 1234567", "+491701234567"),
        ("0049(0)1701234567", "+491701234567"),
        ("+1 555 123 4567 ext. 5", "+15551234567"),
        ("+1-555-123-4567 x12", "+15551234567"),
        ("+44\u00a07911\u00a0123456", "+447911123456"),
        ("(0) 170 1234567", "01701234567"),
    ],
)
def test_what_is_not_dialed_is_no_part_of_a_phone(text, number):
    assert cleaned(clean_phone, [text]) == [number]


def test_phones_are_e164_where_the_country_is_given():
    texts = ["+1 (555) 010-9999", "001 555 010 9999", "555 010 9999", "0000000", "12", "+49"]
    assert cleaned(clean_phone, texts) == [
        "+15550109999",
        "+15550109999",
        "5550109999",
        None,
        None,
        None,
    ]


rows = st.lists(
    st.tuples(
        *[st.none() | st.sampled_from([f"{k}{i}@x.com" for i in range(4)]) for k in "iep"]
    ).filter(any),
    min_size=1,
    max_size=12,
    unique=True,
)


@settings(deadline=None, max_examples=150)
@given(rows=rows, order=st.randoms())
def test_customers_are_the_connected_groups_whatever_the_order(rows, order):
    actual = dict(zip(rows, names(*rows), strict=True))
    groups = [{row} for row in rows]  # by hand: merge groups that share a key until none do
    for i in range(len(KEYS)):
        for key in {row[i] for row in rows} - {None}:
            touched = [g for g in groups if any(row[i] == key for row in g)]
            groups = [g for g in groups if g not in touched] + [set().union(*touched)]
    assert len({actual[row] for row in rows}) == len(groups)
    assert all(len({actual[row] for row in group}) == 1 for group in groups)
    shuffled = list(rows)
    order.shuffle(shuffled)
    again = names(*shuffled, at=[rows.index(row) for row in shuffled])
    assert dict(zip(shuffled, again, strict=True)) == actual


def test_rows_after_the_day_link_nobody_and_names_stay_as_the_history_grows(tmp_path):
    text = "order_id,customer_id,email,ordered_at,net_amount\n"
    text += "1,,a@x.com,2026-01-01,5\n2,7,b@x.com,2026-02-01,5\n3,7,a@x.com,2026-03-01,5\n"
    (tmp_path / "orders.csv").write_text(text)

    def customers(as_of):
        with open_engine() as engine:
            source = OrderSource(str(tmp_path / "orders.csv"))
            history = read_orders(engine, source, as_of, tmp_path / str(as_of))
        orders = (
            pd.read_parquet(history.orders)
            .sort_values(["order_date", "order_id"])
            .set_index("order_id")["customer_id"]
        )
        return orders.to_dict(), history.quality.customers_merged

    assert customers(date(2026, 2, 28)) == ({"1": "a@x.com", "2": "7"}, 0)
    assert customers(date(2026, 3, 31)) == (dict.fromkeys("123", "a@x.com"), 1)


def shared(**columns):
    """Return which identities of made-up rows identify nobody, by kind."""
    rows = pd.DataFrame(columns)
    rows["order_id"] = [str(i) for i in range(len(rows))]
    for key in (*KEYS, "name", "postal_code"):
        rows[key] = (rows[key] if key in rows else pd.Series(pd.NA, rows.index)).astype("string")
    with open_engine() as engine:
        actual = shared_identities(engine, engine.table(rows, "rows"))
    return dict(zip(actual["kind"], actual["value"], strict=True))


MANY = [f"x{i}" for i in range(40)]
FEW = [f"x{i % 3}" for i in range(40)]


@pytest.mark.parametrize("evidence", ["phone", "name", "postal_code"])
def test_an_email_beside_many_people_is_a_tills(evidence):
    assert shared(email=["shop@x.com"] * 40, **{evidence: MANY}) == {"email": "shop@x.com"}
    assert shared(email=["loyal@x.com"] * 40, **{evidence: FEW}) == {}


@pytest.mark.parametrize("evidence", ["email", "name", "postal_code"])
def test_a_phone_beside_many_people_is_a_shops(evidence):
    assert shared(phone=["+15550001"] * 40, **{evidence: MANY}) == {"phone": "+15550001"}
    assert shared(phone=["+15550001"] * 40, **{evidence: FEW}) == {}


@pytest.mark.parametrize("evidence", ["email", "phone", "name"])
def test_one_id_of_all_guests_identifies_nobody(evidence):
    assert shared(customer_id=["77"] * 40, **{evidence: MANY}) == {"customer_id": "77"}
    assert shared(customer_id=["77"] * 40, **{evidence: FEW}) == {}


def test_many_ids_are_no_evidence_against_an_email_or_phone():
    assert shared(email=["a@x.com"] * 40, customer_id=MANY) == {}
    assert shared(phone=["+15550001"] * 40, customer_id=MANY) == {}


def test_who_orders_often_may_have_many_names_and_addresses():
    names = [f"x{i % 12}" for i in range(200)]
    assert shared(email=["office@x.com"] * 200, name=names) == {}


COLUMNS = "order_id,customer_id,email,phone,ordered_at,net_amount\n"


def check(folder, text, **how):
    (folder / "orders.csv").write_text(text)
    with open_engine() as engine:
        return look_at_source(
            engine, OrderSource(str(folder / "orders.csv"), **how), date(2026, 12, 31)
        )


def test_a_tills_address_is_named_and_its_customers_are_known_by_phone(tmp_path):
    rows = [f"{i},,shop@x.com,+1555000{i:04},2026-01-{i % 28 + 1:02},5\n" for i in range(20)]
    seen = check(tmp_path, COLUMNS + "".join(rows) + "99,,ann@x.com,,2026-02-01,5\n")
    assert seen.summary.customers == 21
    (aside,) = seen.identities.set_aside
    assert aside.value == "shop@x.com"
    assert "20 different phone numbers in 20 orders" in aside.reason
    assert any("1 e-mail identified no customer" in warning for warning in seen.warnings)
    assert not any("shop@x.com" in warning for warning in seen.warnings)  # these are published


def test_rows_that_only_have_a_tills_address_have_no_customer(tmp_path):
    rows = [f"{i},,shop@x.com,+1555000{i:04},2026-01-{i % 28 + 1:02},5\n" for i in range(20)]
    seen = check(tmp_path, COLUMNS + "".join(rows) + "99,,shop@x.com,,2026-02-01,5\n")
    assert seen.accounting.rejected == {"missing_customer": 1}


@pytest.mark.parametrize(
    ("row", "ignored"),
    [
        ("1,77,a@x.com,,2026-01-01,5\n2,77,b@x.com,,2026-01-01,5\n", "77"),
        ("1,,Shop@x.com,+15550001,2026-01-01,5\n2,,shop@x.com,+15550002,2026-01-01,5\n", "SHOP@x.com"),
        ("1,,a@x.com,+1 555 0001,2026-01-01,5\n2,,b@x.com,+15550001,2026-01-01,5\n", "+1 (555) 0001"),
    ],
)  # fmt: skip
def test_the_settings_name_identities_that_identify_nobody(tmp_path, row, ignored):
    assert check(tmp_path, COLUMNS + row).summary.customers == 1
    seen = check(tmp_path, COLUMNS + row, ignored_identities=(ignored,))
    assert seen.summary.customers == 2


def test_the_only_identity_of_a_history_can_be_ignored(tmp_path):
    text = "order_id,customer_id,ordered_at,net_amount\n1,a,2026-01-01,5\n2,till,2026-01-01,5\n"
    seen = check(tmp_path, text, ignored_identities=("till",))
    assert seen.accounting.rejected == {"missing_customer": 1}
