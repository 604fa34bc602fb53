"""The part of Stripe's API that Perennial calls: reads only.

What is not listed here cannot be called.

References
----------
Stripe's API reference, version 2026-10-28.endive.
"""

from connectors.live.http import Endpoint

HOST = "https://api.stripe.com"
API_VERSION = "2026-10-28.endive"
MOST_ROWS = 100  # of a page
BURST, STEADY = 20, 1_200  # a fifth of what an account may ask in live mode: others share it

ACCOUNT = Endpoint("GET", "/v1/account", (), BURST, STEADY)
CHARGES = Endpoint("GET", "/v1/charges", ("Charges: Read",), BURST, STEADY)
REFUNDS = Endpoint("GET", "/v1/refunds", ("Charges and Refunds: Read",), BURST, STEADY)
DISPUTES = Endpoint("GET", "/v1/disputes", ("Disputes: Read",), BURST, STEADY)
BALANCE = Endpoint("GET", "/v1/balance_transactions", ("Balance: Read",), BURST, STEADY)
ENDPOINTS = (ACCOUNT, CHARGES, REFUNDS, DISPUTES, BALANCE)

LIVE_RESTRICTED = "rk_live_"
NO_DECIMALS = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split()  # noqa: SIM905
)
THREE_DECIMALS = frozenset("bhd jod kwd omr tnd".split())  # noqa: SIM905


def decimals(currency: str) -> int:
    """Return how many decimals a currency has in Stripe's amounts."""
    name = currency.lower()
    return 0 if name in NO_DECIMALS else 3 if name in THREE_DECIMALS else 2
