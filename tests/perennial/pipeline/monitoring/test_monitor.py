"""Several weeks of a small shop: what each day expected, what came, and what is done about it."""

import json
import shutil
from datetime import date, timedelta
from io import StringIO

import mlflow
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from connectors.programs import ARROW_TYPES
from connectors.published import PublishedFile
from connectors.store import Store
from features.tables import DataError, Expected
from models.forecaster import Forecaster
from models.monitoring import (
    Drift,
    DriftFigure,
    Freeze,
    MonitoredWeek,
    MonitoringReport,
    RankComparison,
    RankQuality,
    RetrainDue,
    Slope,
)
from models.operational_time import PaceIndex
from models.order_value import OrderValue
from models.purchases import MBGNBD
from models.spend import Spend
from perennial.cli.shown.models import drift_table
from perennial.pipeline.activation.forget import forget_person
from perennial.pipeline.monitoring.alerts import Judgment, find_alerts, judge_request, of_weeks
from perennial.pipeline.monitoring.calibration import has_matured, weeks_apart
from perennial.pipeline.runtime.context import home_context, open_tracking
from perennial.pipeline.runtime.events import announce
from perennial.pipeline.runtime.monitoring_state import (
    MONITORING,
    RETRAIN,
    frozen_because,
    read_monitoring,
    read_request,
    save_monitoring,
)
from perennial.pipeline.settings.operations import MonitoringSettings
from perennial.pipeline.settings.store import read_settings
from perennial.pipeline.training.model_files import load_forecaster
from tests.monitored import FRESHNESS, MODEL, REPORT, WINDOW
from tests.shops import AS_OF

DAYS = [AS_OF + timedelta(days=7 * k) for k in range(4)]
LOOKED = AS_OF + timedelta(days=30)  # four weeks have matured, and 28 days since the first


@pytest.fixture(scope="module")
def shop(published, perennial, tmp_path_factory):
    """The trained shop, scored on three more days a week apart."""
    folder = tmp_path_factory.mktemp("monitored") / "shop"
    shutil.copytree(published[0].parent, folder)
    config = folder / "perennial.toml"
    for day in DAYS[1:]:
        result = perennial("score", "--config", config, "--as-of", day.isoformat(), "--json")
        assert result.code == 0, result.err
    return config


@pytest.fixture(scope="module")
def result(shop, perennial):
    result = perennial("monitor", "--config", shop, "--as-of", LOOKED.isoformat(), "--json")
    assert result.code == 0, result.err
    return result.json


@pytest.fixture
def copied(shop, result, tmp_path):
    """The shop as it was left by `said`, to change."""
    shutil.copytree(shop.parent, tmp_path / "shop")
    return tmp_path / "shop" / "perennial.toml"


def expected_of(config, day):
    return pd.read_parquet(
        Store(read_settings(config).exports).days(day)[-1].file(PublishedFile.EXPECTED)
    )


def scores_of(config, day):
    actual = Store(read_settings(config).exports).days(day)[-1]
    return pd.read_parquet(actual.file("scores.parquet"))


def bought(config, day, days):
    """Count purchase days after a day of customers known on it, from the file itself."""
    orders = pd.read_csv(config.parent / "orders.csv")
    orders["day"] = pd.to_datetime(orders["ordered_at"]).dt.date
    past = set(scores_of(config, day)["customer_id"])
    inside = orders[(orders["day"] > day) & (orders["day"] <= day + timedelta(days=days))]
    return inside[inside["customer_id"].isin(past)].drop_duplicates(["customer_id", "day"])


def runs_of(config):
    uri = read_settings(config).tracking_uri
    client = mlflow.MlflowClient(uri, uri)
    experiments = [e.experiment_id for e in client.search_experiments()]
    return client, client.search_runs(experiments, "tags.kind = 'monitor'")


def test_each_published_day_says_what_it_expects(shop):
    for day in DAYS:
        path = Store(read_settings(shop).exports).days(day)[-1].file(PublishedFile.EXPECTED)
        schema = pq.read_schema(path)
        actual = dict(zip(schema.names, schema.types, strict=True))
        assert actual == {name: ARROW_TYPES[kind] for name, kind in Expected.schema().items()}
        rows = pd.read_parquet(path)
        assert set(rows["window_days"]) == {7, 28}
        everybody = len(scores_of(shop, day))
        assert set(rows.groupby("window_days")["customers"].sum()) == {everybody}  # held out too
        assert (rows["variance_orders"] > 0).all()
        sums = rows.groupby("window_days")["expected_orders"].sum()
        assert 3.5 < sums[28] / sums[7] < 4


def test_the_sums_are_those_of_the_model_that_scored(shop):
    settings = read_settings(shop)
    day = Store(settings.exports).days(AS_OF)[-1]
    tracking = open_tracking(settings)
    folder = tracking.fetch(str(day.record()["model_version"])) / "artifacts"
    scores = scores_of(shop, AS_OF)
    forecaster = load_forecaster(folder)
    horizon = forecaster.expect(
        scores.assign(first_amount=1.0), settings.model.horizon_days
    )  # without what customers did of late, the purchase model alone
    assert horizon.expected_orders.shape == (len(scores),)
    rows = expected_of(shop, AS_OF)
    own = forecaster.purchases.expected_orders(
        28, *(scores[c].to_numpy() for c in ("frequency", "recency_days", "age_days"))
    )
    total = rows.loc[rows["window_days"] == 28, "expected_orders"].sum()
    assert total == pytest.approx(own.sum(), rel=0.15)  # what was learned keeps the level


def test_a_season_counts_in_every_window_as_in_the_forecast(shop):
    scores = scores_of(shop, AS_OF).assign(first_amount=1.0)
    index = PaceIndex(AS_OF, tuple(np.linspace(0.5, 1.5, 52)))
    plain, seasonal = (
        Forecaster.plain(MBGNBD(0.9, 45.0, 0.5, 1.5), OrderValue(Spend(6.0, 4.0, 15.0)), pace=pace)
        for pace in (None, index)
    )
    usual = plain.counts(scores, [7, 28, 90], AS_OF)
    for days, counts in seasonal.counts(scores, [7, 28, 90], AS_OF).items():
        same = seasonal.expect(scores, days, as_of=AS_OF)
        assert counts.orders == pytest.approx(same.expected_orders, rel=1e-6)
        assert counts.value == pytest.approx(same.expected_value, rel=1e-6)
        assert counts.orders.sum() != pytest.approx(usual[days].orders.sum(), rel=0.05)


def test_cells_can_be_found_again_from_the_scores(shop):
    rows = expected_of(shop, AS_OF).query("window_days == 7")
    scores = scores_of(shop, AS_OF)
    starts = rows.groupby("decile")["orders_from"].first()
    place = np.searchsorted(starts.to_numpy(), scores["expected_orders"], side="right") - 1
    counts = pd.Series(starts.index.to_numpy()[place]).value_counts().sort_index()
    assert counts.to_dict() == rows.groupby("decile")["customers"].sum().to_dict()
    assert (
        rows.loc[rows["tenure"] == "0-30", "customers"].sum() == (scores["age_days"] <= 30).sum()
    )


def test_orders_are_counted_as_they_are_in_the_file(shop, result):
    assert [week["as_of"] for week in result["weeks"]] == [day.isoformat() for day in DAYS]
    for day, week in zip(DAYS, result["weeks"], strict=True):
        came = bought(shop, day, 7)
        counted = week["7"]
        assert counted["actual"] == len(came)
        assert counted["active"] == came["customer_id"].nunique()
        assert counted["actual_value"] == pytest.approx(came["net_amount"].sum())
        rows = expected_of(shop, day).query("window_days == 7")
        assert counted["expected"] == pytest.approx(rows["expected_orders"].sum())
        assert counted["variance"] == pytest.approx(rows["variance_orders"].sum())
        assert counted["low"] < 1 < counted["high"]
        for part in ("by_tenure", "by_decile"):
            assert sum(row["actual"] for row in counted[part]) == counted["actual"]
            assert sum(row["expected"] for row in counted[part]) == pytest.approx(
                counted["expected"]
            )


def test_four_weeks_are_counted_where_they_are_over(shop, result):
    first, *later = result["weeks"]
    assert first["28"]["actual"] == len(bought(shop, AS_OF, 28))
    assert set(first["28"]["rank"]) == {"model", "total_past", "rfm", "hiatus"}
    assert [week["28"] for week in later] == [None] * 3


def test_a_tenths_orders_are_those_of_its_customers(shop, result):
    scores = scores_of(shop, AS_OF)
    starts = expected_of(shop, AS_OF).groupby("decile")["orders_from"].first()
    top = scores[scores["expected_orders"] >= starts.iloc[-1]]["customer_id"]
    came = bought(shop, AS_OF, 28)["customer_id"].isin(top).sum()
    assert result["weeks"][0]["28"]["by_decile"][-1]["actual"] == came


def test_it_says_how_fresh_everything_is(result):
    assert result["freshness"]["published_late_days"] == 9
    assert result["freshness"]["orders_late_days"] <= 1
    assert result["model"]["age_days"] == 30
    assert result["model"]["newest_trained_as_of"] == AS_OF.isoformat()
    assert "published_late" in {alert["name"] for alert in result["alerts"]}
    figures = {row["name"]: row for row in result["drift"]["figures"]}
    assert figures["age_days"]["is_mechanical"] is True
    assert figures["age_days"]["n_then"] == 400
    assert all(row["psi"] is None for row in figures.values())  # 400 customers are too few


def test_calm_weeks_of_a_small_shop_ask_for_nothing(shop, result):
    assert result["retrain"] is None
    assert result["frozen"] == {"is_frozen": False, "because": None}
    assert frozen_because(read_settings(shop).state) is None
    assert not (read_settings(shop).state / RETRAIN).exists()


def test_weeks_are_steps_in_mlflow(shop, result):
    client, runs = runs_of(shop)
    run = next(r for r in runs if r.info.run_name == f"monitor {LOOKED}")
    points = client.get_metric_history(run.info.run_id, "ratio.7d")
    assert [point.step for point in points] == [day.toordinal() // 7 for day in DAYS]
    assert [p.value for p in points] == [week["7"]["ratio"] for week in result["weeks"]]
    names = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert names == {"monitoring.json", "weeks.csv"}


def test_a_second_look_is_the_same_and_logs_nothing(copied, perennial):
    state = read_settings(copied).state
    before, runs = (state / MONITORING).read_text(), len(runs_of(copied)[1])
    again = perennial("monitor", "--config", copied, "--as-of", LOOKED.isoformat(), "--json")
    assert again.code == 0, again.err
    assert (state / MONITORING).read_text() == before
    assert len(runs_of(copied)[1]) == runs


def test_an_older_look_leaves_a_newer_one_alone(copied, perennial):
    state = read_settings(copied).state
    before = (state / MONITORING).read_text()
    day = (AS_OF + timedelta(days=16)).isoformat()
    older = perennial("monitor", "--config", copied, "--as-of", day, "--json")
    assert [week["as_of"] for week in older.json["weeks"]] == [d.isoformat() for d in DAYS[:2]]
    assert (state / MONITORING).read_text() == before


def test_weeks_stay_when_their_days_are_removed(copied, perennial):
    settings = read_settings(copied)
    for day in DAYS[:2]:
        shutil.rmtree(settings.exports / "scores" / f"as_of={day}")
    before = read_monitoring(settings.state).weeks
    again = perennial("monitor", "--config", copied, "--as-of", LOOKED.isoformat(), "--json")
    assert again.json["weeks"] == [week.to_json() for week in before]


def test_before_a_week_has_matured_it_says_when_one_does(shop, perennial):
    day = (AS_OF + timedelta(days=7)).isoformat()
    early = perennial("monitor", "--config", shop, "--as-of", day, "--json")
    assert early.code == 0
    assert early.json["weeks"] == []
    assert early.json["first_matures"] == (AS_OF + timedelta(days=8)).isoformat()
    shown = perennial("monitor", "--config", shop, "--as-of", day)
    assert f"No week has matured yet: the first does on {AS_OF + timedelta(days=8)}" in shown.out


def keep_orders(config, keep):
    """Leave the orders after the first day that `keep` says."""
    orders = pd.read_csv(config.parent / "orders.csv")
    late = orders["ordered_at"] > AS_OF.isoformat()
    kept = pd.concat([orders[~late], keep(orders[late].sort_values("ordered_at"))])
    kept.to_csv(config.parent / "orders.csv", index=False)


def test_a_fall_freezes_the_sync_and_asks_for_training_once(copied, perennial):
    settings = read_settings(copied)
    keep_orders(copied, lambda late: pd.concat([late[::8], late[-3:]]))
    fallen = perennial("monitor", "--config", copied, "--as-of", LOOKED.isoformat(), "--json")
    assert fallen.code == 0, fallen.err
    assert fallen.json["standings"][-2:] == [-1, -1]
    assert "of the expected, over 25% off" in frozen_because(settings.state)
    request = read_request(settings.state)
    assert request.asked_for is True
    assert request.as_of == LOOKED
    assert "3 of the last 3 weeks" in request.because
    assert request.announced is False  # no Prefect is there to hear it
    assert {"frozen", "orders"} <= {alert["name"] for alert in fallen.json["alerts"]}
    kept = (settings.state / RETRAIN).read_text()
    shown = perennial("monitor", "--config", copied, "--as-of", LOOKED.isoformat())
    assert f"Training again: asked for on {LOOKED}" in " ".join(shown.out.split())
    assert (settings.state / RETRAIN).read_text() == kept


def test_orders_that_do_not_arrive_freeze_the_sync_and_teach_no_model(copied, perennial):
    settings = read_settings(copied)
    keep_orders(copied, lambda late: late[:0])
    lost = perennial("monitor", "--config", copied, "--as-of", LOOKED.isoformat(), "--json")
    assert "0.00 of the expected" in frozen_because(settings.state)
    assert read_request(settings.state) is None
    assert [week["7"]["is_partial"] for week in lost.json["weeks"]] == [True] * 4
    assert {"frozen", "orders_late"} <= {alert["name"] for alert in lost.json["alerts"]}


def test_nothing_published_is_said(shop, perennial):
    day = (AS_OF - timedelta(days=1)).isoformat()
    refused = perennial("monitor", "--config", shop, "--as-of", day, "--json")
    assert refused.code == 20
    assert "Run `perennial run` first" in refused.json["error"]


def test_people_read_a_table(shop, result, perennial):
    shown = perennial("monitor", "--config", shop, "--as-of", LOOKED.isoformat())
    for words in ("Monitoring as of", "28 d", DAYS[0].isoformat(), "Too few customers", "luck"):
        assert words in shown.out, words


def test_what_moved_is_a_table_where_enough_customers_are(result):
    figure = DriftFigure(
        name="first_amount",
        meaning="first order's amount",
        psi=0.271,
        n_then=2000,
        n_now=3000,
        is_mechanical=False,
    )
    age = figure.model_copy(update={"meaning": "age", "is_mechanical": True})
    table = drift_table([figure, age])
    console = Console(width=100, record=True, file=StringIO())
    console.print(table)
    shown = console.export_text()
    for words in ("first order's amount", "0.271", "2,000", "3,000", "moves with age"):
        assert words in shown


def test_the_next_page_shows_the_weeks(copied, perennial):
    day = LOOKED.isoformat()
    result = perennial("score", "--config", copied, "--as-of", day, "--json")
    assert result.code == 0, result.err
    record = json.loads((copied.parent / result.json["files"]["record"]).read_text())
    assert [week["as_of"] for week in record["monitoring"]["weeks"]] == [
        d.isoformat() for d in DAYS
    ]
    html = (copied.parent / result.json["files"]["page"]).read_text()
    assert "Orders of the week, actual over expected" in html


def test_forgetting_a_person_leaves_the_sums(copied):
    before = expected_of(copied, AS_OF)
    forget_person(home_context(read_settings(copied)), str(int(before["customers"].iloc[0])))
    pd.testing.assert_frame_equal(expected_of(copied, AS_OF), before)


def test_without_prefect_nothing_is_announced():
    assert announce("drift.confirmed", {}) is False


def test_weeks_do_not_overlap_and_those_recorded_stay():
    first = date(2026, 3, 1)
    daily = [first + timedelta(days=k) for k in range(30)]
    assert weeks_apart([], daily) == [first + timedelta(days=7 * k) for k in range(5)]
    kept = [first + timedelta(days=10)]
    choice = weeks_apart(kept, daily)
    assert choice == [first + timedelta(days=k) for k in (0, 10, 17, 24)]
    assert weeks_apart(choice, daily) == choice
    gaps = [first, first + timedelta(days=8), first + timedelta(days=15)]
    assert weeks_apart([], gaps) == gaps


def test_a_window_matures_when_its_late_orders_are_in():
    assert not has_matured(date(2026, 3, 1), 7, date(2026, 3, 8), 1)
    assert has_matured(date(2026, 3, 1), 7, date(2026, 3, 9), 1)
    assert has_matured(date(2026, 3, 1), 7, date(2026, 3, 8), 0)


def test_a_state_of_a_newer_version_is_refused(tmp_path):
    save_monitoring(tmp_path, REPORT.model_copy(update={"schema_version": 2}))
    with pytest.raises(DataError, match="written by a newer one"):
        read_monitoring(tmp_path)


def test_a_state_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / MONITORING).write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        read_monitoring(tmp_path)


def test_what_a_later_day_found_stays(tmp_path):
    assert save_monitoring(tmp_path, REPORT)
    assert not save_monitoring(tmp_path, REPORT)
    earlier = REPORT.model_copy(update={"as_of": date(2026, 2, 28)})
    assert not save_monitoring(tmp_path, earlier)
    assert read_monitoring(tmp_path).as_of == date(2026, 3, 1)


def test_a_report_is_read_as_it_was_written_whoever_wrote_it(result, shop):
    """What ``--json`` prints is the state with its digest, key by key, and comes back the same."""
    path = read_settings(shop).state / MONITORING
    kept = json.loads(path.read_text())
    report = read_monitoring(path.parent)
    assert json.dumps(report.to_json()) == json.dumps({k: kept[k] for k in kept if k != "digest"})
    assert list(report.to_json()) == list(result)[: len(report.to_json())]
    assert list(kept["weeks"][0]) == ["as_of", "model_version", "7", "28"]
    assert list(kept["weeks"][0]["28"]) == [
        "until", "is_peak", "is_partial", "group", "customers", "expected", "variance", "actual",
        "ratio", "low", "high", "active", "actual_value", "expected_value", "value_ratio", "slope",
        "by_tenure", "by_decile", "new_orders", "unmatched_orders", "rank",
    ]  # fmt: skip
    kept["of_a_newer_version"] = 1
    assert MonitoringReport.model_validate(kept) == report


DAY = date(2026, 3, 1)


def report(*, is_due=True, newest=date(2026, 1, 1)):
    due = RetrainDue(is_due=is_due, because="two of three" if is_due else None)
    model = MODEL.model_copy(update={"newest_trained_as_of": newest})
    return REPORT.model_copy(update={"due": due, "model": model})


def asked(before, as_of, cooldown=28, **more):
    return judge_request(before, report(**more), as_of, cooldown)


def answer(request):
    return request.model_copy(update={"asked_for": False})


def test_a_request_is_made_once_and_stays_open_until_a_model_is_trained():
    assert asked(None, DAY, is_due=False) is None
    first = asked(None, DAY)
    assert (first.asked_for, first.as_of, first.until) == (True, DAY, date(2026, 3, 29))
    assert asked(first, DAY) == first
    assert asked(first, DAY + timedelta(days=60)) == first
    answered = asked(first, DAY + timedelta(days=1), newest=DAY)
    assert answered == answer(first)


def test_no_other_request_is_made_before_the_cooldown_is_over():
    answered = answer(asked(None, DAY))
    at, newest = DAY + timedelta(days=27), date(2026, 3, 2)
    assert asked(answered, at, newest=newest) == answered
    again = asked(answered, at + timedelta(days=1), newest=newest)
    assert (again.asked_for, again.as_of) == (True, date(2026, 3, 29))
    assert asked(answered, DAY, newest=newest) == answered  # a look of the same day


def test_an_older_look_leaves_a_request_alone():
    first = asked(None, DAY)
    assert asked(first, DAY - timedelta(days=7)) == first


def counted(actual, *, day=date(2026, 2, 1), lost=0, is_peak=False, slope=None, rank=None):
    came = {"actual": actual, "ratio": actual / 1000, "unmatched_orders": lost}
    return MonitoredWeek(
        as_of=day,
        model_version="3",
        first_week=WINDOW.model_copy(update={**came, "is_peak": is_peak}),
        four_weeks=WINDOW.model_copy(update={"is_peak": is_peak, "slope": slope, "rank": rank}),
    )


def alerts(weeks, *, psi=None, outside=0.01, age=10, late=0, published=0, is_mechanical=False):
    figure = DriftFigure(name="frequency", meaning="repeat orders", psi=psi, n_then=2000,
                         n_now=2000, is_mechanical=is_mechanical)  # fmt: skip
    judged = of_weeks(MonitoringSettings(), weeks)
    lateness = {"orders_late_days": late, "published_late_days": published}
    made = REPORT.model_copy(update={
        "weeks": tuple(weeks),
        "standings": judged.standings, "frozen": judged.frozen, "due": judged.due,
        "drift": Drift(figures=(figure,), outside_share=outside),
        "model": MODEL.model_copy(update={"age_days": age}),
        "freshness": FRESHNESS.model_copy(update=lateness),
    })  # fmt: skip
    return {alert.name: alert.level for alert in find_alerts(made)}


def ginis(model, rule):
    of_model, of_rule = (RankQuality(gini=gini, top_fifth=0.5) for gini in (model, rule))
    return RankComparison(model=of_model, total_past=of_rule, rfm=of_rule, hiatus=of_rule)


def slope(low, high):
    return Slope((low + high) / 2, low, high)


@pytest.mark.parametrize(
    ("raised", "quiet", "name", "level"),
    [
        ([[counted(700)]], [[counted(800)]], "frozen", "act"),
        ([[counted(800), counted(800)]], [[counted(1000)]], "orders", "act"),
        ([[counted(1000), counted(800)]], [[counted(800), counted(1000)]], "orders", "warn"),
        ([[counted(1000, lost=60)]], [[counted(1000, lost=40)]], "unmatched", "warn"),
        ([[counted(1000, slope=slope(0.5, 0.79))]], [[counted(1000, slope=slope(0.5, 0.81))]], "slope", "warn"),
        ([[counted(1000, slope=slope(1.21, 1.5))]], [[]], "slope", "warn"),
        ([[counted(1000, rank=ginis(0.5, 0.53))]], [[counted(1000, rank=ginis(0.5, 0.51))]], "rank", "warn"),
    ],
)  # fmt: skip
def test_each_alert_of_weeks_is_raised_and_is_not(raised, quiet, name, level):
    assert alerts(*raised)[name] == level
    assert name not in alerts(*quiet)


@pytest.mark.parametrize(
    ("raised", "quiet", "name", "level"),
    [
        ({"psi": 0.3}, {"psi": 0.2}, "drift", "warn"),
        ({"psi": 0.3}, {"psi": 0.9, "is_mechanical": True}, "drift", "warn"),
        ({"outside": 0.06}, {"outside": 0.04}, "support", "warn"),
        ({"age": 46}, {"age": 45}, "model_age", "warn"),
        ({"age": 91}, {"age": 45}, "model_age", "act"),
        ({"late": 2}, {"late": 1}, "orders_late", "warn"),
        ({"published": 2}, {"published": 1}, "published_late", "warn"),
    ],
)
def test_each_alert_of_inputs_is_raised_and_is_not(raised, quiet, name, level):
    assert alerts([], **raised)[name] == level
    assert name not in alerts([], **quiet)


def test_drift_of_inputs_never_asks_for_training():
    judged = of_weeks(MonitoringSettings(), [counted(1000)] * 3)
    assert judged.due.is_due is False
    assert alerts([counted(1000)] * 3, psi=2.0) == {"drift": "warn"}


def test_peaks_are_shown_and_never_acted_on():
    judged = of_weeks(MonitoringSettings(), [counted(3000, is_peak=True)] * 3)
    assert judged == Judgment(
        standings=(0, 0, 0),
        frozen=Freeze(is_frozen=False, because=None),
        due=RetrainDue(is_due=False, because=None),
    )
