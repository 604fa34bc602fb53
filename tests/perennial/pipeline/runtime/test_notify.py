"""People are told: a real webhook and a real mail server on this machine, and both when they fail."""

import json
import os
import ssl
import threading
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tenacity import wait_none

from perennial.pipeline.runtime.notifications import notify, without_secrets
from perennial.pipeline.settings.store import build_settings
from perennial.service.server import _free_port
from tests.shops import write_shop

AT_ONCE = wait_none()
FACTS = {"check": "orders_by_weekday", "found": 3, "threshold": "at least 40"}


class Webhook(ThreadingHTTPServer):
    """Takes what is posted, and answers as it was told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.got = []
        self.answers = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hooks/T0PSECRETPATH"


class _Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), json.loads(body)))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Mailbox:
    """Keeps the mails that it is given; refuses the first addresses with the codes it was told to."""

    def __init__(self) -> None:
        self.mails = []
        self.codes = []
        self.users = []

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802  # aiosmtpd's
        if self.codes and (code := self.codes.pop(0)) != 250:
            return f"{code} not now, {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802
        mail = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append((envelope.rcpt_tos, mail))
        return "250 OK"

    def authenticate(self, _server, _session, _envelope, _mechanism, data):
        self.users.append(data.login.decode())
        return AuthResult(success=data.password == b"pa55word", handled=False)


@pytest.fixture
def webhook():
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def mailbox():
    box = Mailbox()
    box.port = _free_port()
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    yield box
    controller.stop()


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch):
    for name in ("WEBHOOK", "WEBHOOK_TOKEN", "SMTP_USER", "SMTP_PASSWORD"):
        monkeypatch.delenv(f"PERENNIAL_{name}", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def shop(folder, **receivers):
    values = {"orders": {"source": "a.csv"}, "store": {"name": "Tiny Teas"}, "notify": receivers}
    return build_settings(values, folder)


def mail_to(box, *addresses, **more):
    return {
        "email_to": addresses,
        "sender": "perennial@example.com",
        "smtp_host": "127.0.0.1",
        "smtp_port": box.port,
        **more,
    }


def test_a_webhook_gets_json_that_chat_systems_show(tmp_path, webhook):
    settings = shop(tmp_path, webhook=webhook.url)
    assert notify(settings, "refused", "2026-11-21 was refused", FACTS, AT_ONCE) == []
    [(headers, result)] = webhook.got
    assert headers["Content-Type"] == "application/json"
    assert result["kind"] == "refused"
    assert result["store"] == "Tiny Teas"
    assert result["subject"] == "2026-11-21 was refused"
    assert result["facts"] == FACTS
    assert result["text"].splitlines() == [
        "Tiny Teas: 2026-11-21 was refused",
        "check: orders_by_weekday",
        "found: 3",
        "threshold: at least 40",
    ]


def test_a_secret_webhook_and_its_token_come_from_the_environment(tmp_path, webhook, monkeypatch):
    monkeypatch.setenv("PERENNIAL_WEBHOOK", webhook.url)
    monkeypatch.setenv("PERENNIAL_WEBHOOK_TOKEN", "s3cr3t-token")
    assert notify(shop(tmp_path), "failed", "it failed", {}, AT_ONCE) == []
    assert webhook.got[0][0]["Authorization"] == "Bearer s3cr3t-token"


def test_an_email_reaches_everybody(tmp_path, mailbox):
    settings = shop(tmp_path, **mail_to(mailbox, "ann@example.com", "bob@example.com"))
    assert notify(settings, "stale", "nothing new", {"newest": "2026-11-21"}, AT_ONCE) == []
    [(reached, mail)] = mailbox.mails
    assert reached == ["ann@example.com", "bob@example.com"]
    assert mail["Subject"] == "[stale] Tiny Teas: nothing new"
    assert mail["From"] == "perennial@example.com"
    assert mail.get_content().split("\r\n") == ["Tiny Teas: nothing new", "newest: 2026-11-21", ""]


def test_an_error_that_passes_is_tried_again(tmp_path, webhook, mailbox):
    webhook.answers = [503, 429, 200]
    mailbox.codes = [451]
    settings = shop(tmp_path, webhook=webhook.url, **mail_to(mailbox, "ann@example.com"))
    assert notify(settings, "failed", "it failed", {}, AT_ONCE) == []
    assert (len(webhook.got), len(mailbox.mails)) == (3, 1)


def test_an_error_that_stays_is_not_tried_again(tmp_path, webhook, mailbox):
    webhook.answers = [404, 200]
    mailbox.codes = [550, 250]
    settings = shop(tmp_path, webhook=webhook.url, **mail_to(mailbox, "ann@example.com"))
    reported = notify(settings, "failed", "it failed", {}, AT_ONCE)
    assert reported == [
        "webhook: answered 404",
        "e-mail: the server refused every address of notify.email_to",
    ]
    assert (len(webhook.got), len(mailbox.mails)) == (1, 0)


def test_one_refused_address_is_named_and_nobody_is_told_twice(tmp_path, mailbox):
    mailbox.codes = [250, 450]
    settings = shop(tmp_path, **mail_to(mailbox, "ann@example.com", "bob@example.com"))
    reported = notify(settings, "failed", "it failed", {}, AT_ONCE)
    assert reported == ["e-mail: 1 of 2 addresses were refused"]
    assert [reached for reached, _ in mailbox.mails] == [["ann@example.com"]]


def test_an_unreachable_receiver_is_logged_and_keeps_no_other_from_being_told(
    tmp_path, webhook, mailbox, caplog
):
    url = webhook.url
    webhook.server_close()
    settings = shop(tmp_path, webhook=url, **mail_to(mailbox, "ann@example.com"))
    [result] = notify(settings, "failed", "it failed", {}, AT_ONCE)
    assert result.startswith("webhook: ConnectError")
    assert "T0PSECRETPATH" not in result + caplog.text
    assert "not told of failed" in caplog.text
    assert len(mailbox.mails) == 1


def test_a_webhook_that_never_answers_right_is_given_up(tmp_path, webhook):
    webhook.answers = [500] * 9
    reported = notify(shop(tmp_path, webhook=webhook.url), "failed", "it failed", {}, AT_ONCE)
    assert reported == ["webhook: answered 500"]
    assert len(webhook.got) == 4


def test_without_receivers_nothing_is_told(tmp_path):
    assert notify(shop(tmp_path), "retrain", "fitted anew", {}) == []


def test_an_unknown_kind_is_a_defect(tmp_path):
    with pytest.raises(ValueError, match="'fine' is none"):
        notify(shop(tmp_path), "fine", "all is well", {})


def test_messages_carry_neither_people_nor_secrets(tmp_path, webhook, monkeypatch):
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_0123456789")
    facts = {
        "error": "row 7: ann@example.com, +49 170 1234567, pk_0123456789",
        "source": "postgresql://ann:pw@db.example/shop",
        "as_of": "2026-11-21",
        "at": "2026-11-22 04:00",
        "ui": "http://127.0.0.1:4200/runs",
        "rows": ["bob@example.org", 25_900],
    }
    settings = shop(tmp_path, webhook=webhook.url)
    assert notify(settings, "failed", "ann@example.com\r\nBcc: x", facts, AT_ONCE) == []
    record = webhook.got[0][1]
    assert record["subject"] == "…@… Bcc: x"
    assert record["facts"] == {
        "error": "row 7: …@…, …, …",
        "source": "postgresql://…@db.example/shop",
        "as_of": "2026-11-21",
        "at": "2026-11-22 04:00",
        "ui": "http://127.0.0.1:4200/runs",
        "rows": ["…@…", 25_900],
    }
    assert len(without_secrets("x" * 10)) == 10


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example:18098/x",
        "HTTP://hooks.example/x",
        "http://10.0.0.7/x",
        "http://[2001:db8::1]/x",
        "http://127.0.0.1.example/x",
        "http://localhost@hooks.example/x",
    ],
)
@pytest.mark.parametrize("is_set_in", ["settings", "environment"])
def test_a_token_is_never_sent_in_the_clear_beyond_this_machine(
    tmp_path, monkeypatch, url, is_set_in
):
    monkeypatch.setenv("PERENNIAL_WEBHOOK_TOKEN", "tok_1234567")
    monkeypatch.setenv("PERENNIAL_WEBHOOK", url)
    if is_set_in == "settings" and url.startswith("http:") and "@" not in url:
        monkeypatch.delenv("PERENNIAL_WEBHOOK")
    asked = {} if "PERENNIAL_WEBHOOK" in os.environ else {"webhook": url}
    sent = []
    monkeypatch.setattr(httpx.Client, "send", lambda *_args, **_more: sent.append(1))
    [result] = notify(shop(tmp_path, **asked), "failed", "it failed", {}, AT_ONCE)
    assert "use an https:// webhook" in result
    assert "tok_1234567" not in result
    assert sent == []


def test_a_token_is_sent_to_this_machine_without_the_proxy(tmp_path, monkeypatch, webhook):
    proxy = Webhook()
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.server_port}")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("PERENNIAL_WEBHOOK_TOKEN", "tok_1234567")
    try:
        for host in ("127.0.0.1", "localhost"):
            url = webhook.url.replace("127.0.0.1", host)
            assert notify(shop(tmp_path, webhook=url), "failed", "x", {}, AT_ONCE) == []
    finally:
        proxy.shutdown()
        proxy.server_close()
    assert [text["Authorization"] for text, _ in webhook.got] == ["Bearer tok_1234567"] * 2
    assert proxy.got == []


def certificate(folder):
    """A certificate for 127.0.0.1 that nobody trusts yet, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def encrypted(tmp_path):
    """A mail server that wants encryption and a password."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    box = Mailbox()

    class Encrypted(Controller):
        def factory(self):
            return SMTP(
                self.handler,
                tls_context=context,
                require_starttls=True,
                auth_required=True,
                authenticator=box.authenticate,
            )

    box.port = _free_port()
    controller = Encrypted(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    box.certificate = tmp_path / "server.pem"
    yield box
    controller.stop()


def test_a_password_is_sent_encrypted_to_a_server_that_is_trusted(
    tmp_path, encrypted, monkeypatch
):
    monkeypatch.setenv("PERENNIAL_SMTP_USER", "perennial")
    monkeypatch.setenv("PERENNIAL_SMTP_PASSWORD", "pa55word")
    asked = mail_to(encrypted, "ann@example.com", smtp_starttls=True) | {"smtp_host": "localhost"}
    [untrusted] = notify(shop(tmp_path, **asked), "failed", "it failed", {}, AT_ONCE)
    assert "CERTIFICATE_VERIFY_FAILED" in untrusted
    assert encrypted.mails == []
    monkeypatch.setenv("SSL_CERT_FILE", str(encrypted.certificate))
    assert notify(shop(tmp_path, **asked), "failed", "it failed", {}, AT_ONCE) == []
    assert (len(encrypted.mails), encrypted.users) == (1, ["perennial"])
    monkeypatch.setenv("PERENNIAL_SMTP_PASSWORD", "another")
    [wrong] = notify(shop(tmp_path, **asked), "failed", "it failed", {}, AT_ONCE)
    assert "535" in wrong
    assert "another" not in wrong


def test_a_password_is_never_sent_in_the_clear(tmp_path, mailbox, monkeypatch):
    monkeypatch.setenv("PERENNIAL_SMTP_USER", "perennial")
    monkeypatch.setenv("PERENNIAL_SMTP_PASSWORD", "pa55word")
    settings = shop(tmp_path, **mail_to(mailbox, "ann@example.com"))
    [result] = notify(settings, "failed", "it failed", {}, AT_ONCE)
    assert "set notify.smtp_starttls" in result
    assert mailbox.mails == []


def with_webhook(folder, url):
    config = write_shop(folder)
    config.write_text(config.read_text() + f'[notify]\nwebhook = "{url}"\n')
    return config


def test_the_command_tries_every_receiver(tmp_path, perennial, webhook):
    config = with_webhook(tmp_path, webhook.url)
    result = perennial("notify", "--test", "--config", config, "--json")
    assert (result.code, result.json["told"]) == (0, ["webhook"])
    assert webhook.got[0][1]["subject"] == "a test: nothing happened"
    webhook.answers = [403]
    result = perennial("notify", "--test", "--config", config, "--json")
    assert (result.code, result.json["undelivered"]) == (30, ["webhook: answered 403"])


def test_the_command_without_receivers_says_what_to_set(tmp_path, perennial):
    result = perennial("notify", "--test", "--config", write_shop(tmp_path), "--json")
    assert result.code == 2
    assert "notify.webhook" in result.json["error"]
