"""Why WooCommerce, or what stands before it, refuses a key, and what to do about it."""

from connectors.live.errors import AccessRefusedError, RequestRefusedError
from connectors.live.http import Endpoint

WHERE = "WooCommerce > Settings > Advanced > REST API"


def explained(error: AccessRefusedError) -> AccessRefusedError:
    """Return a refusal with its reason, as far as WooCommerce's answer shows one."""
    return AccessRefusedError(_reason(error), error.status, error.payload)


def is_stripped(error: AccessRefusedError) -> bool:
    """Tell whether the server may have dropped the header ``Authorization``.

    The documents name "Consumer key is missing."; today's code sees nobody, as with a wrong key.
    """
    return error.status == 401 and (
        "consumer key is missing" in _text(error) or _code(error) == "woocommerce_rest_cannot_view"
    )


def firewalled(
    url: str, endpoint: Endpoint, error: AccessRefusedError | RequestRefusedError
) -> AccessRefusedError:
    """Return what to do about a firewall's page."""
    return AccessRefusedError(
        f"Something in front of {url} refuses {endpoint} with a page ({error.status}): a firewall or a security "
        "plugin. Let this machine's address, or the path /wp-json/wc/v3, pass there",
        error.status,
    )


def _reason(error: AccessRefusedError) -> str:
    code, text = _code(error), _text(error)
    if "read permissions" in text:
        return f"The key may not read. Make one with the permission Read under {WHERE}"
    if "secret is invalid" in text:
        return f"The consumer secret does not belong to the key. Make a new key under {WHERE}"
    if error.status == 403 and code:
        return f"The key's user may not see this ({code}). Make the key for a user who is shop manager, under {WHERE}"
    if error.status == 401 and code:
        return (
            f"WooCommerce does not accept the key ({code}): it is wrong, or was revoked. Make one with the "
            f"permission Read under {WHERE}"
        )
    return (
        f"The server asks for a password of its own ({error.status}), before WooCommerce. Let the path "
        "/wp-json/wc/v3 pass there"
    )


def _code(error: AccessRefusedError) -> str:
    payload = error.payload
    return str(payload.get("code", "")) if isinstance(payload, dict) else ""


def _text(error: AccessRefusedError) -> str:
    payload = error.payload
    return str(payload.get("message", "")).lower() if isinstance(payload, dict) else ""
