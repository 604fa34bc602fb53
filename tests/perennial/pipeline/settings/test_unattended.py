"""Settings of schedules and notifications: what is wrong is said when they are read."""

import pytest

from perennial.pipeline.settings.store import SettingsError, build_settings


def build(folder, **sections):
    return build_settings({"orders": {"source": "a.csv"}, **sections}, folder)


@pytest.mark.parametrize(
    "line",
    [
        "0 4 * * *",
        "*/5 0-6,22 1 jan-mar MON",
        "0 0 31 12 7",
        "59 23 * * sun",
        "5/15 * * * *",
        "off",
    ],
)
def test_a_crontab_line_is_taken(tmp_path, line):
    assert build(tmp_path, schedule={"daily": line}).schedule.daily == line.lower()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "is not minute, hour"),
        ("4 o'clock", "is not minute, hour"),
        ("0 4 * *", "is not minute, hour"),
        ("0 4 * * * *", "is not minute, hour"),
        ("60 4 * * *", "the minute is .*: not '60'"),
        ("0 24 * * *", "the hour is .*: not '24'"),
        ("0 4 0 * *", "the day of the month is .*: not '0'"),
        ("0 4 * 13 *", "the month is .*: not '13'"),
        ("0 4 * * 8", "the day of the week is .*: not '8'"),
        ("0 4 * * fri-mon", "the day of the week is .*: not 'fri-mon'"),
        ("*/0 4 * * *", "the minute is .*: not '\\*/0'"),
        ("-5 4 * * *", "the minute is .*: not '-5'"),
        ("1,,2 4 * * *", "the minute is .*: not '1,,2'"),
    ],
)
def test_what_is_no_crontab_line_is_refused(tmp_path, line, message):
    with pytest.raises(SettingsError, match=rf"schedule\.daily.*{message}"):
        build(tmp_path, schedule={"daily": line})


SECRETS = [
    "{scheme}://me:hunter2@db.example/x",
    "{scheme}://me:p@hunter2@db.example/x",
    "{scheme}://me:hunter2/x@db.example/x",
    "{scheme}://db.example/x?password=hunter2",
    "{scheme}://db.example/x?pass%77ord=hunter2",
    "{scheme}://db.example/x;pwd=hunter2",
    "{scheme}://db.example/x?a=b&token=hunter2",
    "{scheme}://db.example/x?sslpassword=hunter2",
]
SETTINGS = [
    ("orders", "source", "postgresql", {}),
    ("orders", "source", "snowflake", {}),
    ("engine", "url", "postgresql", {"backend": "postgresql"}),
    ("engine", "url", "sc", {"backend": "spark"}),
    ("schedule", "database", "postgresql+asyncpg", {}),
    ("notify", "webhook", "https", {}),
    ("paths", "mirror", "s3", {}),
    ("tables", "customers", "mysql", {}),
]


@pytest.mark.parametrize("address", SECRETS)
@pytest.mark.parametrize(("section", "key", "scheme", "more"), SETTINGS)
def test_passwords_are_refused_and_not_repeated(tmp_path, address, section, key, scheme, more):
    values = {section: {key: address.format(scheme=scheme), **more}}
    with pytest.raises(SettingsError, match=rf"{section}\.{key}: .*environment") as error:
        build_settings({"orders": {"source": "a.csv"}} | values, tmp_path)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("address", SECRETS)
def test_a_value_that_is_wrong_for_another_reason_is_said_without_its_password(tmp_path, address):
    for section in (
        {"schedule": {"database": address.format(scheme="mysql")}},
        {"notify": {"webhook": address.format(scheme="ftp")}},
        {"notify": {"email_to": [address.format(scheme="mailto")]}},
        {"notify": address.format(scheme="https")},
        {"engine": {"backend": address.format(scheme="postgresql")}},
        {"engine": [{"url": address.format(scheme="postgresql")}]},
    ):
        with pytest.raises(SettingsError) as error:
            build(tmp_path, **section)
        assert "hunter2" not in str(error.value)


def test_a_mail_servers_password_stands_in_the_environment(tmp_path):
    with pytest.raises(SettingsError, match="PERENNIAL_SMTP_USER") as error:
        build(tmp_path, notify={"smtp_host": "smtp://me:hunter2@mail.example"})
    assert "hunter2" not in str(error.value)


def test_a_database_that_prefect_cannot_use_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"schedule\.database"):
        build(tmp_path, schedule={"database": "postgresql://db/prefect"})


def test_email_needs_a_sender(tmp_path):
    with pytest.raises(SettingsError, match=r"set notify\.sender"):
        build(tmp_path, notify={"email_to": ["a@example.com"]})


@pytest.mark.parametrize("to", ["nobody", "a@b c", "a@example.com\nBcc: x@example.com"])
def test_what_is_no_address_is_refused(tmp_path, to):
    with pytest.raises(SettingsError, match="email_to"):
        build(tmp_path, notify={"email_to": [to], "sender": "me@example.com"})


def test_neither_schedules_nor_receivers_shape_scores(tmp_path):
    plain = build(tmp_path)
    other = build(
        tmp_path,
        schedule={"daily": "0 2 * * *", "port": 4300},
        notify={"webhook": "https://chat.example/hook"},
    )
    assert (plain.digest, plain.training_digest) == (other.digest, other.training_digest)
