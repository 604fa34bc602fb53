"""Stripe's payments CSV: a row per charge, in UTC, with totals only."""

import numpy as np
import pandas as pd

from features.synthetic.forms.ledger import Form, Ledger, Planted, keep_ledger, money
from features.synthetic.world import World

UTC = "%Y-%m-%d %H:%M:%S"
OTHER_CURRENCY = {"USD": ("eur", 0.92), "EUR": ("usd", 1.08), "GBP": ("eur", 1.15)}
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

    Parameters
    ----------
    world
        The world.
    subscription_share
        Share of the charges that renew a subscription: what no purchase model may be fitted to.
    """
    ledger = keep_ledger(world)
    charges = _charges(ledger, subscription_share)
    retries = charges[ledger.pick("retry", 0.04)].copy()
    retries["id"] = retries["id"] + "r"
    retries["Status"], retries["Captured"] = "Failed", "false"
    retries["Amount Refunded"] = retries["Converted Amount Refunded"] = "0.00"
    retries["Seller Message"] = "The bank did not return any further details with this decline."
    frame = pd.concat([retries, charges]).sort_values("Created (UTC)", kind="stable")
    frame = frame.reindex(columns=COLUMNS, fill_value="").reset_index(drop=True)
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


def _charges(ledger: Ledger, subscription_share: float) -> pd.DataFrame:
    orders, kind = ledger.orders, ledger.orders["kind"]
    goods = orders["items"] - orders["discount"]
    amount = goods + orders["tax"]
    refunded = (orders["refund"] * (1 + orders["tax"] / goods.where(goods > 0, 1))).round()
    refunded = refunded.astype(np.int64).where(~kind.isin(["canceled", "refunded"]), amount)
    home = ledger.world.profile.currency
    other, rate = OTHER_CURRENCY[home]
    foreign = ledger.pick("currency", 0.05)
    factor = np.where(foreign, rate, 1.0)
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
            "Status": np.where((refunded >= amount) & (amount > 0), "Refunded", "Paid"),
            "Customer ID": user,
            "Customer Email": orders["email"].fillna(""),
            "Captured": "true",
            "Invoice ID": np.where(renews, "in_" + number, ""),
            "Payment Source Type": "card",
            "PaymentIntent ID": "pi_" + number,
        }
    )
