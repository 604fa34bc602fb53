"""What is served, and that `prefect.yaml` is generated from it."""

import logging
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import load_flow_from_entrypoint

from flows.deployments import DRIFT, list_deployments, to_prefect
from perennial.cli.prefect_yaml import prefect_yaml
from perennial.pipeline.settings.store import build_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def by_default():
    return build_settings({"orders": {"source": "a.csv"}}, ROOT)


def in_yaml():
    """What prefect.yaml deploys; monitoring is served only where it is there."""
    actual = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    is_monitored = find_spec("flows.monitor") is not None
    return [one for one in actual if is_monitored or "monitor" not in one["entrypoint"]]


def test_prefect_yaml_says_what_is_served(by_default):
    served = [to_prefect(one, by_default, Path("x")) for one in list_deployments(by_default)]
    values = {(one["entrypoint"], one["name"]): one for one in in_yaml()}
    assert set(values) == {(one.entrypoint, one.name) for one in served}
    for one in served:
        written = values[one.entrypoint, one.name]
        schedules = [(s.schedule.cron, s.schedule.timezone) for s in one.schedules]
        assert [(s["cron"], s["timezone"]) for s in written["schedules"]] == schedules
        triggers = [(trigger.name, trigger.expect) for trigger in one.triggers]
        asked = written.get("triggers", [])
        assert [(t["name"], set(t["expect"])) for t in asked] == triggers
        assert written["concurrency_limit"] == {
            "limit": one.concurrency_limit,
            "collision_strategy": one.concurrency_options.collision_strategy.value,
        }
        assert set(written["parameters"]) == set(one.parameters)
        for name, value in one.parameters.items():
            assert name == "config" or written["parameters"][name] == value


def test_the_committed_prefect_yaml_is_what_make_docs_generates():
    assert (ROOT / "prefect.yaml").read_text() == prefect_yaml()


def test_every_entrypoint_is_a_flow_by_module(by_default):
    served = list_deployments(by_default)
    assert served
    for one in served:
        assert load_flow_from_entrypoint(one.entrypoint).name == one.flow


def test_runs_of_a_deployment_wait_for_each_other(by_default):
    served = list_deployments(by_default)
    assert served
    for one in served:
        made = to_prefect(one, by_default, Path("x"))
        assert made.concurrency_limit == 1
        assert made.concurrency_options.collision_strategy.value == "ENQUEUE"


def test_schedules_are_in_the_stores_time_zone_and_can_be_off():
    settings = build_settings(
        {
            "orders": {"source": "a.csv"},
            "store": {"timezone": "America/New_York"},
            "schedule": {"daily": "30 3 * * *", "train": "off"},
        },
        ROOT,
    )
    made = {one.name: to_prefect(one, settings, Path("x")) for one in list_deployments(settings)}
    [nightly] = made["nightly"].schedules
    assert (nightly.schedule.cron, nightly.schedule.timezone) == ("30 3 * * *", "America/New_York")
    assert made["weekly"].schedules == []
    assert made["on-drift"].triggers[0].expect == {DRIFT}


@pytest.mark.parametrize("line", ["*/5 0-6,22 1 jan-mar mon", "0 0 31 12 7", "5/15 * * * *"])
def test_what_settings_take_prefect_takes(tmp_path, line):
    settings = build_settings({"orders": {"source": "a.csv"}, "schedule": {"daily": line}}, ROOT)
    assert CronSchedule(cron=settings.schedule.daily).cron == line


def test_registering_leaves_logging_as_it_is(by_default):
    assert logging.getLogger("flows").level == logging.NOTSET
