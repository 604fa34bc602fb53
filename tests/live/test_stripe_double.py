"""The double of Stripe obeys the platform's rules."""

import random
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import httpx
import pytest

from perennial.simulation import simulate
from tests.live.double import Clock, Faults, Server
from tests.live.shapes import differences, payload
from tests.live.stripe_double import LIVE_KEY, PERMISSIONS, TEST_KEY, StripeDouble
from tests.live.stripe_records import API_VERSION, Account, decimals, major
from tests.live.stripe_store import RARE_WEIGHTS, WEIGHTS, Payment, StripeStore, load

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loads none: a client in no time
DAY = 86_400


@pytest.fixture
def store() -> StripeStore:
    return StripeStore(Clock())


@pytest.fixture
def double(store) -> StripeDouble:
    return StripeDouble(store)


@pytest.fixture
def client(double) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {LIVE_KEY}", "Stripe-Version": API_VERSION}
    with (
        Server(double) as server,
        httpx.Client(base_url=server.url, headers=headers, verify=NO_CERTIFICATES) as client,
    ):
        yield client


def listed(client: httpx.Client, name: str, **query) -> list[dict]:
    response = client.get(f"/v1/{name}", params=query)
    assert response.status_code == 200, response.text
    return response.json()["data"]


def everything(client: httpx.Client, name: str, limit: int = 7, **query) -> list[dict]:
    """Read all pages by the cursor."""
    rows: list[dict] = []
    while True:
        after = {"starting_after": rows[-1]["id"]} if rows else {}
        page = client.get(f"/v1/{name}", params={**query, "limit": limit, **after}).json()
        rows += page["data"]
        if not page["has_more"]:
            return rows


def error(response: httpx.Response, status: int) -> dict:
    assert response.status_code == status, response.text
    return response.json()["error"]


# Shapes


def lively(store: StripeStore) -> str:
    """Make a payment whose first try failed; a part is given back a day later."""
    customer = store.add_customer("ada.sample@example.com", "Ada Sample")
    charge_id = store.pay(Payment(3956, customer=customer, tries=2))
    store.clock.advance(DAY)
    store.refund(charge_id, 1296)
    return charge_id


def test_charges_have_the_shape_of_the_vendor_s(store, client):
    lively(store)
    store.pay()
    ours = client.get("/v1/charges", params={"expand[]": "data.balance_transaction"}).json()
    of_source = ".data[].balance_transaction."
    extra = (f"{of_source}reporting_category", f"{of_source}source")
    for name in ("charges.page1.json", "charges.page2.json"):
        assert differences(payload("stripe", name), ours, extra) == []


def test_refunds_and_balances_have_the_shape_of_the_vendor_s(store, client):
    lively(store)
    refunds = client.get("/v1/refunds").json()
    assert differences(payload("stripe", "refunds.page1.json"), refunds) == []
    balances = client.get("/v1/balance_transactions", params={"type": "refund"}).json()
    extra = (".data[].exchange_rate",)
    assert differences(payload("stripe", "balance_transactions.json"), balances, extra) == []


def test_events_and_customers_have_the_shape_of_the_vendor_s(store, client):
    lively(store)
    events = client.get("/v1/events", params={"type": "charge.refunded"}).json()
    assert differences(payload("stripe", "events.charge_refunded.json"), events) == []
    (charge, _) = listed(client, "charges", **{"expand[]": "data.customer"})
    assert differences(payload("stripe", "customer.expanded.json"), charge["customer"]) == []


def test_errors_are_the_vendor_s(store, double, client):
    gone = client.get("/v1/charges", params={"starting_after": "ch_GONE"})
    assert gone.json() == payload("stripe", "error.400.cursor.json")
    nobody = client.get("/v1/charges", headers={"Authorization": "Bearer rk_live_000000000000"})
    assert nobody.json() == payload("stripe", "error.401.json")
    assert nobody.status_code == 401
    double.permissions.remove("rak_charge_read")
    refused = client.get("/v1/charges")
    assert differences(payload("stripe", "error.403.json"), refused.json()) == []
    double.permissions.add("rak_charge_read")
    double.faults = Faults(at={"429": [len(double.requests) + 1]})
    limited = client.get("/v1/charges")
    assert limited.json() == payload("stripe", "error.429.json")
    assert limited.headers["Retry-After"] == "7"


def test_a_partly_refunded_charge_reads_as_the_stored_one(store, client):
    lively(store)
    theirs = payload("stripe", "charges.page2.json")["data"][0]
    ours = listed(client, "charges")[0]
    same = ("amount", "amount_captured", "amount_refunded", "captured", "paid", "refunded")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}


# Lists


def test_lists_are_newest_first_with_a_cursor(store, client):
    for _ in range(5):
        store.pay()
        store.clock.advance(1)
    ids = list(store.charges)[::-1]
    page = client.get("/v1/charges", params={"limit": 2}).json()
    assert [row["id"] for row in page["data"]] == ids[:2]
    assert (page["has_more"], page["url"], page["object"]) == (True, "/v1/charges", "list")
    page = client.get("/v1/charges", params={"limit": 3, "starting_after": ids[1]}).json()
    assert [row["id"] for row in page["data"]] == ids[2:]
    assert page["has_more"] is False
    page = client.get("/v1/charges", params={"limit": 2, "ending_before": ids[3]}).json()
    assert [row["id"] for row in page["data"]] == ids[1:3]


def test_a_page_has_ten_by_default(store, client):
    for _ in range(12):
        store.pay()
    assert len(listed(client, "charges")) == 10
    assert len(listed(client, "charges", limit=100)) == 12


def test_charges_of_one_second_are_paged_without_a_gap(store, client):
    for _ in range(20):
        store.pay()
    rows = everything(client, "charges", limit=3)
    assert [row["id"] for row in rows] == list(store.charges)[::-1]


def test_new_rows_in_front_shift_no_page(store, double, client):
    for _ in range(20):
        store.pay()
        store.clock.advance(1)
    there = list(store.charges)[::-1]
    double.hooks.append(lambda _: store.pay())
    rows = [row["id"] for row in everything(client, "charges", limit=4)]
    assert [one for one in rows if one in there] == there


def test_a_cursor_that_is_gone_is_refused(store, client):
    charge_id = store.pay()
    store.delete_charge(charge_id)
    refusal = error(client.get("/v1/charges", params={"starting_after": charge_id}), 400)
    assert (refusal["code"], refusal["param"]) == ("resource_missing", "starting_after")
    assert error(client.get(f"/v1/charges/{charge_id}"), 404)["code"] == "resource_missing"
    assert store.deleted_charges.keys() == {charge_id}


def test_ranges_are_half_open_as_they_are_named(store, client):
    now = store.now()
    ids = [store.pay(Payment(created=now - back)) for back in (2, 1, 0)]
    first, second, third = ids

    def within(**query: int) -> set[str]:
        names = {f"created[{name}]": at for name, at in query.items()}
        return {row["id"] for row in listed(client, "charges", **names)}

    assert within(gte=now - 1) == {second, third}
    assert within(gt=now - 1) == {third}
    assert within(lt=now) == {first, second}
    assert within(lte=now - 1, gte=now - 1) == {second}
    assert within(gte=now - 2, lt=now - 1) == {first}
    assert [row["id"] for row in listed(client, "charges", created=now - 1)] == [second]


def test_lists_are_filtered_by_what_a_row_belongs_to(store, client):
    charge_id = lively(store)
    other = store.pay()
    intent = store.charges[charge_id].payment_intent
    assert {row["payment_intent"] for row in listed(client, "charges", payment_intent=intent)} == {
        intent
    }
    assert len(listed(client, "refunds", charge=charge_id)) == 1
    assert listed(client, "refunds", charge=other) == []
    customer = store.charges[charge_id].customer
    assert len(listed(client, "charges", customer=customer)) == 2


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": 101}, "limit"),
        ({"limit": 0}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"created[gte]": "2026-11-29"}, "created[gte]"),
        ({"created_after": 1}, "created_after"),
        ({"updated[gte]": 1}, "updated[gte]"),
        ({"starting_after": "re_1"}, "starting_after"),
    ],
)
def test_wrong_parameters_are_refused(client, query, param):
    assert error(client.get("/v1/charges", params=query), 400)["param"] == param


def test_two_cursors_are_refused(store, client):
    one = store.pay()
    query = {"starting_after": one, "ending_before": one}
    assert "both" in error(client.get("/v1/charges", params=query), 400)["message"]


def test_objects_are_bare_ids_unless_expanded(store, client):
    charge_id = lively(store)
    bare = client.get(f"/v1/charges/{charge_id}").json()
    assert bare["customer"].startswith("cus_")
    assert bare["balance_transaction"].startswith("txn_")
    assert "refunds" not in bare
    query = [("expand[]", "data.customer"), ("expand[]", "data.refunds")]
    row = client.get("/v1/charges", params=query).json()["data"][0]
    assert row["customer"]["email"] == "ada.sample@example.com"
    assert [one["amount"] for one in row["refunds"]["data"]] == [1296]
    assert row["balance_transaction"].startswith("txn_")
    numbered = listed(client, "charges", **{"expand[0]": "data.customer"})
    assert numbered[0]["customer"]["object"] == "customer"


@pytest.mark.parametrize("path", ["customer", "data.amount", "data.nothing"])
def test_what_is_no_object_cannot_be_expanded(client, path):
    refusal = error(client.get("/v1/charges", params={"expand[]": path}), 400)
    assert f"cannot be expanded ({path})" in refusal["message"]


def test_a_deleted_customer_is_an_id_and_in_no_list(store, client):
    charge_id = lively(store)
    customer = store.charges[charge_id].customer
    store.delete_customer(customer)
    assert client.get(f"/v1/customers/{customer}").json() == {
        "id": customer,
        "object": "customer",
        "deleted": True,
    }
    assert listed(client, "customers") == []
    row = listed(client, "charges", **{"expand[]": "data.customer"})[0]
    assert row["customer"]["deleted"] is True
    assert row["billing_details"]["email"] == "ada.sample@example.com"
    gone = client.get("/v1/customers", params={"starting_after": customer})
    assert error(gone, 400)["message"] == f"No such customer: '{customer}'"


# Keys


@pytest.mark.parametrize("name", PERMISSIONS)
def test_a_restricted_key_names_the_permission_that_it_lacks(double, client, name):
    assert client.get(f"/v1/{name}").status_code == 200
    double.permissions.discard(PERMISSIONS[name])
    message = error(client.get(f"/v1/{name}"), 403)["message"]
    assert PERMISSIONS[name] in message
    assert LIVE_KEY not in message


def test_what_is_expanded_needs_its_own_permission(double, client):
    double.permissions.discard("rak_customer_read")
    assert client.get("/v1/charges").status_code == 200
    refused = client.get("/v1/charges", params={"expand[]": "data.customer"})
    assert "rak_customer_read" in error(refused, 403)["message"]


def test_nothing_can_be_written(store, client):
    charge_id = store.pay()
    before = dict(store.charges)
    for method in ("POST", "DELETE"):
        refused = client.request(method, f"/v1/charges/{charge_id}")
        assert "rak_charge_write" in error(refused, 403)["message"]
    assert store.charges == before


def test_modes_are_apart(store, double, client):
    live, test = store.pay(), store.pay(Payment(livemode=False))
    assert [row["id"] for row in listed(client, "charges")] == [live]
    hint = error(client.get(f"/v1/charges/{test}"), 404)["message"]
    assert "exists in test mode, but a live mode key" in hint
    of_test = client.get("/v1/charges", headers={"Authorization": f"Bearer {TEST_KEY}"}).json()
    assert [(row["id"], row["livemode"]) for row in of_test["data"]] == [(test, False)]
    double.mixes_modes = True
    assert {row["livemode"] for row in listed(client, "charges")} == {True, False}


def test_a_key_may_be_the_user_of_basic_authentication(double, store):
    with Server(double) as server:
        url, options = f"{server.url}/v1/charges", {"verify": NO_CERTIFICATES}
        assert httpx.get(url, auth=(LIVE_KEY, ""), **options).status_code == 200
        nobody = httpx.get(url, **options)
    assert "did not provide" in error(nobody, 401)["message"]


def test_versions_and_addresses_are_checked(client):
    wrong = client.get("/v1/charges", headers={"Stripe-Version": "endive"})
    assert "Invalid Stripe API version" in error(wrong, 400)["message"]
    assert error(client.get("/v1/nothing"), 404)["type"] == "invalid_request_error"
    assert error(client.get("/v2/charges"), 404)
    good = client.get("/v1/charges")
    assert good.headers["Stripe-Version"] == API_VERSION
    assert good.headers["Request-Id"].startswith("req_")


@pytest.mark.parametrize(("key", "most"), [(LIVE_KEY, 100), (TEST_KEY, 25)])
def test_reads_are_limited_by_the_second(double, client, key, most):
    double.has_rate_limit = True
    headers = {"Authorization": f"Bearer {key}"}
    answers = [client.get("/v1/account", headers=headers) for _ in range(most + 1)]
    assert {answer.status_code for answer in answers[:-1]} == {200}
    assert error(answers[-1], 429)["code"] == "rate_limit"
    assert "Retry-After" not in answers[-1].headers
    double.clock.advance(1)
    assert client.get("/v1/account", headers=headers).status_code == 200
    assert double.limited == 1


def test_faults_are_answered_as_stripe_does(store, double, client):
    double.faults = Faults(at={"500": [1], "429_bare": [2]})
    assert error(client.get("/v1/charges"), 500)["type"] == "api_error"
    assert "Retry-After" not in client.get("/v1/charges").headers


def test_a_preflight_learns_name_currency_and_zone(store, client):
    account = client.get("/v1/account").json()
    assert account["default_currency"] == "eur"
    dashboard = account["settings"]["dashboard"]
    assert (dashboard["timezone"], dashboard["display_name"]) == ("Europe/Berlin", "Example Shop")


# Money


def test_tries_of_a_payment_share_its_intent(store, client):
    charge_id = store.pay(Payment(tries=3))
    rows = listed(client, "charges")
    assert len({row["payment_intent"] for row in rows}) == 1
    assert [row["status"] for row in rows] == ["succeeded", "failed", "failed"]
    failed = rows[1]
    assert (failed["paid"], failed["captured"], failed["amount_captured"]) == (False, False, 0)
    assert (failed["failure_code"], failed["balance_transaction"]) == ("card_declined", None)
    (truth,) = store.truths().values()
    assert (truth.charge_id, truth.tries, truth.captured) == (charge_id, 3, 2000)


def test_a_payment_that_fails_is_no_revenue(store):
    store.pay(Payment(succeeds=False, tries=2))
    (truth,) = store.truths().values()
    assert (truth.is_paid, truth.net(), truth.tries) == (False, 0, 2)


@pytest.mark.parametrize(
    ("currency", "places", "amount"),
    [("jpy", 0, "3900"), ("eur", 2, "39.00"), ("kwd", 3, "3.900")],
)
def test_amounts_are_in_minor_units(store, client, currency, places, amount):
    store.pay(Payment(3900, currency))
    (row,) = listed(client, "charges")
    assert (row["amount"], row["currency"]) == (3900, currency)
    assert decimals(currency) == places
    assert major(row["amount"], currency) == Decimal(amount)


def test_foreign_payments_settle_in_the_account_s_currency(store, client):
    yen, dinar = store.pay(Payment(3900, "jpy")), store.pay(Payment(3900, "kwd"))
    rows = listed(client, "charges", **{"expand[]": "data.balance_transaction"})
    settled = {row["id"]: row["balance_transaction"] for row in rows}
    assert (settled[yen]["amount"], settled[yen]["currency"]) == (2340, "eur")  # 23.40
    assert settled[yen]["exchange_rate"] == 0.006
    assert settled[dinar]["amount"] == 1092  # 3.900 at 2.8 is 10.92
    assert all(one["net"] == one["amount"] - one["fee"] for one in settled.values())


def test_refunds_have_their_own_dates_and_change_state(store, client):
    charge_id = store.pay(Payment(5000))
    store.clock.advance(3 * DAY)
    refund_id = store.refund(charge_id, 2000, status="pending")
    created = store.now()
    since = {"created[gte]": created}
    assert [row["status"] for row in listed(client, "refunds", **since)] == ["pending"]
    assert listed(client, "charges", **since) == []  # a refund makes no charge new
    assert client.get(f"/v1/charges/{charge_id}").json()["amount_refunded"] == 2000
    store.clock.advance(DAY)
    store.settle_refund(refund_id, "failed")
    (row,) = listed(client, "refunds", **since)
    assert (row["status"], row["created"]) == ("failed", created)
    assert row["failure_balance_transaction"].startswith("txn_")
    assert listed(client, "refunds", **{"created[gte]": store.now()}) == []
    assert client.get(f"/v1/charges/{charge_id}").json()["amount_refunded"] == 0
    (truth,) = store.truths().values()
    assert truth.net() == 5000
    categories = [row["reporting_category"] for row in listed(client, "balance_transactions")]
    assert categories == ["refund_failure", "refund", "charge"]


def test_net_revenue_is_by_the_day_of_refunds_and_disputes(store):
    charge_id = store.pay(Payment(5000))  # on November 29, 03:00 in Berlin
    store.clock.advance(DAY)
    store.refund(charge_id, 1000)
    store.clock.advance(DAY)
    dispute_id = store.dispute(charge_id)
    (truth,) = store.truths().values()
    assert [truth.net(date(2026, 11, 29)), truth.net(date(2026, 11, 30))] == [5000, 4000]
    assert truth.net() == 4000  # not decided
    store.settle_dispute(dispute_id, is_won=False)
    (truth,) = store.truths().values()
    assert [truth.net(date(2026, 11, 30)), truth.net(date(2026, 12, 1))] == [4000, 0]


def test_disputes_move_money_and_may_be_won(store, client):
    charge_id = store.pay(Payment(5000))
    dispute_id = store.dispute(charge_id)
    (row,) = listed(client, "disputes")
    assert (row["status"], row["charge"], row["amount"]) == ("needs_response", charge_id, 5000)
    assert client.get(f"/v1/charges/{charge_id}").json()["disputed"] is True
    store.settle_dispute(dispute_id, is_won=True)
    (row,) = listed(client, "disputes")
    assert (row["status"], len(row["balance_transactions"])) == ("won", 2)
    moved = listed(client, "balance_transactions", source=dispute_id)
    assert {one["reporting_category"]: one["amount"] for one in moved} == {
        "dispute": -5000,
        "dispute_reversal": 5000,
    }
    assert next(iter(store.truths().values())).net() == 5000


def test_authorized_amounts_are_taken_or_given_free(store, client):
    taken, free = store.pay(Payment(900, captured=False)), store.pay(Payment(captured=False))
    assert {row["captured"] for row in listed(client, "charges")} == {False}
    assert {row["status"] for row in listed(client, "charges")} == {"succeeded"}
    assert listed(client, "balance_transactions") == []
    store.capture(taken, 600)
    store.release(free)
    rows = {row["id"]: row for row in listed(client, "charges")}
    assert (rows[taken]["amount_captured"], rows[taken]["captured"]) == (600, True)
    assert (rows[free]["refunded"], rows[free]["captured"]) == (True, False)
    assert [row["balance_transaction"] for row in listed(client, "refunds")] == [None]
    nets = {truth.charge_id: truth.net() for truth in store.truths().values()}
    assert nets == {taken: 600, free: 0}


def test_more_than_is_left_cannot_be_refunded(store):
    charge_id = store.pay(Payment(500))
    store.refund(charge_id, 400)
    with pytest.raises(ValueError, match="cannot be refunded"):
        store.refund(charge_id, 200)


def test_invoices_may_not_be_shown(store, double, client):
    store.pay(Payment(invoice="in_1"))
    assert listed(client, "charges")[0]["invoice"] == "in_1"
    double.shows_invoice = False
    assert "invoice" not in listed(client, "charges")[0]
    assert next(iter(store.truths().values())).is_renewal


def test_events_are_snapshots_of_the_last_days(store, client):
    charge_id = store.pay(Payment(5000))
    store.refund(charge_id, 1000)
    store.refund(charge_id, 1000)
    both = listed(client, "events", type="charge.refunded")
    assert [one["data"]["object"]["amount_refunded"] for one in both] == [2000, 1000]
    assert both[0]["data"]["previous_attributes"] == {"amount_refunded": 1000}
    kinds = {"types[]": ["charge.refunded", "charge.succeeded"]}
    assert len(listed(client, "events", **kinds)) == 3
    store.clock.advance(31 * DAY)
    assert listed(client, "events") == []


# The oracle


@pytest.mark.parametrize("seed", range(5))
def test_a_random_account_stays_consistent(seed):
    rng, store = random.Random(seed), StripeStore(Clock())
    counts = dict.fromkeys(RARE_WEIGHTS, 0)
    for _ in range(600):
        counts[store.step(rng, RARE_WEIGHTS)] += 1
        store.clock.advance(rng.randint(0, 3600))
    assert min(counts.values()) > 0
    assert not store.deleted_charges.keys() & store.charges.keys()
    assert "delete_charge" not in WEIGHTS
    for charge in store.charges.values():
        assert 0 <= charge.amount_refunded <= charge.amount
        assert charge.amount_captured <= charge.amount
        assert (charge.balance_transaction is not None) == charge.is_paid
    for truth in store.truths().values():
        assert 0 <= truth.net() <= truth.captured
        assert truth.is_paid == (truth.captured > 0)
    statuses = [one.object["status"] for one in store.events.values() if one.type[:7] == "refund."]
    assert set(statuses) == {"pending", "succeeded", "failed", "canceled"}


def test_the_same_seed_gives_the_same_account():
    def run() -> StripeStore:
        rng, store = random.Random(9), StripeStore(Clock())
        for _ in range(100):
            store.step(rng)
        return store

    assert run().charges == run().charges


def test_what_the_api_lists_is_what_the_oracle_lists(store, client):
    rng = random.Random(1)
    for _ in range(150):
        store.step(rng)
        store.clock.advance(rng.randint(0, DAY))
    rows, truths = everything(client, "charges", 50), store.truths()
    assert {row["payment_intent"] for row in rows} == truths.keys()
    for row in rows:
        truth = truths[row["payment_intent"]]
        if row["id"] == truth.charge_id and truth.is_paid:
            lost = sum(one.amount for one in truth.disputes if one.status == "lost")
            assert row["amount"] - row["amount_refunded"] - lost == truth.net()
    refunds = {row["id"]: row["status"] for row in everything(client, "refunds", 50)}
    assert refunds == {one.refund_id: one.status for one in store.refund_truths().values()}


@pytest.mark.parametrize("seed", range(3))
def test_balances_add_up_to_what_was_taken(store, client, seed):
    rng = random.Random(seed)
    for _ in range(400):
        store.step(rng)
    home = [
        row for row in everything(client, "balance_transactions", 100) if not row["exchange_rate"]
    ]
    paid = [truth for truth in store.truths().values() if truth.currency == "eur"]
    waiting = sum(
        one.amount for truth in paid for one in truth.disputes if one.status == "needs_response"
    )
    assert sum(row["amount"] for row in home) == sum(truth.net() for truth in paid) - waiting


def test_a_simulated_store_is_loaded_with_its_amounts():
    world = simulate(30, date(2025, 1, 1), date(2026, 1, 1), 7)
    account = Account(currency=world.profile.currency.lower(), zone=world.profile.timezone)
    store = StripeStore(Clock(datetime(2026, 1, 2, tzinfo=UTC)), account)
    intents = load(store, world)
    truths = store.truths()
    orders = [row for row in world.orders.to_pylist() if row["order_id"] in intents]
    assert len(orders) == len(truths) >= 0.9 * world.orders.num_rows
    for row in orders:
        truth = truths[intents[row["order_id"]]]
        assert truth.net() == round(row["net_amount"] * 100)
        assert truth.day == row["order_date"]
        assert store.customers[truth.customer].email == truth.email
    assert any(truth.refunds for truth in truths.values())
    skipped = {row["order_id"] for row in world.orders.to_pylist()} - intents.keys()
    gross = {row["order_id"]: row for row in world.orders.to_pylist()}
    assert all(gross[o]["gross_amount"] == gross[o]["discount_amount"] for o in skipped)


def test_an_account_may_be_of_another_currency():
    store = StripeStore(Clock(), replace(Account(), currency="jpy"))
    store.pay(Payment(1000, "usd"))  # 10.00
    (balance,) = store.balances.values()
    assert (balance.currency, balance.amount) == ("jpy", 9)
