"""Tell people: a webhook, an e-mail, or both, from the settings ``[notify]``.

What is told is short and harmless: no personal data, no secret, and of an unexpected error only its
kind. A receiver that cannot be reached is logged and named, and stops nothing.
"""

import logging
import os
import re
import smtplib
import ssl
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from functools import partial
from typing import Any

import httpx
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential_jitter,
)
from tenacity.wait import WaitBaseT

from connectors.addresses import is_loopback, redacted
from features.renamed import NOTIFICATION_KEYS, with_old_keys
from perennial.pipeline.settings.schedule import NotifySettings
from perennial.pipeline.settings.store import Settings

REFUSED, FAILED, STALE, RETRAIN = KINDS = ("refused", "failed", "stale", "retrain")
WEBHOOK, USER, PASSWORD, TOKEN = (
    f"PERENNIAL_{name}" for name in ("WEBHOOK", "SMTP_USER", "SMTP_PASSWORD", "WEBHOOK_TOKEN")
)
ATTEMPTS = 4
SECONDS = 10.0  # that a receiver may take to answer
LONGEST = 1_500  # characters of one fact

_log = logging.getLogger(__name__)

_EMAIL = re.compile(r"[\w.+%'-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"(?<![\w.-])\+?\d[\d ()/.-]{7,}\d(?![\w-])")
_NO_PHONE = re.compile(r"\d{4}-\d\d-\d\d|\d+(?:\.\d+){3}$")  # days, addresses of machines
_SECRET_NAME = re.compile(r"KEY|TOKEN|PASSWORD|SECRET|WEBHOOK", re.IGNORECASE)


def notify(
    settings: Settings,
    kind: str,
    subject: str,
    facts: Mapping[str, Any],
    wait: WaitBaseT | None = None,
) -> list[str]:
    """Tell every receiver that the settings name.

    Parameters
    ----------
    settings
        The store's.
    kind
        ``refused``, ``failed``, ``stale`` or ``retrain``.
    subject
        What happened, in one line.
    facts
        What else there is to know, by name.
    wait
        Between attempts; by default 1, 2 and 4 seconds, a little scattered.

    Returns
    -------
    list of str
        Receivers that were not reached, each with the reason.

    Raises
    ------
    ValueError
        No such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"a notification is one of {', '.join(KINDS)}: {kind!r} is none")
    message = _message(settings, kind, subject, facts)
    undelivered = []
    for name, send in _receivers(settings.notify):
        try:
            _again(partial(send, message), wait)
        except (httpx.HTTPError, httpx.InvalidURL, smtplib.SMTPException, OSError) as error:
            reason = without_secrets(f"{name}: {_reason(error)}")
            _log.error("not told of %s (%s): %s", kind, message["subject"], reason)
            undelivered.append(reason)
    return undelivered


def receivers(settings: Settings) -> list[str]:
    """Return the names of the receivers that the settings give."""
    return [name for name, _ in _receivers(settings.notify)]


def without_secrets(text: str) -> str:
    """Take e-mail addresses, phone numbers, passwords and the environment's secrets out of a text."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= 6:
            text = text.replace(value, "…")
    text = _EMAIL.sub("…@…", redacted(text))
    return _PHONE.sub(lambda match: match[0] if _NO_PHONE.match(match[0]) else "…", text)


Message = dict[str, Any]
Send = Callable[[Message], None]


class _NotAgainError(smtplib.SMTPException):
    """Sending again would not help, or would tell somebody twice."""


def _message(settings: Settings, kind: str, subject: str, facts: Mapping[str, Any]) -> Message:
    subject = " ".join(without_secrets(subject).split())
    cleaned = {str(name): _cleaned(value) for name, value in facts.items()}
    lines = [f"{name.replace('_', ' ')}: {value}" for name, value in cleaned.items()]
    headline = f"{settings.store.name}: {subject}"
    return {
        "text": "\n".join([headline, *lines]),  # what chat systems show
        "kind": kind,
        "store": settings.store.name,
        "subject": subject,
        "facts": with_old_keys(cleaned, NOTIFICATION_KEYS),
    }


def _cleaned(value: Any) -> Any:  # noqa: ANN401  # a JSON value, or what str() says of it
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _cleaned(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(one) for one in value]
    text = without_secrets(str(value))
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"


def _receivers(asked: NotifySettings) -> list[tuple[str, Send]]:
    receivers: list[tuple[str, Send]] = []
    webhook = os.environ.get(WEBHOOK) or asked.webhook
    if webhook:
        receivers.append(("webhook", lambda message: _post(webhook, message)))
    if asked.email_to:
        receivers.append(("e-mail", lambda message: _mail(asked, message)))
    return receivers


def _post(url: str, message: Message) -> None:
    token = os.environ.get(TOKEN)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    address = httpx.URL(url)
    is_encrypted = address.scheme == "https"
    if token and not is_encrypted and not is_loopback(address.host):
        raise _NotAgainError(f"${TOKEN} is only sent encrypted: use an https:// webhook")
    # A proxy would read a token that is not encrypted.
    trust_env = is_encrypted or not token
    with httpx.Client(timeout=SECONDS, headers=headers, trust_env=trust_env) as client:
        client.post(url, json=message).raise_for_status()


def _mail(asked: NotifySettings, message: Message) -> None:
    mail = EmailMessage()
    mail["Subject"] = f"[{message['kind']}] {message['store']}: {message['subject']}"
    mail["From"], mail["To"] = asked.sender, ", ".join(asked.email_to)
    mail["Auto-Submitted"] = "auto-generated"  # out-of-office replies are not wanted
    mail.set_content(message["text"] + "\n")
    with smtplib.SMTP(asked.smtp_host, asked.smtp_port, timeout=SECONDS) as server:
        if asked.smtp_starttls:
            server.starttls(context=ssl.create_default_context())
        _log_in(server, is_encrypted=asked.smtp_starttls)
        refused = server.send_message(mail)
    if refused:
        raise _NotAgainError(f"{len(refused)} of {len(asked.email_to)} addresses were refused")


def _log_in(server: smtplib.SMTP, *, is_encrypted: bool) -> None:
    user, password = os.environ.get(USER), os.environ.get(PASSWORD)
    if not (user and password):
        return
    if not is_encrypted:
        raise _NotAgainError(f"${PASSWORD} is only sent encrypted: set notify.smtp_starttls")
    server.login(user, password)


def _again(call: Callable[[], None], wait: WaitBaseT | None) -> None:
    """Try again after errors that pass."""
    for attempt in Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait or wait_exponential_jitter(initial=1, max=8, jitter=0.5),
        retry=retry_if_exception(_may_pass),
        reraise=True,
    ):
        with attempt:
            call()


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code in (408, 429)
    if isinstance(error, smtplib.SMTPResponseException):
        return 400 <= error.smtp_code < 500
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(400 <= code < 500 for code, _ in error.recipients.values())
    if isinstance(error, _NotAgainError | smtplib.SMTPNotSupportedError | ssl.SSLError):
        return False
    return isinstance(error, httpx.TransportError | smtplib.SMTPException | OSError)


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):  # whose text has the address, maybe a secret one
        return f"answered {error.response.status_code}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):  # whose text has the addresses
        return "the server refused every address of notify.email_to"
    if isinstance(error, _NotAgainError):
        return str(error)
    return f"{type(error).__name__}: {error}"
