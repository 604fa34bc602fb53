"""What Klaviyo does not name is found by halves: rows of refused jobs, people of several addresses."""

import pytest

from connectors.klaviyo.erasure import Erasures
from connectors.klaviyo.errors import RequestRefusedError, UnavailableError
from connectors.klaviyo.manifest import Manifest
from perennial.cli.shown import show_outcome
from perennial.cli.terminal import Outcome
from tests.klaviyo_double import Fault, RefusedError
from tests.klaviyo_store import Shop, change, dying

JOBS = "POST /api/profile-bulk-import-jobs"


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def refuse(shop, *customers, status=400):
    """Let Klaviyo refuse jobs with these customers, without word of them."""
    shop.double.refuses_at_once, shop.double.names_no_row = True, True
    shop.double.refuses_with, shop.double.bad_keys = status, set(customers)


@pytest.mark.parametrize(
    "customers",
    [
        ["c0000000"],
        ["c0000059"],
        ["c0000031"],
        ["c0000004", "c0000005"],
        ["c0000000", "c0000030", "c0000059"],
    ],
    ids=lambda customers: "+".join(one[-2:] for one in customers),
)
def test_the_rows_of_a_job_that_is_refused_without_naming_them_are_found(shop, customers):
    refuse(shop, *customers)
    outcome = shop.sync()
    assert (outcome.confirmed, outcome.rejected) == (60 - len(customers), len(customers))
    assert set(shop.rejects()["customer_id"]) == set(customers)
    assert set(shop.rejects()["code"]) == {"invalid"}
    assert shop.double.received[JOBS] <= 1 + 13 * len(customers)
    shop.double.bad_keys = set()
    assert shop.sync().confirmed == len(customers)
    assert shop.is_right()


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_status_that_a_row_can_be_to_blame_for_splits_a_job(shop, status):
    refuse(shop, "c0000017", status=status)
    assert shop.sync().rejected == 1


@pytest.mark.parametrize("status", [404, 405, 409, 415])
def test_another_refusal_rejects_nobody(shop, status):
    refuse(shop, "c0000017", status=status)
    with pytest.raises(RequestRefusedError):
        shop.sync()
    assert shop.double.received[JOBS] == 1


def test_jobs_that_are_refused_one_and_all_are_no_fault_of_a_row(tmp_path):
    shop = Shop(tmp_path, customers=300)
    refuse(shop, *shop.scores["customer_id"])
    with pytest.raises(RequestRefusedError):
        shop.sync()
    assert shop.double.received[JOBS] < 130


def test_a_refused_job_is_refused_on_the_day_and_not_on_the_next(shop):
    refuse(shop, "c0000017")
    shop.sync()
    shop.publish(change(shop.scores, 0.5, 1), "r2")
    shop.double.bad_keys = set()
    shop.sync()
    assert shop.is_right()


def test_a_split_job_whose_sync_was_killed_goes_on_where_it_was(shop):
    refuse(shop, "c0000017")
    dying(shop.double, 5)
    with pytest.raises(UnavailableError):
        shop.sync(tries=1)
    assert Manifest(shop.places.open).splits > 1
    shop.double.fault = lambda *_: None
    outcome = shop.sync()
    assert (outcome.resumed, outcome.confirmed, outcome.rejected) == (True, 59, 1)


def test_a_person_is_forgotten_in_a_split_job_and_nobody_else_is(shop):
    refuse(shop, "c0000017")
    dying(shop.double, 4)
    with pytest.raises(UnavailableError):
        shop.sync(tries=1)
    shop.double.fault = lambda *_: None
    Erasures(shop.settings.state).add(["c0000003", "c0000050"])
    Manifest(shop.places.open).forget({"c0000003", "c0000050"})
    outcome = shop.sync()
    assert (outcome.confirmed, outcome.rejected) == (57, 1)


@pytest.mark.parametrize("first", [20, 30, 41])
def test_a_split_parts_rows_and_faults(shop, first):
    dying(shop.double, 1)
    with pytest.raises(UnavailableError):
        shop.sync(tries=1)
    manifest = Manifest(shop.places.open)
    faults = {str(row): ("invalid", f"about {row}", "") for row in (3, 25, 40, 59)}
    manifest.note(1, manifest.state(1), faults=faults)
    manifest.split(1, first)
    again = Manifest(shop.places.open)
    assert list(again.numbers) == [1, 2]
    assert [len(again.rows(number)) for number in again.numbers] == [first, 60 - first]
    assert set(again.state(1).faults) == {row for row in faults if int(row) < first}
    assert set(again.state(2).faults) == {row for row in faults if int(row) >= first}
    assert again.state(1).may_run_twice
    assert not again.state(2).may_run_twice
    gone = set(again.rows(2)["customer_id"][:3])
    again.forget(gone)
    assert [len(again.rows(number)) for number in again.numbers] == [first, 57 - first]


@pytest.mark.parametrize("customers", [["c0000004"], ["c0000000", "c0000059"], ["c0000030"]])
def test_a_failure_that_no_error_names_is_found_too(shop, customers):
    shop.double.bad_keys = set(customers)
    shop.double._import_errors = lambda *_: (200, {"data": [], "links": {}})
    outcome = shop.sync()
    assert (outcome.confirmed, outcome.rejected) == (60 - len(customers), len(customers))
    assert set(shop.rejects()["customer_id"]) == set(customers)


def by_addresses(home, asked, customers=5, **klaviyo):
    """A shop that knows its customers by e-mails."""
    shop = Shop(home, customers=customers, past=0, identifier="email", **klaviyo)
    shop.name(home, {"customer_id": list(asked), "email": list(asked.values())})
    return shop


MAILS = {f"c{i:07}": f"p{i}@example.com" for i in range(5)}


@pytest.mark.parametrize(
    "several",
    [["c0000000"], ["c0000001", "c0000003"], ["c0000004"], list(MAILS)],
    ids=lambda several: str(len(several)) + several[0][-1],
)
def test_who_is_found_by_a_further_address_is_known_and_told_by_the_first(tmp_path, several):
    shop = by_addresses(tmp_path, MAILS)
    serials = {}
    for customer, email in MAILS.items():
        first = f"first.{email}" if customer in several else email
        serials[customer] = shop.double.add_profile(email=first)
        shop.double.add_address(serials[customer], email)
    outcome = shop.sync()
    assert (outcome.confirmed, outcome.counts.unknown_profile) == (5, 0)
    reported = [shop.double.profiles[serials[c]]["properties"]["Retention Holdout"] for c in MAILS]
    assert reported == list(shop.scores["is_holdout"])
    assert {p["email"] for p in shop.double.profiles.values()} == {
        f"first.{email}" if customer in several else email for customer, email in MAILS.items()
    }
    assert shop.double.created_profiles == 0


def test_among_people_who_are_not_known_a_further_address_is_found(tmp_path):
    asked = {f"c{i:07}": f"p{i}@example.com" for i in range(150)}
    shop = by_addresses(tmp_path, asked, customers=150)
    serial = shop.double.add_profile(email="ann@example.com")
    shop.double.add_address(serial, "P77@Example.com")
    outcome = shop.sync()
    assert (outcome.confirmed, outcome.counts.unknown_profile) == (1, 149)
    assert shop.double.received["GET /api/profiles"] < 20


def test_two_customers_of_one_profile_by_two_addresses_are_one(tmp_path):
    shop = by_addresses(tmp_path, MAILS)
    serial = shop.double.add_profile(email=MAILS["c0000001"])
    shop.double.add_address(serial, MAILS["c0000002"])
    outcome = shop.sync()
    assert (outcome.confirmed, outcome.counts.shared_key) == (1, 1)


def test_a_first_address_that_was_forgotten_is_told_nothing(tmp_path):
    shop = by_addresses(tmp_path, MAILS)
    serial = shop.double.add_profile(email="gone@example.com")
    shop.double.add_address(serial, MAILS["c0000001"])
    Erasures(shop.settings.state).add(["gone@example.com"])
    shop.sync()
    assert shop.double.profiles[serial]["properties"] == {}


def test_an_id_is_never_matched_with_another(tmp_path):
    """Ids that differ in case are two people, whatever Klaviyo finds."""
    shop = Shop(tmp_path, customers=3, past=0)
    serial = shop.double.add_profile(external_id="C0000001")
    shop.double.by_key["external_id", "c0000001"] = serial
    assert shop.sync().counts.unknown_profile == 3


@pytest.mark.parametrize("share", [0.2, 0.6, 1.0])
def test_events_that_are_accepted_are_said_to_be_unverified(tmp_path, share):
    shop = Shop(tmp_path, events=True)
    assert shop.sync().events_unverified == 0
    before = shop.scores
    shop.publish(change(before, share, 1), "r2")
    moved = (before["segment"] != shop.scores["segment"]) & ~before["is_holdout"]
    outcome = shop.sync()
    assert outcome.events_unverified == moved.sum() == outcome.counts.moved


def test_events_of_a_sync_that_was_killed_are_counted_once(tmp_path):
    shop = Shop(tmp_path, events=True)
    shop.sync()
    before = shop.scores
    shop.publish(change(before, 0.6, 1), "r2")
    moved = (before["segment"] != shop.scores["segment"]) & ~before["is_holdout"]
    left = [Fault("lose")]
    shop.double.fault = lambda _, path: left.pop() if left and "event" in path else None
    with pytest.raises(UnavailableError):
        shop.sync(tries=1)
    assert shop.sync().events_unverified == moved.sum()


def test_a_refused_bulk_of_events_is_not_counted(tmp_path):
    shop = Shop(tmp_path, events=True)
    shop.sync()
    shop.publish(change(shop.scores, 0.6, 1), "r2")

    def refuse_events(*_):
        raise RefusedError(400, "invalid")

    shop.double._create_events = refuse_events
    with pytest.raises(RequestRefusedError):
        shop.sync()


def test_a_sync_shows_that_its_events_are_not_verified(tmp_path, capsys):
    shop = Shop(tmp_path, events=True)
    shop.sync()
    shop.publish(change(shop.scores, 0.6, 1), "r2")
    outcome = shop.sync()
    show_outcome(Outcome("synced", outcome.to_dict()), as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert f"Events: {outcome.events_unverified} events accepted, none verified" in shown
