"""Segments and lists of a name: ours is what Klaviyo confirmed, made once, and nobody else's is touched."""

import json
from collections import Counter
from datetime import timedelta

import pytest

from connectors.klaviyo.errors import KlaviyoError, RequestRefusedError, UnavailableError
from connectors.klaviyo.ownership import LONGEST_LAG, Intent, Made, OwnershipRegistry
from connectors.klaviyo.segments import is_same_definition
from perennial.cli.shown import show_outcome
from perennial.cli.terminal import Outcome
from tests.klaviyo_double import START, Fault
from tests.klaviyo_store import Shop, store_settings

PATHS = {"segment": "/api/segments", "list": "/api/lists"}
SECTIONS = {
    "segment": {"segments": {"Heavy": {"Tier": "heavy"}}},
    "list": {"lists": {"Heavy": {"Tier": "heavy"}}},
}
NAME = "Retention: Heavy"
KINDS = pytest.mark.parametrize("kind", PATHS)


def shop_of(home, kind):
    return Shop(home, **SECTIONS[kind])


def fail(shop, kind, *planned):
    """Let the next creations of the kind fail as planned; None = one that does not."""
    left = list(planned)
    shop.double.fault = lambda method, path: (
        left.pop(0) if left and method == "POST" and path == PATHS[kind] else None
    )


def there(shop, kind):
    return {"segment": shop.double.segments, "list": shop.double.lists}[kind]


def by_a_person(shop, kind, created=None):
    """Put something of our name there that somebody else made."""
    people = list(shop.double.profiles)[:40]
    row = (
        {"name": NAME, "definition": {"condition_groups": [{"conditions": []}]}}
        if kind == "segment"
        else {"name": NAME, "members": set(people), "created": created or START.isoformat()}
    )
    there(shop, kind)["X9"] = row
    return json.dumps(row, default=sorted)


def is_untouched(shop, kind, before):
    return json.dumps(there(shop, kind)["X9"], default=sorted) == before


def is_foreign(message, kind):
    if kind == "segment":
        return message.segments.foreign == (NAME,)
    return message.lists[NAME].is_foreign


@KINDS
@pytest.mark.parametrize("status", [400, 403, 409, 422])
def test_what_klaviyo_refused_to_make_is_not_ours(tmp_path, kind, status):
    shop = shop_of(tmp_path, kind)
    fail(shop, kind, Fault("status", status))
    with pytest.raises(KlaviyoError):
        shop.sync()
    before = by_a_person(shop, kind)
    for _ in range(2):
        assert is_foreign(shop.sync(), kind)
    assert is_untouched(shop, kind, before)
    assert len(there(shop, kind)) == 1


@KINDS
def test_what_a_quota_kept_from_being_made_is_not_ours(tmp_path, kind):
    shop = shop_of(tmp_path, kind)
    fail(shop, kind, *[Fault("status", 429, retry_after=40_000)])
    if kind == "segment":
        assert shop.sync().segments.postponed == (NAME,)
    else:
        with pytest.raises(UnavailableError):
            shop.sync()
    before = by_a_person(shop, kind)
    assert is_foreign(shop.sync(), kind)
    assert is_untouched(shop, kind, before)


@KINDS
def test_what_never_reached_klaviyo_is_not_ours(tmp_path, kind):
    shop = shop_of(tmp_path, kind)
    fail(shop, kind, *[Fault("drop")] * 3)
    with pytest.raises(UnavailableError, match="looked for first"):
        shop.sync()
    before = by_a_person(shop, kind)
    assert is_foreign(shop.sync(), kind)
    assert is_untouched(shop, kind, before)


@KINDS
def test_ours_is_told_from_another_of_its_name_by_its_id(tmp_path, kind):
    shop = shop_of(tmp_path, kind)
    by_a_person(shop, kind)
    theirs = there(shop, kind).pop("X9")
    shop.sync()
    (ours,) = list(there(shop, kind))
    rows = dict(there(shop, kind))
    there(shop, kind).clear()
    there(shop, kind).update({"X9": theirs, **rows})  # theirs is answered first
    before = json.dumps(theirs, default=sorted)
    shop.settings = store_settings(tmp_path, **{f"{kind}s": {"Heavy": {"Tier": "light"}}})
    assert not is_foreign(shop.sync(), kind)
    assert is_untouched(shop, kind, before)
    light = shop.scores["investment_tier"].eq("light") & ~shop.scores["is_holdout"]
    if kind == "list":
        assert len(shop.double.lists[ours]["members"]) == light.sum()
    else:
        groups = shop.double.segments[ours]["definition"]["condition_groups"]
        assert groups[0]["conditions"][0]["filter"]["value"] == "light"


@KINDS
def test_one_that_took_the_name_of_ours_after_ours_was_deleted_is_left_alone(tmp_path, kind):
    shop = shop_of(tmp_path, kind)
    shop.sync()
    there(shop, kind).clear()
    before = by_a_person(shop, kind)
    assert is_foreign(shop.sync(), kind)
    assert is_untouched(shop, kind, before)


@KINDS
@pytest.mark.parametrize("lag", [0.0, 20.0, 170.0])
@pytest.mark.parametrize("fault", ["lose", "garble"])
def test_a_lost_answer_makes_nothing_twice_though_look_ups_lag(tmp_path, kind, lag, fault):
    shop = shop_of(tmp_path, kind)
    shop.double.lag_seconds = lag
    fail(shop, kind, Fault(fault))
    shop.sync()
    shop.sync()
    assert len(there(shop, kind)) == 1
    assert shop.double.received[f"POST {PATHS[kind]}"] == 1


@KINDS
@pytest.mark.parametrize("fault", [Fault("drop"), Fault("status", 500), Fault("status", 503)])
def test_what_was_not_made_is_made_once_the_look_up_cannot_lag_any_more(tmp_path, kind, fault):
    shop = shop_of(tmp_path, kind)
    fail(shop, kind, fault)
    shop.sync()
    assert len(there(shop, kind)) == 1
    assert shop.double.clock.seconds >= LONGEST_LAG.total_seconds()


@KINDS
@pytest.mark.parametrize("lag", [0.0, 60.0, 170.0])
def test_the_sync_after_a_killed_one_looks_before_it_makes_another(
    tmp_path, kind, lag, monkeypatch
):
    shop = shop_of(tmp_path, kind)
    shop.double.lag_seconds = lag
    noted = OwnershipRegistry.note

    def die(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(OwnershipRegistry, "note", die)
    with pytest.raises(KeyboardInterrupt):
        shop.sync()
    monkeypatch.setattr(OwnershipRegistry, "note", noted)
    outcome = shop.sync()
    assert not is_foreign(outcome, kind)
    assert len(there(shop, kind)) == 1
    heavy = shop.scores["investment_tier"].eq("heavy") & ~shop.scores["is_holdout"]
    if kind == "list":
        (row,) = shop.double.lists.values()
        assert len(row["members"]) == heavy.sum()


@KINDS
def test_one_that_was_just_made_is_not_made_again_though_look_ups_lag(tmp_path, kind):
    shop = shop_of(tmp_path, kind)
    shop.double.lag_seconds = 120.0
    for _ in range(3):
        shop.sync()
    assert len(there(shop, kind)) == 1


@pytest.mark.parametrize("away", [timedelta(hours=-1), timedelta(hours=1), timedelta(days=30)])
def test_an_empty_list_of_another_hour_did_not_come_of_a_lost_answer(tmp_path, away):
    shop = shop_of(tmp_path, "list")
    fail(shop, "list", *[Fault("drop")] * 3)
    with pytest.raises(UnavailableError):
        shop.sync()
    by_a_person(shop, "list", (shop.double.clock.now() + away).isoformat())
    shop.double.lists["X9"]["members"] = set()
    assert is_foreign(shop.sync(), "list")
    assert shop.double.lists["X9"]["members"] == set()


def turned(definition):
    """Give a definition as Klaviyo may: other order, ids and defaults."""
    groups = [
        {
            "id": f"g{i}",
            "operator": "or",
            "conditions": [
                {"id": i, "is_negated": False, **dict(reversed(one.items()))}
                for one in group["conditions"]
            ],
        }
        for i, group in enumerate(reversed(definition["condition_groups"]))
    ]
    return {"version": 2, "condition_groups": groups, "exclusions": []}


@pytest.mark.parametrize(
    "asked",
    [
        {"Segment": "lapsed"},
        {"Segment": ["lapsed", "loyal"], "Tier": "heavy"},
        {"Expected Value": {"above": 50}},
        {"Next Order Date": {"in_next_days": 7}},
    ],
)
def test_a_segment_is_recognized_after_the_state_was_lost(tmp_path, asked):
    shop = Shop(tmp_path, segments={"Gone": asked})
    shop.sync()
    shop.places.segments.unlink()
    (row,) = shop.double.segments.values()
    row["definition"] = turned(row["definition"])
    assert shop.sync().segments.unchanged == ("Retention: Gone",)
    shop.settings = store_settings(tmp_path, segments={"Gone": {"Segment": "champion"}})
    assert shop.sync().segments.updated == ("Retention: Gone",)
    assert len(shop.double.segments) == 1


def test_a_list_is_nobodys_known_after_the_state_was_lost(tmp_path):
    shop = shop_of(tmp_path, "list")
    shop.sync()
    shop.places.lists.unlink()
    (before,) = [set(row["members"]) for row in shop.double.lists.values()]
    assert is_foreign(shop.sync(), "list")
    assert [row["members"] for row in shop.double.lists.values()] == [before]


OURS = {"condition_groups": [
    {"conditions": [{"type": "p", "property": "properties['A']", "filter": {"operator": "in", "value": ["x", "y"]}}]},
    {"conditions": [{"type": "p", "property": "properties['B']", "filter": {"operator": "above", "value": 60}}]},
]}  # fmt: skip


def changed(path, value):
    record = json.loads(json.dumps(OURS))
    at = record
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return record


FIRST = ("condition_groups", 0, "conditions", 0)


@pytest.mark.parametrize(
    ("actual", "is_same"),
    [
        (OURS, True),
        (turned(OURS), True),
        (changed((*FIRST, "filter", "value"), ["y", "x"]), True),
        (changed((*FIRST, "property"), 'properties["A"]'), True),
        (changed((*FIRST, "filter", "missing"), None), True),
        (changed(("condition_groups", 1, "conditions", 0, "filter", "value"), 60.0), True),
        (changed(("condition_groups", 1, "conditions", 0, "filter", "value"), 61), False),
        (changed(("condition_groups", 1, "conditions", 0, "filter", "value"), "60"), False),
        (changed((*FIRST, "filter", "value"), ["x"]), False),
        (changed((*FIRST, "filter", "value"), ["x", "y", "z"]), False),
        (changed((*FIRST, "property"), "properties['C']"), False),
        (changed((*FIRST, "metric_filters"), [{"property": "x"}]), False),
        (changed((*FIRST[:2], "conditions"), []), False),
        ({"condition_groups": OURS["condition_groups"][:1]}, False),
        ({"condition_groups": [*OURS["condition_groups"], {"conditions": []}]}, False),
        ({}, False),
    ],
)
def test_definitions_are_compared_by_what_they_ask(actual, is_same):
    assert is_same_definition(OURS, actual) is is_same


def test_notes_without_an_id_prove_nothing(tmp_path):
    """Those of earlier versions, which noted a name before anything was made."""
    path = tmp_path / "lists.json"
    path.write_text(json.dumps({"made": {NAME: ""}, "day": "2024-07-01", "used": {"created": 3}}))
    registry = OwnershipRegistry(path)
    assert registry.made == {}
    registry.note(NAME, Made("L1"), "created")
    assert OwnershipRegistry(path).made == {NAME: Made("L1")}
    assert json.loads(path.read_text())["used"] == {"created": 4}


@pytest.mark.parametrize("text", ["", "[]", '{"made": {"a": {"name": 1}}}'])
def test_a_broken_book_is_refused_and_said(tmp_path, text):
    path = tmp_path / "lists.json"
    path.write_text(text)
    with pytest.raises(KlaviyoError, match="cannot be read"):
        OwnershipRegistry(path)


@pytest.mark.parametrize(("hours", "left"), [(0, 180.0), (-5, 180.0), (1, 0.0)])
def test_doubt_is_never_longer_than_a_look_up_may_lag(tmp_path, hours, left):
    registry = OwnershipRegistry(tmp_path / "lists.json")
    registry.intend(NAME, START)
    actual = registry.seconds_in_doubt(NAME, START + timedelta(hours=hours))
    assert max(actual, 0.0) == left
    assert registry.intents == {NAME: Intent(START.isoformat(), START.isoformat())}


def test_a_refusal_is_told_and_leaves_no_intent(tmp_path):
    shop = shop_of(tmp_path, "list")
    fail(shop, "list", Fault("status", 400))
    with pytest.raises(RequestRefusedError):
        shop.sync()
    assert OwnershipRegistry(shop.places.lists).intents == {}
    assert Counter(there(shop, "list")) == {}


@KINDS
def test_what_is_left_alone_is_said_with_what_to_do(tmp_path, kind, capsys):
    shop = shop_of(tmp_path, kind)
    by_a_person(shop, kind)
    show_outcome(Outcome("synced", shop.sync().to_dict()), as_json=False)
    result = " ".join(capsys.readouterr().out.split())
    assert f"{kind.capitalize()}s foreign: {NAME}. Perennial did not make these" in result
    assert "Rename them in Klaviyo" in result
