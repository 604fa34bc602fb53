"""What once went wrong, or nearly: dirty keys, shared profiles, odd answers."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from connectors.klaviyo.answers import ImportFault, Job
from connectors.klaviyo.apply import judge
from connectors.klaviyo.conditions import TextIn, TextIs
from connectors.klaviyo.errors import SyncRefusedError
from connectors.klaviyo.guards import Limits, check_fresh
from connectors.klaviyo.payloads import (
    ListAttributes,
    MetricName,
    ProfileAttributes,
)
from connectors.klaviyo.plan import Audience, broken_rules
from connectors.klaviyo.printable import printable
from connectors.klaviyo.properties import list_properties, property_table, row_hashes
from perennial.pipeline.settings.klaviyo import DEFAULT_PROPERTIES, KlaviyoSettings
from tests.klaviyo_double import START
from tests.klaviyo_store import DAY, make_scores

DIRTY = {
    "email": [
        "ann\u00a0lee@example.com",  # no-break space, as pages have it
        "ann@exam\u2003ple.com",
        "ann@example.com\u2028",
        "ann\u200b@example.com",  # zero-width space
        "a\x0bb@example.com",
        "a\x1cb@example.com",
        "a\x00b@example.com",
        "jös@exämple.com",
        "名前@例え.jp",
        "a" * 250 + "@example.com",
        "=1+1@example.com",
    ],
    "phone_number": ["+1500555\u0660\u0661\u0662\u0663", "+15005550006", "+15005550006\n", "555"],
    "external_id": ["a\nb", "a\rb", "a\u2028b", "é" * 254, "é" * 255, "x" * 300, "😀", "a\n"],
}


@pytest.mark.parametrize("kind", DIRTY)
def test_a_key_that_a_plan_lets_pass_is_one_that_a_body_takes(kind):
    """Otherwise one customer's dirty key would stop everybody's sync."""
    keys = pd.Series(DIRTY[kind], dtype="str")
    scores = make_scores(len(keys))
    code = broken_rules(Audience(scores, keys, keys, kind), np.zeros(len(keys), dtype=bool))
    passed = keys[code == ""]
    assert 0 < len(passed) < len(keys)
    for key in passed:
        assert getattr(ProfileAttributes.model_validate({kind: key}), kind) == key


def test_spaces_of_any_kind_are_in_no_key():
    keys = pd.Series(DIRTY["email"], dtype="str")
    scores = make_scores(len(keys))
    code = broken_rules(Audience(scores, keys, keys, "email"), np.zeros(len(keys), dtype=bool))
    assert list(code == "") == [False] * 7 + [True, True, False, True]
    for key in keys[:7]:
        with pytest.raises(ValidationError):
            ProfileAttributes.model_validate({"email": key})


@pytest.mark.parametrize("name", DEFAULT_PROPERTIES)
def test_a_property_that_is_renamed_is_sent_again(name):
    scores = make_scores(3)
    key = scores["customer_id"]
    renamed = {f"{n} Now" if n == name else n: column for n, column in DEFAULT_PROPERTIES.items()}
    before = row_hashes(key, scores, list_properties("Retention", DEFAULT_PROPERTIES))
    after = row_hashes(key, scores, list_properties("Retention", renamed))
    assert not (before == after).any()


def job(rows, failed):
    return Job(
        id="J1", status="complete", total_count=rows, created_at=START, completed_count=rows - failed,
        failed_count=failed,
    )  # fmt: skip


def sent(kind, *keys):
    return pd.DataFrame({"row": range(len(keys)), "kind": kind, "key": keys})


def test_ids_that_differ_in_case_are_two_people_to_a_rejection():
    rows = sent("external_id", "Ab", "aB")
    error = ImportFault(code="invalid", original_payload={"attributes": {"external_id": "Ab"}})
    assert judge(rows, 2, job(2, 1), [error]).keys() == {"0"}


def test_an_address_in_another_case_is_the_same_person_to_a_rejection():
    rows = sent("email", "a@example.com", "b@example.com")
    error = ImportFault(
        code="invalid", original_payload={"attributes": {"email": "B@Example.com"}}
    )
    assert judge(rows, 2, job(2, 1), [error]).keys() == {"1"}


def test_scores_of_a_day_that_has_not_come_are_refused():
    """A clock that ran ahead made them; "in the last 14 days" would leave everybody out."""
    limits = Limits(3, 0.3, 0.7, 1000)
    today = DAY + timedelta(days=1)
    check_fresh(today, DAY, limits)
    with pytest.raises(SyncRefusedError, match="ahead"):
        check_fresh(date(2024, 7, 2), DAY, limits)


CONTROLS = ["\x00", "\x07", "\t", "\n", "\x1f", "\x7f", "\x85", "\x9b", "\u2028", "\u2029", "\u202e", "\u2066", "\ufeff"]  # fmt: skip


@pytest.mark.parametrize("letter", CONTROLS, ids=lambda letter: f"{ord(letter):04x}")
@pytest.mark.parametrize("kind", ["external_id", "email", "phone_number"])
def test_a_key_with_a_control_character_is_rejected_and_counted(letter, kind):
    keys = pd.Series({
        "external_id": [f"a{letter}b", f"{letter}a", f"a{letter}", "ab"],
        "email": [f"a{letter}b@example.com", f"a@exa{letter}mple.com", f"a@example.com{letter}", "a@example.com"],
        "phone_number": [f"+1500{letter}5550006", f"{letter}+15005550006", f"+15005550006{letter}", "+15005550006"],
    }[kind], dtype="str")  # fmt: skip
    scores = make_scores(4)
    code = broken_rules(Audience(scores, keys, keys, kind), np.zeros(4, dtype=bool))
    assert list(code) == ["unreadable_key"] * 3 + [""]


@pytest.mark.parametrize("letter", CONTROLS, ids=lambda letter: f"{ord(letter):04x}")
def test_no_body_takes_a_control_character(letter):
    dirty = f"a{letter}b"
    for write in (
        lambda: ProfileAttributes(external_id=dirty),
        lambda: ProfileAttributes(external_id="a", properties={dirty: 1}),
        lambda: ProfileAttributes(external_id="a", properties={"Tier": dirty}),
        lambda: ListAttributes(name=dirty),
        lambda: MetricName(name=dirty),
        lambda: TextIs(value=dirty),
        lambda: TextIn(value=(dirty,)),
    ):
        with pytest.raises(ValidationError):
            write()


@pytest.mark.parametrize("letter", CONTROLS, ids=lambda letter: f"{ord(letter):04x}")
def test_a_control_character_in_what_is_said_becomes_a_space(letter):
    scores = make_scores(3).assign(segment=f"at{letter}risk", is_holdout=False)
    properties = property_table(scores, list_properties("Retention", {"Segment": "segment"}))
    assert set(properties["Retention Segment"]) == {"at risk"}
    assert printable(f"{letter}at {letter}{letter} risk{letter}") == "at risk"


@pytest.mark.parametrize("text", ["", "at  risk ", "Zoë 👩‍👧", "名前", "a\u00a0b"])
def test_a_text_without_control_characters_stays_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    "klaviyo",
    [
        {"segments": {"Win\u2028back": {"Segment": "lapsed"}}},
        {"segments": {"Win back": {"Segment": "lap\x00sed"}}},
        {"segments": {"Win back": {"Segment": ["lapsed", "lo\x85yal"]}}},
        {"lists": {"He\tavy": {"Tier": "heavy"}}},
        {"lists": {"Heavy": {"Tier": "hea\x7fvy"}}},
    ],
)
def test_settings_with_control_characters_are_refused(klaviyo):
    with pytest.raises(ValidationError, match="control characters"):
        KlaviyoSettings.model_validate(klaviyo)
