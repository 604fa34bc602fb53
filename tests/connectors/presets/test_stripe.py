"""Stripe's payments: charges in, orders out, each trap by hand and all of them in a simulated store."""

import csv
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd
import pytest

from connectors.engine import open_engine
from connectors.order_source import OrderSource
from connectors.orders import read_orders
from connectors.presets.stripe import STRIPE
from connectors.sources import SourceError
from features.tables import DataError
from perennial.simulation import simulate
from perennial.simulation.forms import stripe
from perennial.simulation.forms.stripe import COLUMNS

CENT = 0.0101  # the tax on a refund is rounded to a cent
AS_OF = date(2025, 12, 31)
PAID = {
    "id": "ch_1",
    "Created (UTC)": "2025-03-01 12:00:00",
    "Amount": "108.00",
    "Amount Refunded": "0.00",
    "Currency": "usd",
    "Tax": "8.00",
    "Mode": "Live",
    "Status": "Paid",
    "Captured": "true",
    "Customer ID": "cus_1",
    "Customer Email": "ada@shop.org",
    "PaymentIntent ID": "pi_1",
}
OLD = ("id", "Created (UTC)", "Amount", "Amount Refunded", "Currency", "Status", "Customer ID")


@dataclass
class Read:
    history: object
    orders: pd.DataFrame

    @property
    def net(self):
        return self.orders["net_amount"].to_dict()

    @property
    def rejected(self):
        return self.history.accounting.rejected


def read_folder(folder, zone="UTC", as_of=AS_OF, **how):
    with open_engine(zone) as engine:
        source = OrderSource(
            location=str(folder), preset="stripe", **{"most_unreadable": 1.0} | how
        )
        history = read_orders(engine, source, as_of, folder.parent / "out")
    return Read(
        history,
        pd.read_parquet(history.orders)
        .sort_values(["order_date", "order_id"])
        .set_index("order_id"),
    )


def write(file, charges, header=tuple(COLUMNS)):
    file.parent.mkdir(exist_ok=True)
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, header, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(charges)


@pytest.fixture
def read(tmp_path):
    """Read charges, each the usual paid one but for what is said."""

    def read_charges(*charges, header=tuple(COLUMNS), **how):
        write(tmp_path / "in" / "payments.csv", [PAID | charge for charge in charges], header)
        return read_folder(tmp_path / "in", **how)

    return read_charges


def groups(names):
    """Return the orders of each customer, whatever the customers are called."""
    return {frozenset(orders) for orders in names.groupby(names).groups.values()}


def notes_of(folder):
    with open_engine() as engine:
        rows = engine.read_rows([folder / "in" / "payments.csv"]).rows
        return STRIPE.read(engine, {"orders": rows}, OrderSource(""), AS_OF).notes


def charge(number, **values):
    ids = {"id": f"ch_{number}", "PaymentIntent ID": f"pi_{number}"}
    return ids | {name.replace("_", " "): value for name, value in values.items()}


@pytest.mark.parametrize("profile", ["coffee", "apparel"])
def test_the_clean_orders_come_back_from_a_simulated_stores_payments(profile, tmp_path):
    world = simulate(400, date(2025, 1, 1), date(2026, 1, 1), 5, profile)
    form = stripe(world)
    (tmp_path / "in").mkdir()
    for name, frame in form.files.items():
        frame.to_csv(tmp_path / "in" / name, index=False)
    done = read_folder(
        tmp_path / "in",
        world.profile.timezone,
        world.end - timedelta(days=1),
        currency=world.profile.currency,
    )
    expected = form.expected.set_index("order_id")
    planted = {trap.trap: trap.count for trap in form.planted}
    accounting = done.history.accounting
    (charges,) = form.files.values()
    tried = int(((charges["Mode"] == "Test") & (charges["Status"] == "Failed")).sum())
    assert sorted(done.orders.index) == sorted(expected.index)
    assert accounting.is_balanced
    assert accounting.orders == len(world.orders)
    assert not any(accounting.merged.values())
    assert accounting.rejected == {
        "test_order": planted["test"] + tried,  # a test that failed is a test
        "unpaid": planted["retry"] - tried,
        "refunded_in_full": planted["canceled"] + planted["refunded"],
        "missing_customer": planted["no_customer"],
    }
    both = done.orders.join(expected, rsuffix="_expected")
    assert (both["net_amount"] - both["net_amount_expected"]).abs().max() < CENT
    days = pd.to_datetime(both["order_date"])
    assert (days == pd.to_datetime(both["order_date_expected"])).all()
    assert groups(both["customer_id"]) == groups(both["known_as"])
    assert min(planted["converted"], planted["partly_refunded"], planted["email_spelling"]) > 0


def test_a_simulated_store_of_subscriptions_is_refused(tmp_path):
    form = stripe(simulate(100, date(2025, 1, 1), date(2025, 7, 1), 5), subscription_share=0.5)
    (tmp_path / "in").mkdir()
    form.files["payments.csv"].to_csv(tmp_path / "in" / "payments.csv", index=False)
    with pytest.raises(DataError, match=r"orders\.renewals"):
        read_folder(tmp_path / "in")


def test_a_value_is_without_tax_and_without_the_goods_of_a_refund(read):
    # 100 of goods and 8 of tax; of 108, 21.60 came back: 20 of goods and 1.60 of tax.
    done = read(charge(1), charge(2, Amount_Refunded="21.60"))
    assert done.net == {"pi_1": 100, "pi_2": 80}
    assert done.orders.loc["pi_2", "refund_amount"] == 20


def test_the_converted_amount_is_taken_where_there_is_one(read):
    eur = {"Currency": "eur", "Amount": "99.36", "Amount Refunded": "19.87"}
    usd = {"Converted Amount": "108.00", "Converted Amount Refunded": "21.60"}
    done = read(charge(1), charge(2) | eur | usd | {"Converted Currency": "usd"})
    assert done.net == {"pi_1": 100, "pi_2": 80}


def test_a_charge_in_another_currency_and_not_converted_is_not_added_up(read):
    with pytest.raises(DataError, match="1 in eur"):
        read(charge(1), charge(2, Currency="eur"))
    done = read(charge(1), charge(2, Currency="eur"), other_currencies="reject")
    assert done.rejected == {"other_currency": 1}


@pytest.mark.parametrize("header", ["Created (UTC)", "Created date (UTC)"])
@pytest.mark.parametrize(
    "text", ["2025-03-02 02:30:00", "2025-03-02 02:30", "2025-03-02 02:30 UTC"]
)
def test_times_are_utc_whatever_the_stores_zone_is(header, text, read):
    names = [header if name == "Created (UTC)" else name for name in COLUMNS]
    done = read({header: text}, header=names, zone="America/New_York")
    assert done.orders["order_date"].astype(str).to_list() == ["2025-03-01"]
    assert done.orders["ordered_at"].astype(str).to_list() == ["2025-03-02 02:30:00"]


NO_PURCHASE = [
    ({"Status": "Failed"}, "unpaid"),
    ({"Status": "requires_action"}, "unpaid"),
    ({"Status": ""}, "unpaid"),
    ({"Captured": "false"}, "unpaid"),
    ({"Mode": "Test"}, "test_order"),
    ({"Mode": "Test", "Status": "Failed"}, "test_order"),
    ({"Status": "Refunded", "Amount Refunded": "108.00"}, "refunded_in_full"),
    ({"Status": "Paid", "Amount Refunded": "108.00"}, "refunded_in_full"),
    ({"Status": "Refunded", "Amount Refunded": ""}, "refunded_in_full"),
    ({"Amount": "n/a"}, "unreadable_amount"),
    ({"Amount": ""}, "unreadable_amount"),
    ({"Tax": "n/a"}, "unreadable_amount"),
    ({"Amount Refunded": "n/a"}, "unreadable_amount"),
    ({"Amount": "0.00", "Tax": "0.00"}, "zero_amount"),
    ({"Created (UTC)": "yesterday"}, "unreadable_date"),
    ({"Customer ID": "", "Customer Email": ""}, "missing_customer"),
]


def test_a_charge_that_is_no_purchase_is_counted_under_its_rule(read, tmp_path):
    values = {f"ch_{number}": what for number, what in enumerate(NO_PURCHASE, start=2)}
    charges = [charge(name.removeprefix("ch_")) | what for name, (what, _) in values.items()]
    done = read(charge(1), *charges)
    rejects = pd.read_csv(tmp_path / "out" / "rejects.csv")
    rules = dict(zip(rejects["id"], rejects["rule"], strict=True))
    assert rules == {name: rule for name, (_, rule) in values.items()}
    assert done.net == {"pi_1": 100}


def test_a_paid_charge_is_a_purchase_in_every_wording(read):
    wordings = ("Paid", "paid", "succeeded", "Partial refund")
    done = read(*(charge(i, Status=status) for i, status in enumerate(wordings)))
    assert done.net == {f"pi_{i}": 100 for i in range(len(wordings))}


def test_empty_tax_refund_capture_and_mode_say_nothing_against_a_charge(read):
    done = read(charge(1, Tax="", Amount_Refunded="", Captured="", Mode=""))
    assert done.net == {"pi_1": 108}


def test_a_failed_charge_leaves_the_paid_one_of_its_order_alone(read):
    failed = {"id": "ch_0", "Status": "Failed", "Captured": "false"}
    done = read(failed | {"Created (UTC)": "2025-02-28 11:00:00"}, charge(1))
    assert done.net == {"pi_1": 100}
    assert done.orders["order_date"].astype(str).to_list() == ["2025-03-01"]
    assert done.rejected == {"unpaid": 1}


def test_paid_charges_of_a_payment_and_else_of_an_invoice_are_one_order(read):
    invoice = {"PaymentIntent ID": "", "Invoice ID": "in_7"}
    rest = [{"id": f"ch_9{i}", "PaymentIntent ID": f"pi_9{i}"} for i in range(9)]
    done = read(
        {"id": "ch_1"},
        {"id": "ch_2", "Amount": "54.00", "Tax": "4.00"},
        {"id": "ch_3"} | invoice,
        {"id": "ch_4", "Amount": "27.00", "Tax": "2.00"} | invoice,
        {"id": "ch_5", "PaymentIntent ID": ""},
        *rest,
    )
    assert {name: done.net[name] for name in ("pi_1", "in_7", "ch_5")} == {
        "pi_1": 150,
        "in_7": 125,
        "ch_5": 100,
    }
    assert len(done.net) == 3 + len(rest)
    assert done.history.accounting.merged["lines_summed"] == 2


def test_a_charge_that_is_in_two_files_counts_once(read, tmp_path):
    write(tmp_path / "in" / "earlier.csv", [PAID | charge(1)])
    done = read(charge(1), charge(2))
    assert done.net == {"pi_1": 100, "pi_2": 100}
    assert done.history.accounting.merged["exact_duplicates"] == 1


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize(
    ("before", "after", "net", "rejected"),
    [
        ({}, {"Amount_Refunded": "54.00"}, 50, {}),
        ({"Status": "Pending"}, {}, 100, {}),
        ({}, {"Amount_Refunded": "108.00", "Status": "Refunded"}, None, {"refunded_in_full": 1}),
    ],
)
def test_of_two_versions_of_a_charge_the_newer_counts(
    read, tmp_path, before, after, net, rejected, turn
):
    older, newer = [charge(1, **text) for text in (before, after)][::turn]
    write(tmp_path / "in" / "earlier.csv", [PAID | older])
    done = read(newer, charge(2), charge(2))
    assert done.net == ({"pi_1": net} if net else {}) | {"pi_2": 100}
    assert done.history.accounting.merged["older_versions"] == 1
    assert done.history.accounting.is_balanced
    assert done.rejected == rejected


def test_exports_of_years_with_other_headings_are_one_history(read, tmp_path):
    renamed = {"Created (UTC)": "Created date (UTC)"}
    later = {renamed.get(name, name): value for name, value in (PAID | charge(2)).items()}
    later |= {"Amount Refunded": "54.00", "Refunded (UTC)": "2025-09-01 10:00:00"}
    write(tmp_path / "in" / "later.csv", [later], tuple(later))
    done = read(charge(1), as_of=date(2025, 8, 31))
    assert done.net == {"pi_1": 100, "pi_2": 100}
    assert read(charge(1)).net == {"pi_1": 100, "pi_2": 50}
    assert set(done.orders["order_date"].astype("str")) == {"2025-03-01"}


def test_an_old_export_without_the_later_columns_is_read(read):
    done = read(charge(1), charge(2, Amount_Refunded="27.00"), header=OLD)
    assert done.net == {"ch_1": 108, "ch_2": 81}
    assert done.orders["customer_id"].to_list() == ["cus_1", "cus_1"]


def test_e_mail_and_customer_id_are_one_customer(read):
    done = read(
        charge(1),
        charge(2, Customer_ID="", Customer_Email="ADA@shop.org "),
        charge(3, Customer_Email="ada@home.org"),
        charge(4, Customer_ID="cus_2", Customer_Email="bob@shop.org"),
    )
    assert done.orders["customer_id"].to_dict() == {
        "pi_1": "cus_1",
        "pi_2": "cus_1",
        "pi_3": "cus_1",
        "pi_4": "cus_2",
    }


@pytest.mark.parametrize("other", ["12,50", "7", "1.000.000,00", "0,5"])
def test_amounts_with_a_decimal_comma_are_read(other, read):
    done = read(charge(1, Amount="1.234,56", Tax="34,56"), charge(2, Amount=other, Tax="0,00"))
    value = {"12,50": 12.5, "7": 7, "1.000.000,00": 1_000_000, "0,5": 0.5}[other]
    assert done.net == {"pi_1": 1200, "pi_2": value}


def test_a_comma_in_a_column_of_points_is_no_decimal_comma(read):
    done = read(charge(1), charge(2, Amount="12,50"), charge(3, Amount="1,234.56"))
    assert done.net == {"pi_1": 100, "pi_3": 1226.56}
    assert done.rejected == {"unreadable_amount": 1}


def test_points_without_any_comma_are_decimal_points(read):
    assert read(charge(1, Amount="1.234", Tax="")).net == {"pi_1": 1.23}


@pytest.mark.parametrize("words", ["subscription update", "Subscription cycle"])
def test_renewals_of_subscriptions_are_refused_beyond_a_fifth_of_the_paid_charges(words, read):
    one_off = [charge(i) for i in range(1, 5)]
    renewal = {"Description": words}
    done = read(*one_off, charge(5) | renewal)
    assert len(done.net) == 5
    assert [note for note in done.history.quality.warnings if note.startswith("1 of 5 orders")]
    with pytest.raises(DataError, match=r"2 of 6 orders renew .* orders.renewals"):
        read(*one_off, charge(5) | renewal, charge(6) | renewal)


def test_renewals_are_left_out_or_counted_as_the_settings_name_it(read):
    renewals = [charge(i, Description="Subscription update") for i in (2, 3)]
    done = read(charge(1), *renewals, renewals="exclude")
    assert (done.net, done.rejected) == ({"pi_1": 100}, {"renewal": 2})
    assert len(read(charge(1), *renewals, renewals="count").net) == 3


@pytest.mark.parametrize(
    "one_off",
    [
        {"Invoice ID": "in_{}", "Description": "Payment for Invoice"},
        {"Invoice ID": "in_{}", "Description": ""},
        {"Description": "Subscription creation"},
        {"Description": "Yearly subscription box"},
    ],
)
def test_an_invoice_and_a_subscriptions_first_payment_renew_nothing(read, one_off):
    charges = [
        charge(i) | {name: value.format(i) for name, value in one_off.items()} for i in range(4)
    ]
    assert len(read(*charges).net) == 4


def test_only_live_paid_charges_tell_a_store_of_subscriptions(read):
    renewal = {"Description": "Subscription update"}
    done = read(
        charge(1),
        charge(2, Status="Failed") | renewal,
        charge(3, Mode="Test") | renewal,
        charge(4, Captured="false") | renewal,
    )
    assert done.net == {"pi_1": 100}


NEW = (*COLUMNS, "Refunded date (UTC)")


@pytest.mark.parametrize(
    ("zone", "as_of", "net"),
    [
        ("UTC", date(2025, 6, 19), {"pi_1": 100, "pi_2": 100}),
        ("UTC", date(2025, 6, 20), {"pi_1": 80}),
        ("America/New_York", date(2025, 6, 19), {"pi_1": 80}),  # 03:00 UTC is the evening before
    ],
)
def test_a_refund_counts_from_its_day_on(read, zone, as_of, net):
    day = {"Refunded date (UTC)": "2025-06-20 03:00:00"}
    rows = [
        charge(1, Amount_Refunded="21.60") | day,
        charge(2, Amount_Refunded="108.00", Status="Refunded") | day,
    ]
    done = read(*rows, header=NEW, zone=zone, as_of=as_of)
    assert done.net == net
    assert done.rejected == ({} if len(net) == 2 else {"refunded_in_full": 1})
    assert not [note for note in done.history.quality.warnings if "no day" in note]


def test_a_refund_whose_day_is_empty_counts_from_the_orders_day_on(read):
    done = read(charge(1, Amount_Refunded="21.60"), header=NEW, as_of=date(2025, 3, 1))
    assert done.net == {"pi_1": 80}


DISPUTES = [  # 108.00 with 8.00 of tax were paid
    ({"Dispute_Status": "lost", "Disputed_Amount": "108.00"}, None),
    ({"Dispute_Status": "Lost", "Disputed_Amount": "54.00"}, 50),
    ({"Dispute_Status": "lost", "Disputed_Amount": "-54.00"}, 50),
    ({"Dispute_Status": "lost", "Disputed_Amount": ""}, None),
    ({"Dispute_Status": "prevented", "Disputed_Amount": "108.00"}, None),
    ({"Dispute_Status": "lost", "Disputed_Amount": "54.00", "Amount_Refunded": "54.00"}, None),
    ({"Dispute_Status": "lost", "Disputed_Amount": "27.00", "Amount_Refunded": "54.00"}, 25),
    # What was refunded during an inquiry is in the refunded amount already.
    (
        {
            "Dispute_Status": "charge_refunded",
            "Disputed_Amount": "54.00",
            "Amount_Refunded": "54.00",
        },
        50,
    ),
    *(
        ({"Dispute_Status": status, "Disputed_Amount": "108.00"}, 100)
        for status in (
            "won",
            "needs_response",
            "under_review",
            "warning_closed",
            "warning_needs_response",
            "",
        )
    ),
]


def test_a_lost_dispute_takes_its_amount_away_and_others_do_not(read):
    rows = [charge(i, **what) for i, (what, _) in enumerate(DISPUTES)]
    done = read(*rows)
    assert done.net == {f"pi_{i}": net for i, (_, net) in enumerate(DISPUTES) if net is not None}
    assert done.rejected == {"refunded_in_full": 4}


def test_a_lost_dispute_counts_from_its_day_on(read):
    lost = {
        "Dispute Status": "lost",
        "Disputed Amount": "54.00",
        "Dispute Date (UTC)": "2025-04-01 00:30",
    }
    rows = [charge(1), charge(2) | lost]
    assert read(*rows, as_of=date(2025, 3, 31)).net["pi_2"] == 100
    assert read(*rows, as_of=date(2025, 4, 1)).net["pi_2"] == 50


def test_a_disputed_amount_is_in_the_currency_of_the_charge(read):
    # Half of 99.36 EUR, which were 108.00 USD with 8.00 of tax.
    eur = {
        "Currency": "eur",
        "Amount": "99.36",
        "Dispute Status": "lost",
        "Disputed Amount": "49.68",
    }
    usd = {"Converted Amount": "108.00", "Converted Amount Refunded": "0.00"}
    assert read(charge(1) | eur | usd | {"Converted Currency": "usd"}).net == {"pi_1": 50}


@pytest.mark.parametrize("status", ["Chargeback won", "settled", "Überwiesen"])
def test_an_unknown_status_is_named_until_the_settings_name_it(read, status):
    rows = [charge(1), charge(2, Status=status)]
    assert read(*rows).rejected == {"unknown_status": 1}
    assert read(*rows, paid_statuses=(status.lower(),)).net == {"pi_1": 100, "pi_2": 100}
    assert read(*rows, void_statuses=(status,)).rejected == {"unpaid": 1}


def test_the_settings_go_before_the_statuses_of_stripe(read):
    rows = [charge(1), charge(2, Status="Pending"), charge(3, Status="disputed")]
    done = read(*rows, paid_statuses=("pending",), void_statuses=("disputed",))
    assert (set(done.net), done.rejected) == ({"pi_1", "pi_2"}, {"unpaid": 1})


def test_what_the_export_lacks_is_noted_with_the_column_and_the_setting(read, tmp_path):
    read(charge(1))
    notes = " ".join(notes_of(tmp_path))
    assert "shipping" in notes
    assert "'Refunded date (UTC)', or set orders.columns.refunded_at" in notes
    assert "is missing" not in notes
    read(charge(1), header=OLD)
    for column in ("tax", "mode", "dispute_status", "payment_intent"):
        assert f"orders.columns.{column}" in " ".join(notes_of(tmp_path))


def test_amounts_and_moments_are_listed_in_every_wording():
    names = ("Fee", "AMOUNT", "Disputed Amount", "Created date (UTC)", "Dispute Date (UTC)", "Tax")
    assert STRIPE.amounts(names) == ["AMOUNT", "Disputed Amount", "Tax"]
    assert STRIPE.moments(names) == ["Created date (UTC)", "Dispute Date (UTC)"]


def test_the_cards_name_and_postal_code_are_evidence_of_who_paid(read, tmp_path):
    read(charge(1, Card_Name="Ada L", Card_Address_Zip="02139"))
    with open_engine() as engine:
        rows = engine.read_rows([tmp_path / "in" / "payments.csv"]).rows
        actual = STRIPE.read(engine, {"orders": rows}, OrderSource(""), AS_OF)
        rows = actual.rows.select(
            **{n: actual.columns[n] for n in ("name", "postal_code", "status")}
        )
        assert engine.frame(rows).iloc[0].to_list() == ["Ada L", "02139", "Paid"]


def test_a_column_of_ones_own_can_be_mapped(read):
    header = (*COLUMNS, "shop (metadata)")
    done = read(
        {"shop (metadata)": "outlet"}, header=header, columns={"channel": "shop (metadata)"}
    )
    assert done.orders["channel"].to_list() == ["outlet"]


def test_columns_that_are_missing_are_all_named(read):
    missing = r"no column 'Status'.*orders.columns.status.*'where'.*orders.columns.channel"
    with pytest.raises(SourceError, match=missing):
        read(header=OLD[:-2], columns={"channel": "where"})
    with pytest.raises(SourceError, match="neither Customer ID nor Customer Email"):
        read(charge(1), header=OLD[:-1])


def test_a_needed_column_of_another_name_is_mapped(read):
    header = ["State" if name == "Status" else name for name in COLUMNS]
    done = read(
        {"State": "Paid"},
        {"id": "ch_2", "State": "Failed"},
        header=header,
        columns={"status": "State"},
    )
    assert (len(done.net), done.rejected) == (1, {"unpaid": 1})


def test_stripes_header_is_told_from_others():
    assert STRIPE.recognize({"orders": tuple(COLUMNS)})
    assert STRIPE.recognize({"orders": OLD})
    assert not STRIPE.recognize({"orders": OLD[1:]})
    assert not STRIPE.recognize({"orders": ("id", "Created at", "Amount", "Currency", "Status")})
    assert not STRIPE.recognize({"orders": OLD, "lines": OLD})
