"""Stripe's payments CSV: a row per charge, in UTC, with totals only."""

import numpy as np
import pandas as pd

from perennial.simulation.forms.ledger import Form, Ledger, Planted, money, save_ledger
from perennial.simulation.forms.planted import COMMON, seconds
from perennial.simulation.world import World

UTC = "%Y-%m-%d %H:%M:%S"
RATES = {"USD": 0.92, "EUR": 1.08, "GBP": 1.15}  # foreign currency for a unit of the store's
USUAL_RATE, RETRY_MINUTES = 0.9, 20
COLUMNS = [
    "id",
    "Description",
    "Seller Message",
    "Created (UTC)",
    "Amount",
    "Amount Refunded",
    "Currency",
    "Converted Amount",
    "Converted Amount Refunded",
    "Fee",
    "Tax",
    "Converted Currency",
    "Mode",
    "Status",
    "Statement Descriptor",
    "Customer ID",
    "Customer Description",
    "Customer Email",
    "Captured",
    "Card ID",
    "Card Last4",
    "Card Brand",
    "Card Funding",
    "Card Exp Month",
    "Card Exp Year",
    "Card Name",
    "Card Address Line1",
    "Card Address Line2",
    "Card Address City",
    "Card Address State",
    "Card Address Country",
    "Card Address Zip",
    "Card Issue Country",
    "Card Fingerprint",
    "Card CVC Status",
    "Card AVS Zip Status",
    "Card AVS Line1 Status",
    "Card Tokenization Method",
    "Disputed Amount",
    "Dispute Status",
    "Dispute Reason",
    "Dispute Date (UTC)",
    "Dispute Evidence Due (UTC)",
    "Invoice ID",
    "Payment Source Type",
    "Destination",
    "Transfer",
    "Interchange Costs",
    "Merchant Service Charge",
    "Transfer Group",
    "PaymentIntent ID",
]


def stripe(world: World, subscription_share: float = 0.0) -> Form:
    """Return a world's orders as Stripe's payments.

    The store that charges through Stripe ships free and sells no gift cards: an amount is goods
    and their tax. Nothing is charged for a free order, so there are none.

    Parameters
    ----------
    world
        The world.
    subscription_share
        Share of the charges that renew a subscription: what no purchase model may be fitted to.
    """
    ledger = save_ledger(world, tuple(kind for kind in COMMON if kind != "free"))
    charges = _charges(ledger, subscription_share)
    retries = _retries(ledger, charges)
    frame = pd.concat([retries, charges]).sort_values("Created (UTC)", kind="stable")
    frame = frame.reindex(columns=COLUMNS, fill_value="").reset_index(drop=True).astype(str)
    expected = ledger.expected(charges["PaymentIntent ID"])
    orders = ledger.orders
    is_other = (orders["alias"] == "phone")[orders["kind"] == "purchase"].to_numpy()
    expected["known_as"] += np.where(is_other, "?", "")
    converted = int((charges["Currency"] != charges["Converted Currency"]).sum())
    planted = [
        trap for trap in ledger.counted() if trap.trap not in ("gift_card", "guest_other_email")
    ]
    planted += [
        Planted(
            "guest_other_email",
            int(is_other.sum()),
            "there is no phone: nobody can tell who it is",
        ),
        Planted("retry", len(retries), "a failed charge before the paid one is no purchase"),
        Planted("converted", converted, "the converted amount is the store's currency"),
    ]
    return Form("stripe", {"payments.csv": frame}, tuple(planted), expected)


def _retries(ledger: Ledger, charges: pd.DataFrame) -> pd.DataFrame:
    """Return charges that the bank declined, minutes before those that it took."""
    declined = ledger.pick("retry", 0.04)
    orders, retries = ledger.orders[declined], charges[declined].copy()
    minutes = 1 + RETRY_MINUTES * ledger.draws.uniform("retry before", orders["key"].to_numpy())
    before = orders["ordered_at"] - seconds(60 * minutes)
    retries["id"] = retries["id"] + "r"
    retries["Created (UTC)"] = before.dt.strftime(UTC)
    retries["Status"], retries["Captured"] = "Failed", "false"
    for column in ("Amount Refunded", "Converted Amount Refunded", "Fee"):
        retries[column] = "0.00"
    retries["Seller Message"] = "The bank did not return any further details with this decline."
    return retries


def _charges(ledger: Ledger, subscription_share: float) -> pd.DataFrame:
    orders, kind = ledger.orders, ledger.orders["kind"]
    amount = orders["items"] - orders["discount"] + orders["tax"]
    refunded = ledger.given_back(amount)
    home = ledger.world.profile.currency
    other = "usd" if home == "EUR" else "eur"
    foreign = ledger.pick("currency", 0.05)
    factor = np.where(foreign, RATES.get(home, USUAL_RATE), 1.0)
    renews = ledger.pick("subscription", subscription_share)
    number = orders["number"].astype(str)
    user = ("cus_" + orders["external_id"]).where(~orders["is_guest"], "").fillna("")
    return pd.DataFrame(
        {
            "id": "ch_" + number,
            "Description": np.where(renews, "Subscription update", "Order " + number),
            "Seller Message": "Payment complete.",
            "Created (UTC)": orders["ordered_at"].dt.strftime(UTC),
            "Amount": money((amount * factor).round()),
            "Amount Refunded": money((refunded * factor).round()),
            "Currency": np.where(foreign, other, home.lower()),
            "Converted Amount": money(amount),
            "Converted Amount Refunded": money(refunded),
            "Fee": money((amount * 0.029 + 30).round()),
            "Tax": money(orders["tax"]),
            "Converted Currency": home.lower(),
            "Mode": np.where(kind == "test", "Test", "Live"),
            "Status": np.where(refunded >= amount, "Refunded", "Paid"),
            "Customer ID": user,
            "Customer Email": orders["email"].fillna(""),
            "Captured": "true",
            "Invoice ID": np.where(renews, "in_" + number, ""),
            "Payment Source Type": "card",
            "PaymentIntent ID": "pi_" + number,
        }
    )
