"""Addresses: whether a secret stands in one, how to show it, and whether it is this machine's own."""

import re
from ipaddress import IPv6Address, ip_address
from urllib.parse import unquote

LOOPBACK = (ip_address("127.0.0.1"), ip_address("::1"))
MARK = "://"
NO_SECRET = "a password stands in the environment, never in the settings"  # noqa: S105  # a message

_WEB = ("http", "https")
_SECRET_PARTS = ("password", "passwd", "passphrase", "secret", "token", "credential", "signature")
_SECRET_ENDS = ("pwd", "apikey", "accesskey", "accountkey", "sharedkey", "privatekey")
_SECRET_NAMES = ("pass", "pw", "key", "sig", "auth", "authorization", "bearer")
_FILES = (
    "file",
    "path",
    "url",
    "uri",
    "endpoint",
)  # sslkeyfile: where a secret is, not the secret
_OPTION = re.compile(r"([?&;]?\s*)(?<![\w.%+\[\]-])([\w.%+\[\]-]+)(\s*=\s*)([^\s&;?#'\"]+)")
_USER = re.compile(r"(?<=://)[^\s'\"<>]*@")
_DECODINGS = 5  # of a name that is encoded several times


def check_no_secret(address: str) -> str:
    """Return an address in which no secret stands.

    Raises
    ------
    ValueError
        There is one: in front of the host, or among the options, encoded or not.
    """
    if has_secret(address):
        raise ValueError(NO_SECRET)
    return address


def has_secret(address: str) -> bool:
    """Tell whether a password, a token or a key stands in an address."""
    user = _user_of(address)
    if user.strip(":") and _scheme(address) in _WEB:
        return True
    return bool(_decoded(user).partition(":")[2]) or _has_secret_option(address)


def redacted(text: str) -> str:
    """Return a text without users, passwords and tokens of the addresses in it."""
    return _OPTION.sub(_without_value, _USER.sub("…@", text))


def redacted_address(address: str) -> str:
    """Return an address without user, password and token, whatever characters they contain."""
    user = _user_of(address)
    scheme, mark, rest = address.partition(MARK)
    shown = f"{scheme}{mark}…@{rest[len(user) + 1 :]}" if user else address
    return f"{re.split('[?&;# ]', shown)[0]}…" if _has_secret_option(shown) else shown


def bare(address: str) -> str:
    """Return scheme, host, port and path of an address: what may be shown of a database."""
    user = _user_of(address)
    scheme, mark, rest = address.partition(MARK)
    host_on = rest[len(user) + 1 :] if user else rest
    return f"{scheme}{mark}{re.split('[?;#]', host_on)[0]}"


def is_loopback(host: str | None) -> bool:
    """Tell whether a host is this machine itself: ``localhost``, 127.0.0.1 or ``::1``.

    The rest of 127.0.0.0/8 is not: containers and tunnels listen there for others.
    """
    if host is None:
        return False
    if host.lower() == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address) in LOOPBACK


def _scheme(address: str) -> str:
    """Return an address's scheme without the driver."""
    return address.partition(MARK)[0].partition("+")[0].strip().lower()


def _user_of(address: str) -> str:
    """Return what stands in front of the host, although a password may contain ``@ / ? #``."""
    rest = address.partition(MARK)[2]
    user, at, _ = rest.rpartition("@")
    netloc = re.split(r"[/?#]", rest, maxsplit=1)[0]
    is_path = "@" not in netloc and (":" not in user or _is_host(netloc))
    return "" if not at or is_path else user


def _is_host(netloc: str) -> bool:
    """Tell a host and its port from the beginning of a user and a password."""
    host, mark, port = netloc.partition(":")
    return not mark or (port.isdecimal() and ("." in host or host == "localhost"))


def _has_secret_option(address: str) -> bool:
    plain = _decoded(address)
    _, mark, rest = plain.partition(MARK)
    options = _OPTION.finditer(rest if mark else plain)
    return any(_is_secret(one[2], in_path=not mark and not one[1].strip()) for one in options)


def _is_secret(name: str, *, in_path: bool = False) -> bool:
    """Tell the name of a secret; a path may have folders such as ``key=5``."""
    name = re.sub(r"[^a-z0-9]", "", _decoded(name).lower())
    if name.endswith(_FILES):
        return False
    if in_path:
        return name.endswith(("password", "passwd", "pwd"))
    return (
        any(part in name for part in _SECRET_PARTS)
        or name.endswith(_SECRET_ENDS)
        or name in _SECRET_NAMES
    )


def _without_value(match: re.Match[str]) -> str:
    """Return an option without its value, where that is a secret or has one encoded in it."""
    in_path = not match[1].strip()
    is_secret = _is_secret(match[2], in_path=in_path) or _has_secret_option(f"{MARK}{match[4]}")
    return f"{match[1]}{match[2]}{match[3]}…" if is_secret else match[0]


def _decoded(text: str) -> str:
    for _ in range(_DECODINGS):
        decoded = unquote(text)
        if decoded == text:
            break
        text = decoded
    return text
