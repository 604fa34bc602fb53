"""One customer out of ids, e-mails and phones: linked where something is shared, and nowhere else."""

from datetime import date

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine import open_engine
from connectors.identity import KEYS, SHARED_BY, clean_email, clean_phone, link
from connectors.order_source import OrderSource
from connectors.orders import read_orders


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


def test_what_too_many_ids_share_links_nobody():
    till = [(str(i), None, "+15550001") for i in range(SHARED_BY + 1)]
    assert len(set(names(*till))) == len(till)
    assert len(set(names(*till[:-1]))) == 1


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
    assert cleaned(clean_email, texts) == ["ann@x.com", None, None, None, None, None, None]


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
    found = dict(zip(rows, names(*rows), strict=True))
    groups = [{row} for row in rows]  # by hand: merge groups that share a key until none do
    for i in range(len(KEYS)):
        for key in {row[i] for row in rows} - {None}:
            touched = [g for g in groups if any(row[i] == key for row in g)]
            groups = [g for g in groups if g not in touched] + [set().union(*touched)]
    assert len({found[row] for row in rows}) == len(groups)
    assert all(len({found[row] for row in group}) == 1 for group in groups)
    shuffled = list(rows)
    order.shuffle(shuffled)
    again = names(*shuffled, at=[rows.index(row) for row in shuffled])
    assert dict(zip(shuffled, again, strict=True)) == found


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
