"""The double refuses what Klaviyo refuses, and pages, counts and fails as Klaviyo does."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.live.double import Faults, Killed, KillSwitch, Server
from tests.live.klaviyo_events_caller import (
    DAY,
    EMAIL_OF_ADA,
    HEADERS,
    HOUR,
    MINUTE,
    PEOPLE,
    Caller,
    calling,
    order_of,
    sample_store,
    store_of,
)
from tests.live.klaviyo_events_double import KEY, SCOPES, KlaviyoEvents
from tests.live.klaviyo_events_filters import EVENTS, FilterError, parse_filter
from tests.live.klaviyo_events_process import step
from tests.live.klaviyo_events_records import API, BEANS, FILTERS, METRICS, PLACED, Line
from tests.live.klaviyo_events_store import Account, Lag, Store


@pytest.fixture
def caller() -> Iterator[Caller]:
    with calling(sample_store()) as one:
        one.double.has_windows = False
        yield one


# what is refused


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ("accounts:read", "/api/accounts"),
        ("metrics:read", "/api/metrics"),
        ("metrics:read", "/api/metrics/SHPlac/metric-properties"),
        ("events:read", "/api/events"),
    ],
)
def test_an_operation_needs_its_scope_and_no_other(scope, path):
    with calling(Store(), scopes=SCOPES - {scope}) as caller:
        refusal = caller.get(path)
    assert refusal.status_code == 403
    assert scope in refusal.json()["errors"][0]["detail"]
    with calling(Store(), scopes=frozenset([scope])) as caller:
        assert caller.get(path).status_code == 200


def test_included_people_need_a_scope_of_their_own():
    with calling(Store(), scopes=SCOPES - {"profiles:read"}) as caller:
        assert caller.get("/api/events").status_code == 200
        refusal = caller.get("/api/events", include="profile")
    assert refusal.status_code == 403
    assert "profiles:read" in refusal.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"revision": "2026-10-15"}, 401),
        (HEADERS | {"Authorization": "Klaviyo-API-Key pk_other"}, 401),
        (HEADERS | {"Authorization": f"Bearer {KEY}"}, 401),
        ({"Authorization": HEADERS["Authorization"]}, 400),
        (HEADERS | {"revision": "latest"}, 400),
        (HEADERS | {"revision": "2026-10-15.pre"}, 200),
    ],
)
def test_a_request_needs_a_key_and_a_revision(caller, headers, status):
    assert caller.get("/api/accounts", headers).status_code == status


METRIC = 'equals(metric_id,"SHPlac")'


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"page[size]": "0"}, "page[size]"),
        ({"page[size]": "1001"}, "page[size]"),
        ({"page[size]": "many"}, "page[size]"),
        ({"sort": "id"}, "sort"),
        ({"sort": ""}, "sort"),
        ({"include": "profiles"}, "include"),
        ({"fields[event]": "datetime,value"}, "fields[event]"),
        ({"fields[profile]": "e-mail"}, "fields[profile]"),
        ({"page[number]": "2"}, "page[number]"),
        ({"since": "2026-11-01"}, "since"),
        ({"page[cursor]": "bmV4dDo6aWQ6OjRh"}, "page[cursor]"),
        ({"filter": ""}, "filter"),
        ({"filter": f"{METRIC},greater-than(datetime,2026-12-24)"}, "filter"),
    ],
)
def test_a_wrong_parameter_is_refused(caller, query, parameter):
    answer = caller.get("/api/events", **query)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"parameter": parameter}


@pytest.mark.parametrize(
    "text",
    [
        METRIC,
        "equals(metric_id,'SHPlac')",
        'equals(metric_id,["SHPlac","SHRefu"])',
        f"{METRIC},greater-or-equal(datetime,2026-11-01),less-than(datetime,2026-11-02T10:00:00Z)",
        f"and({METRIC},less-or-equal(timestamp,1795166100))",
        'equals(profile_id,"P1"),has(metric),has(profile)',
        "greater-than(datetime,2026-11-02T10:00:00.123+01:00)",
    ],
)
def test_a_filter_of_the_grammar_is_taken(text):
    assert parse_filter(text, EVENTS)


@pytest.mark.parametrize(
    "text",
    [
        "equals(metric_id,SHPlac)",
        "equals(metric_id)",
        "equals(metric_id,[])",
        'equals(metric_id,[1,"a"])',
        'equals(profile_id,["P1","P2"])',
        'any(metric_id,["SHPlac"])',
        'greater-or-equal(datetime,"2026-11-01")',
        "greater-or-equal(datetime,yesterday)",
        "greater-or-equal(datetime,2026-13-01)",
        "equals(datetime,2026-11-01)",
        "greater-or-equal(received,2026-11-01)",
        "less-than(timestamp,2026-11-01)",
        "has(datetime)",
        "has(profile,1)",
        "not(has(profile))",
        f"or({METRIC},{METRIC})",
        f"{METRIC} ",
        f"{METRIC},",
        f"{METRIC}{METRIC}",
        f"({METRIC})",
        METRIC[:-1],
        METRIC + ")",
        f"and({METRIC}",
        "",
    ],
)
def test_a_filter_out_of_the_grammar_is_refused(text):
    with pytest.raises(FilterError):
        parse_filter(text, EVENTS)


def test_a_plus_that_is_not_encoded_is_refused(caller):
    path = f"/api/events?filter={METRIC},less-than(datetime,2026-11-02T10:00:00+00:00)"
    assert caller.client.get(path.replace('"', "%22"), headers=HEADERS).status_code == 400
    path = path.replace("+", "%2B")
    assert caller.client.get(path.replace('"', "%22"), headers=HEADERS).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/flows", 404),
        ("GET", "/api/events/none", 404),
        ("GET", "/api/metrics/none/metric-properties", 404),
        ("POST", "/api/events", 405),
        ("DELETE", "/api/events/4aaa", 405),
        ("GET", "/api/metric-aggregates", 405),
    ],
)
def test_what_is_not_there_is_refused(caller, method, path, status):
    assert caller.client.request(method, path, headers=HEADERS).status_code == status


@pytest.mark.parametrize(
    "attributes",
    [
        {"measurements": []},
        {"measurements": ["sum"]},
        {"by": ["$currency_code"]},
        {"by": "$value_currency"},
        {"interval": "year"},
        {"timezone": "Berlin"},
        {"page_size": 0},
        {"page_cursor": "x"},
        {"metric": "SHPlac"},
        {"metric_id": None},
        {"filter": []},
        {"filter": "greater-or-equal(datetime,2026-11-20)"},
        {"filter": ["greater-or-equal(datetime,2026-11-20)"]},
        {"filter": ["greater-than(datetime,2026-11-20)", "less-than(datetime,2026-11-23)"]},
        {"filter": ["greater-or-equal(datetime,2026-11-23)", "less-than(datetime,2026-11-20)"]},
        {"filter": ["greater-or-equal(datetime,2025-11-01)", "less-than(datetime,2026-11-20)"]},
    ],
)
def test_a_wrong_query_of_totals_is_refused(caller, attributes):
    answer = caller.totals(**attributes)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"]["pointer"].startswith("/data/attributes/")


def test_totals_need_a_body_of_json_and_a_metric(caller):
    plain = HEADERS | {"Content-Type": "text/plain"}
    assert caller.totals(plain).status_code == 415
    assert caller.totals(metric_id="none").status_code == 404
    answer = caller.client.post("/api/metric-aggregates", json={"data": {}}, headers=HEADERS)
    assert answer.status_code == 400


# rates


def test_a_burst_ends_with_429_and_the_second(caller):
    caller.double.has_windows = True
    first, second = caller.get("/api/accounts"), caller.get("/api/accounts")
    assert first.status_code == 200
    assert first.headers["RateLimit-Limit"] == "1, 1;w=1, 15;w=60"
    assert first.headers["RateLimit-Remaining"] == "14"
    assert (second.status_code, second.headers["Retry-After"]) == (429, "1")
    assert not any(name.startswith("ratelimit") for name in second.headers)
    caller.double.clock.sleep(1)
    assert caller.get("/api/accounts").status_code == 200


def test_a_steady_stream_ends_with_429_and_the_minute(caller):
    caller.double.has_windows = True
    for _ in range(15):
        assert caller.get("/api/accounts").status_code == 200
        caller.double.clock.sleep(1)
    refusal = caller.get("/api/accounts")
    assert (refusal.status_code, refusal.headers["Retry-After"]) == (429, "45")
    assert caller.get("/api/metrics").status_code == 200  # a window of its own
    caller.double.clock.sleep(45)
    assert caller.get("/api/accounts").status_code == 200
    assert caller.double.refused == {429: 1}


# pages


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("sort", ["datetime", "-datetime", "timestamp"])
def test_pages_have_every_event_once_in_order(size, sort):
    store = store_of(5)
    for number in range(6, 13):  # of the same second
        store.place_order(order_of(number, DAY + 3 * HOUR))
    with calling(store) as caller:
        pages = list(caller.pages(sort=sort, **{"page[size]": size}))
    rows = [one for page in pages for one in page["data"]]
    assert len({one["id"] for one in rows}) == len(rows) == 12
    moments = [one["attributes"]["datetime"] for one in rows]
    assert moments == sorted(moments, reverse=sort.startswith("-"))
    assert len(pages) == -(-12 // size)
    assert pages[-1]["links"] == {"self": pages[-1]["links"]["self"], "next": None, "prev": None}


def test_without_a_sort_events_come_in_no_order_of_time():
    with calling(store_of(30)) as caller:
        answer = caller.get("/api/events", filter=METRIC, **{"page[size]": 7}).json()
        rows = answer["data"]
        while answer["links"]["next"]:
            answer = caller.follow(answer).json()
            rows += answer["data"]
    moments = [one["attributes"]["datetime"] for one in rows]
    assert len(set(moments)) == 30
    assert moments != sorted(moments)


def test_a_range_has_its_begin_and_not_its_end():
    with calling(store_of(5)) as caller:
        low, high = f"{DAY + 2 * HOUR:%Y-%m-%dT%H:%M:%SZ}", f"{DAY + 4 * HOUR:%Y-%m-%dT%H:%M:%SZ}"
        text = f"{METRIC},greater-or-equal(datetime,{low}),less-than(datetime,{high})"
        rows = caller.events(filter=text)["data"]
        both = caller.events(
            filter=f"{METRIC},greater-than(datetime,{low}),less-or-equal(datetime,{high})"
        )
    assert [one["attributes"]["event_properties"]["$event_id"] for one in rows] == [
        "5000002",
        "5000003",
    ]
    names = [one["attributes"]["event_properties"]["$event_id"] for one in both["data"]]
    assert names == ["5000003", "5000004"]


def test_a_cursor_is_of_its_query():
    with calling(store_of(6)) as caller:
        page = caller.events(**{"page[size]": 2})
        assert "SHPlac" in parse_qs(urlsplit(page["links"]["next"]).query)["filter"][0]
        assert caller.follow(page).status_code == 200
        for change in (
            {"filter": 'equals(metric_id,"SHProd")'},
            {"sort": "-datetime"},
            {"include": "profile"},
        ):
            refusal = caller.follow(page, **change)
            assert refusal.status_code == 400
            assert refusal.json()["errors"][0]["detail"] == "Cursor is not valid."


def test_a_page_size_may_change_behind_a_cursor_unless_the_double_binds_it():
    with calling(store_of(6)) as caller:
        page = caller.events(**{"page[size]": 2})
        assert len(caller.follow(page, **{"page[size]": 1}).json()["data"]) == 1
        caller.double.binds_page_size = True
        page = caller.events(**{"page[size]": 2})
        assert caller.follow(page, **{"page[size]": 1}).status_code == 400


def test_a_cursor_ends_with_its_time_and_on_demand():
    with calling(store_of(6)) as caller:
        page = caller.events(**{"page[size]": 2})
        caller.double.clock.advance(caller.double.cursor_seconds)
        assert caller.follow(page).status_code == 200
        caller.double.clock.advance(1)
        assert caller.follow(page).status_code == 400
        page = caller.events(**{"page[size]": 2})
        caller.double.expire_cursors()
        assert caller.follow(page).status_code == 400


def test_a_changed_cursor_is_refused():
    with calling(store_of(6)) as caller:
        page = caller.events(**{"page[size]": 2})
        cursor = parse_qs(urlsplit(page["links"]["next"]).query)["page[cursor]"][0]
        changed = cursor[:10] + ("A" if cursor[10] != "A" else "B") + cursor[11:]
        assert caller.follow(page, **{"page[cursor]": changed}).status_code == 400


def test_people_are_included_once_each_and_only_on_request(caller):
    page = caller.events("SHProd", include="profile", **PEOPLE)
    people = [one["relationships"]["profile"]["data"] for one in page["data"]]
    ids = {one["id"] for one in people if one is not None}
    assert sorted(one["id"] for one in page["included"]) == sorted(ids)
    assert len(page["data"]) > len(ids) > 1
    assert "included" not in caller.events("SHProd")


def test_fields_limit_attributes(caller):
    page = caller.events(
        include="profile,metric",
        **{"fields[event]": "datetime,uuid", "fields[profile]": "email", "fields[metric]": "name"},
    )
    assert {tuple(one["attributes"]) for one in page["data"]} == {("datetime", "uuid")}
    kinds = {(one["type"], *one["attributes"]) for one in page["included"]}
    assert kinds == {("profile", "email"), ("metric", "name")}


def test_a_single_event_is_answered(caller):
    one = caller.events()["data"][0]
    answer = caller.get(f"/api/events/{one['id']}", include="profile").json()
    assert answer["data"] == one
    assert answer["included"][0]["attributes"]["email"] == EMAIL_OF_ADA


def test_metrics_come_in_pages_of_200_with_equal_names(caller):
    for number in range(200):
        caller.double.store.add_metric(f"Metric {number}", API)
    first = caller.get("/api/metrics").json()
    query = parse_qs(urlsplit(first["links"]["next"]).query)
    second = caller.get("/api/metrics", **{n: v[0] for n, v in query.items()}).json()
    assert (len(first["data"]), len(second["data"])) == (200, len(METRICS))
    assert second["links"]["next"] is None
    keys = [
        one["attributes"]["integration"]["key"]
        for one in first["data"]
        if one["attributes"]["name"] == PLACED
    ]
    assert sorted(keys) == ["api", "shopify", "woocommerce"]


def test_metrics_are_filtered_by_their_integration(caller):
    answer = caller.get("/api/metrics", filter='equals(integration.name,"WooCommerce")').json()
    assert [one["id"] for one in answer["data"]] == ["WOPlac", "WORefu"]


def test_properties_of_a_metric_come_from_its_events(caller):
    path = "/api/metrics/SHPlac/metric-properties"
    plain = caller.get(path).json()["data"]
    assert all("sample_values" not in one["attributes"] for one in plain)
    query = {"additional-fields[metric-property]": "sample_values"}
    full = caller.get(path, **query).json()["data"]
    of = {one["attributes"]["property"]: one["attributes"] for one in full}
    assert of["$event_id"]["sample_values"] == ["5000001", "5000002", "5000003", "5000004"]
    assert of["Items"]["sample_values"][:2] == ["House Beans", "Paper Filter"]
    assert of["$extra"]["sample_values"] is None
    assert of["$value"]["inferred_type"] == "Numeric"
    assert caller.get("/api/metrics/WOPlac/metric-properties").json()["data"] == []


# time


def test_an_event_is_listed_after_its_lag_only():
    store = Store(lag=Lag(late_share=1.0), seed=2)
    event = store.events[store.placed["shopify", store.place_order(order_of(1, store.now())).id]]
    wait = event.visible - store.now()
    assert timedelta() < wait <= 110 * MINUTE
    with calling(store) as caller:
        assert caller.ids() == []
        assert caller.get(f"/api/events/{event.id}").status_code == 404
        assert caller.total_rows()["data"] == []
        store.clock.advance(wait.total_seconds())
        assert caller.ids() == [event.id]


def test_totals_may_be_ahead_of_lists():
    store = Store(lag=Lag(late_share=1.0), seed=2)
    store.place_order(order_of(1, store.now()))
    text = ["greater-or-equal(datetime,2026-11-29)", "less-than(datetime,2026-11-30)"]
    with calling(store) as caller:
        caller.double.counts_ahead = True
        assert caller.total_rows(filter=text)["data"][0]["measurements"]["count"] == [1.0]
        assert caller.ids() == []


def test_an_event_behind_the_cursor_is_missed_by_the_pages_and_counted_by_the_totals():
    store = store_of(6)
    with calling(store) as caller:
        pages = caller.pages(**{"page[size]": 4})
        rows = next(pages)["data"]
        store.place_order(order_of(7, DAY + MINUTE), received=store.now())
        rows += [one for page in pages for one in page["data"]]
        assert len(rows) == 6
        assert sum(caller.total_rows()["data"][0]["measurements"]["count"]) == 7
        assert len(caller.ids()) == 7


def test_an_event_of_the_future_is_listed_now():
    store = store_of(1)
    store.place_order(order_of(2, store.now() + 18 * HOUR), received=store.now())
    with calling(store) as caller:
        newest = caller.events(sort="-datetime")["data"][0]["attributes"]
        assert newest["datetime"] == "2026-11-29T20:00:00+00:00"
        later = f"{METRIC},greater-or-equal(datetime,2026-11-29T20:00:00Z)"
        assert caller.get("/api/events", filter=later).status_code == 400


def test_the_store_changes_between_requests():
    store = store_of(4)

    def merge_or_order(request: Any) -> None:
        if request.number == 2:
            store.merge(*list(store.profiles)[:2])
            store.place_order(order_of(5, DAY + 5 * HOUR))

    with calling(store) as caller:
        caller.double.hooks.append(merge_or_order)
        pages = list(caller.pages(include="profile", **{"page[size]": 2}))
    assert [len(page["data"]) for page in pages] == [2, 2, 1]
    assert len({one["id"] for page in pages for one in page["included"]}) == 5


def test_an_event_that_is_deleted_while_paging_is_gone_and_no_other():
    store = store_of(6)
    newest = store.placed["shopify", "5000005"]
    with calling(store) as caller:
        pages = caller.pages(**{"page[size]": 2})
        ids = [one["id"] for one in next(pages)["data"]]
        store.delete_event(ids[1])  # where the cursor points
        store.delete_event(newest)
        ids += [one["id"] for page in pages for one in page["data"]]
        assert len(ids) == 5
        assert newest not in ids
        assert caller.ids() == [ids[0], *ids[2:]]
        assert sum(caller.total_rows()["data"][0]["measurements"]["count"]) == 4


# totals


def test_totals_are_by_zone_and_currency():
    store = Store(account=Account(timezone="America/New_York"))
    late = datetime(2026, 11, 21, 2, tzinfo=UTC)  # the evening before in New York
    store.place_order(order_of(1, late, lines=(Line(BEANS),)))
    store.place_order(order_of(2, late + 12 * HOUR, lines=(Line(FILTERS),), currency="USD"))
    with calling(store) as caller:
        utc = caller.total_rows()
        local = caller.total_rows(timezone="America/New_York")
        whole = caller.total_rows(by=[], interval="month", measurements=["count", "unique"])
    assert utc["dates"][1] == "2026-11-21T00:00:00+00:00"
    assert local["dates"][0] == "2026-11-20T00:00:00-05:00"
    assert [(row["dimensions"], row["measurements"]["count"]) for row in utc["data"]] == [
        (["EUR"], [0.0, 1.0, 0.0]),
        (["USD"], [0.0, 1.0, 0.0]),
    ]
    assert [(row["dimensions"], row["measurements"]["sum_value"]) for row in local["data"]] == [
        (["EUR"], [12.0, 0.0, 0.0]),
        (["USD"], [0.0, 8.0, 0.0]),
    ]
    assert whole == {
        "dates": ["2026-11-01T00:00:00+00:00"],
        "data": [{"dimensions": [], "measurements": {"count": [2.0], "unique": [2.0]}}],
    }


def test_totals_have_the_begin_of_a_range_and_not_its_end():
    store = Store()
    for number in range(3):
        store.place_order(order_of(number, DAY + number * 24 * HOUR))
    text = ["greater-or-equal(datetime,2026-11-20)", "less-than(datetime,2026-11-22)"]
    with calling(store) as caller:
        assert caller.total_rows(filter=text)["data"][0]["measurements"]["count"] == [1.0, 1.0]
        whole = caller.total_rows(filter=text, interval="month")["data"]
    assert whole[0]["measurements"] == {"count": [2.0], "sum_value": [24.0]}


def test_hours_of_the_night_when_clocks_go_back_are_apart():
    store = Store()
    for number, hour in enumerate((0, 1, 2), 1):  # 02:00 summer, 02:00 winter, 03:00 in Berlin
        store.place_order(order_of(number, datetime(2026, 10, 25, hour, 30, tzinfo=UTC)))
    text = [
        "greater-or-equal(datetime,2026-10-25T00:00:00Z)",
        "less-than(datetime,2026-10-25T03:00:00Z)",
    ]
    with calling(store) as caller:
        rows = caller.total_rows(interval="hour", timezone="Europe/Berlin", filter=text)
    assert [date[11:13] + date[19:22] for date in rows["dates"]] == ["02+02", "02+01", "03+01"]
    assert rows["data"][0]["measurements"]["count"] == [1.0, 1.0, 1.0]


def test_a_dimension_that_events_lack_is_empty(caller):
    text = ["greater-or-equal(datetime,2026-11-01)", "less-than(datetime,2026-12-01)"]
    rows = caller.total_rows(
        metric_id="KLOpen", by=["Client Name", "$flow"], interval="month", filter=text
    )
    assert [row["dimensions"] for row in rows["data"]] == [["Apple Mail", ""], ["Gmail", ""]]


def test_totals_have_pages_of_rows(caller):
    text = ["greater-or-equal(datetime,2026-11-01)", "less-than(datetime,2026-12-01)"]
    query = {"metric_id": "KLOpen", "by": ["Client Name"], "filter": text, "page_size": 1}
    first = caller.totals(**query).json()
    cursor = parse_qs(urlsplit(first["links"]["next"]).query)["page_cursor"][0]
    second = caller.totals(**query, page_cursor=cursor).json()
    names = [one["data"]["attributes"]["data"][0]["dimensions"] for one in (first, second)]
    assert names == [["Apple Mail"], ["Gmail"]]
    assert second["links"]["next"] is None


def test_totals_of_a_day_are_what_lists_have():
    store = store_of(70)
    store.formula = "before_tax"
    with calling(store) as caller:
        rows = caller.total_rows()
        events = caller.events(**{"page[size]": 1000})["data"]
    days = Counter(one["attributes"]["datetime"][:10] for one in events)
    counts = rows["data"][0]["measurements"]["count"]
    assert counts == [days[date[:10]] for date in rows["dates"]]


# faults


def test_faults_are_counted_and_break_as_planned():
    kinds = ["cut_before", "cut_in", "lost", "truncated", "500", "502", "503"]
    faults = Faults(at={kind: [number] for number, kind in enumerate(kinds, 1)})
    with calling(store_of(5), faults) as caller:
        for kind in ("cut_before", "cut_in", "lost"):
            with pytest.raises(httpx.TransportError):
                caller.get("/api/events")
            assert caller.double.faults.counts[kind] == 1
        with pytest.raises(ValueError, match=r"JSON|Unterminated|Expecting"):
            caller.get("/api/events").json()
        five, *html = (caller.get("/api/events") for _ in range(3))
        assert five.json()["errors"][0]["status"] == 500
        assert [(one.status_code, one.headers["Content-Type"][:9]) for one in html] == [
            (502, "text/html"),
            (503, "text/html"),
        ]
        assert caller.get("/api/events").status_code == 200


def test_a_client_is_killed_and_goes_on_with_its_cursor():
    double = KlaviyoEvents(store_of(5))
    with Server(double) as server:
        with httpx.Client(base_url=server.url, transport=KillSwitch(2)) as client:
            page = Caller(double, client).events(**{"page[size]": 3})
            with pytest.raises(Killed):
                Caller(double, client).follow(page)
        with httpx.Client(base_url=server.url) as client:
            rest = Caller(double, client).follow(page).json()["data"]
    ids = [one["id"] for one in [*page["data"], *rest]]
    assert ids == [event.id for event in double.store.visible("SHPlac")]


def test_a_calm_reading_of_pages_is_the_store():

    store, rng = Store(lag=Lag(later_share=0.02), seed=5), random.Random(5)
    with calling(store) as caller:
        caller.double.hooks.append(lambda _: step(store, rng))
        for _ in range(60):
            store.clock.advance(900)
            step(store, rng)
            caller.events(**{"page[size]": 5})
        caller.double.hooks.clear()
        store.clock.advance(5 * 86_400)
        for metric in METRICS:
            rows = {
                one["id"]: one
                for page in caller.pages(metric.id, **{"page[size]": 50})
                for one in page["data"]
            }
            assert rows == caller.double.documents(metric.id)
    assert len(store.events) > 200
