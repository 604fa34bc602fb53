"""A Stripe account in memory: payments that are tried, taken, refunded and disputed.

It knows nothing of HTTP. `step` changes it at random, `truths` and its neighbors list what is true.

    store = StripeStore(Clock())
    charge_id = store.pay(Payment(amount=3956))
    store.refund(charge_id, 1296, status="pending")
    store.truths()[store.charges[charge_id].payment_intent].net()
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from perennial.simulation import World
from tests.live.double import Clock
from tests.live.stripe_records import (
    NOT_BACK,
    Account,
    Balance,
    Charge,
    Customer,
    Dispute,
    DisputeTruth,
    Event,
    OrderTruth,
    Refund,
    RefundTruth,
    decimals,
)

RATES = {"usd": 0.9, "jpy": 0.006, "kwd": 2.8, "gbp": 1.15}  # the account's unit for one of these
WEIGHTS: Mapping[str, float] = {  # how often `step` does what
    "pay": 30,
    "renew": 5,
    "authorize": 4,
    "capture": 4,
    "release": 1,
    "refund": 12,
    "settle_refund": 8,
    "dispute": 3,
    "settle_dispute": 3,
    "change_customer": 3,
    "delete_customer": 1,
    "pay_in_test_mode": 1,
}
RARE_WEIGHTS: Mapping[str, float] = {**WEIGHTS, "delete_charge": 2}


@dataclass(frozen=True)
class Payment:
    """A payment to be tried; ``tries`` over 1 has charges that failed before, a minute apart.

    ``created`` None is now. Without a customer's id there is the e-mail of the billing details.
    """

    amount: int = 2000
    currency: str | None = None
    customer: str | None = None
    email: str | None = "ada.sample@example.com"
    name: str | None = "Ada Sample"
    tries: int = 1
    succeeds: bool = True
    captured: bool = True
    invoice: str | None = None
    description: str | None = None
    created: int | None = None
    livemode: bool = True
    metadata: tuple[tuple[str, str], ...] = (("order_id", "WEB-9001"),)


class StripeStore:
    """An account's objects, by id, in the order in which they were made.

    Attributes
    ----------
    customers, charges, refunds, disputes, balances, events
        What there is; a deleted customer stays, marked.
    deleted_charges
        Charges that are gone, which happens to test data alone: id and when.
    """

    def __init__(self, clock: Clock | None = None, account: Account | None = None) -> None:
        self.clock, self.account = clock or Clock(), account or Account()
        self.customers: dict[str, Customer] = {}
        self.charges: dict[str, Charge] = {}
        self.refunds: dict[str, Refund] = {}
        self.disputes: dict[str, Dispute] = {}
        self.balances: dict[str, Balance] = {}
        self.events: dict[str, Event] = {}
        self.deleted_charges: dict[str, int] = {}
        self._serial = 0
        self._refund_ids: dict[str, list[str]] = defaultdict(list)  # by charge

    def now(self) -> int:
        """Return the second that it is."""
        return int(self.clock.now().timestamp())

    # What happens in an account

    def add_customer(
        self,
        email: str | None,
        name: str | None = None,
        phone: str | None = None,
        *,
        livemode: bool = True,
    ) -> str:
        """Make a customer; return the id."""
        customer = Customer(self._next("cus"), self.now(), email, name, phone, livemode=livemode)
        self.customers[customer.id] = customer
        self._tell("customer.created", customer)
        return customer.id

    def change_customer(self, customer_id: str, email: str) -> None:
        """Change a customer's e-mail: charges keep that of their billing details."""
        before = self.customers[customer_id]
        self.customers[customer_id] = replace(before, email=email)
        self._tell("customer.updated", self.customers[customer_id], {"email": before.email})

    def delete_customer(self, customer_id: str) -> None:
        """Delete a customer: charges keep the id."""
        self._tell("customer.deleted", self.customers[customer_id])
        self.customers[customer_id] = replace(self.customers[customer_id], deleted=True)

    def pay(self, payment: Payment | None = None) -> str:
        """Try a payment; return the id of its last charge."""
        payment = payment or Payment()
        intent, created = self._next("pi"), payment.created or self.now()
        for number in range(payment.tries, 1, -1):
            self._charge(payment, intent, created - 60 * (number - 1), succeeds=False)
        return self._charge(payment, intent, created, succeeds=payment.succeeds)

    def capture(self, charge_id: str, amount: int | None = None) -> None:
        """Take an authorized amount, or a part: the rest then counts as refunded [inferred]."""
        charge = self.charges[charge_id]
        taken = charge.amount if amount is None else amount
        balance = self._settle(charge_id, taken, charge.currency, "charge", fee=True)
        self.charges[charge_id] = replace(
            charge,
            captured=True,
            amount_captured=taken,
            amount_refunded=charge.amount - taken,
            balance_transaction=balance,
        )
        self._tell("charge.captured", self.charges[charge_id], {"captured": False})

    def release(self, charge_id: str) -> str:
        """Give an authorized amount free: it counts as refunded, no money moved [inferred]."""
        charge = self.charges[charge_id]
        refund = self._refund(charge, charge.amount, "succeeded", None)
        self.charges[charge_id] = replace(charge, amount_refunded=charge.amount)
        self._tell("charge.refunded", self.charges[charge_id], {"amount_refunded": 0})
        return refund

    def refund(
        self,
        charge_id: str,
        amount: int | None = None,
        *,
        status: str = "succeeded",
        created: int | None = None,
    ) -> str:
        """Give back an amount, by default what is left; return the refund's id."""
        charge = self.charges[charge_id]
        left = charge.amount_captured - self._back(charge_id)
        amount = left if amount is None else amount
        if not 0 < amount <= left:
            raise ValueError(f"{amount} of {left} cannot be refunded")
        balance = self._settle(charge_id, -amount, charge.currency, "refund", created=created)
        refund_id = self._refund(charge, amount, status, balance, created)
        self.balances[balance] = replace(self.balances[balance], source=refund_id)
        self._count_back(charge_id, "charge.refunded")
        return refund_id

    def settle_refund(self, refund_id: str, status: str) -> None:
        """Let a pending refund succeed, fail or be canceled; of the last two the money returns."""
        before = self.refunds[refund_id]
        failure = None
        if status in NOT_BACK:
            failure = self._settle(
                before.charge, before.amount, before.currency, "refund_failure", source=refund_id
            )
        failed = failure if status == "failed" else None
        self.refunds[refund_id] = replace(
            before, status=status, failure_balance_transaction=failed
        )
        kind = "refund.failed" if status == "failed" else "refund.updated"
        self._tell(kind, self.refunds[refund_id], {"status": before.status})
        self._count_back(before.charge, "charge.refund.updated")

    def dispute(self, charge_id: str, amount: int | None = None) -> str:
        """Let a bank take back an amount, until the dispute is settled; return its id."""
        charge = self.charges[charge_id]
        left = charge.amount_captured - self._back(charge_id)
        amount, dispute_id = left if amount is None else amount, self._next("dp")
        balance = self._settle(charge_id, -amount, charge.currency, "dispute", source=dispute_id)
        dispute = Dispute(
            dispute_id,
            self.now(),
            amount,
            charge.currency,
            charge_id,
            charge.payment_intent,
            balance_transactions=(balance,),
            livemode=charge.livemode,
        )
        self.disputes[dispute_id] = dispute
        self.charges[charge_id] = replace(charge, disputed=True)
        self._tell("charge.dispute.created", dispute)
        return dispute_id

    def settle_dispute(self, dispute_id: str, *, is_won: bool) -> None:
        """Decide a dispute."""
        dispute = replace(self.disputes[dispute_id], status="won" if is_won else "lost")
        if is_won:
            balance = self._settle(
                dispute.charge,
                dispute.amount,
                dispute.currency,
                "dispute_reversal",
                source=dispute_id,
            )
            both = (*dispute.balance_transactions, balance)
            dispute = replace(dispute, balance_transactions=both)
        self.disputes[dispute_id] = dispute
        self._tell("charge.dispute.closed", dispute)

    def delete_charge(self, charge_id: str) -> None:
        """Delete a charge, as the deletion of test data does."""
        charge = self.charges.pop(charge_id)
        for refund in self._refunds_of(charge_id):
            del self.refunds[refund.id]
        for dispute in self._disputes_of(charge_id):
            del self.disputes[dispute.id]
        self.deleted_charges[charge.id] = self.now()

    # What is true

    def truths(self, *, livemode: bool = True) -> dict[str, OrderTruth]:
        """Return the payments that were tried, by payment intent."""
        by_intent: dict[str, list[Charge]] = defaultdict(list)
        for charge in self.charges.values():
            if charge.livemode == livemode:
                by_intent[charge.payment_intent].append(charge)
        refunds, disputes = self._by_charge(self.refunds), self._by_charge(self.disputes)
        return {
            intent: self._truth(charges, refunds, disputes)
            for intent, charges in by_intent.items()
        }

    def refund_truths(self, *, livemode: bool = True) -> dict[str, RefundTruth]:
        """Return the refunds of those payments."""
        truths = self.truths(livemode=livemode).values()
        return {one.refund_id: one for truth in truths for one in truth.refunds}

    # An account's life

    def step(self, rng: random.Random, weights: Mapping[str, float] = WEIGHTS) -> str:
        """Let something happen; return what. Where it cannot, a payment is made."""
        (name,) = rng.choices(list(weights), list(weights.values()))
        action: Callable[[random.Random], bool] = getattr(self, f"_step_{name}")
        if not action(rng):
            name = "pay"
            self._step_pay(rng)
        return name

    def _step_pay(self, rng: random.Random) -> bool:
        tries = rng.choice([1, 1, 1, 1, 1, 2, 3])
        self.pay(replace(self._random_payment(rng), tries=tries, succeeds=rng.random() < 0.95))
        return True

    def _step_renew(self, rng: random.Random) -> bool:
        payment, invoice = self._random_payment(rng), self._next("in")
        self.pay(replace(payment, invoice=invoice, description="Subscription update"))
        return True

    def _step_authorize(self, rng: random.Random) -> bool:
        self.pay(replace(self._random_payment(rng), captured=False))
        return True

    def _step_capture(self, rng: random.Random) -> bool:
        charge = self._pick(rng, _is_open)
        if charge is not None:
            self.capture(charge.id, charge.amount if rng.random() < 0.7 else charge.amount // 2)
        return charge is not None

    def _step_release(self, rng: random.Random) -> bool:
        charge = self._pick(rng, _is_open)
        if charge is not None:
            self.release(charge.id)
        return charge is not None

    def _step_refund(self, rng: random.Random) -> bool:
        charge = self._pick(rng, lambda one: one.is_paid and not one.disputed and self._left(one))
        if charge is None:
            return False
        left = self._left(charge)
        amount = left if rng.random() < 0.4 else rng.randint(1, left)
        self.refund(charge.id, amount, status=rng.choice(["succeeded", "succeeded", "pending"]))
        return True

    def _step_settle_refund(self, rng: random.Random) -> bool:
        waiting = [one.id for one in self.refunds.values() if one.status == "pending"]
        if waiting:
            self.settle_refund(
                rng.choice(waiting), rng.choice(["succeeded", "failed", "canceled"])
            )
        return bool(waiting)

    def _step_dispute(self, rng: random.Random) -> bool:
        charge = self._pick(rng, lambda one: one.is_paid and not one.disputed and self._left(one))
        if charge is not None:
            self.dispute(charge.id)
        return charge is not None

    def _step_settle_dispute(self, rng: random.Random) -> bool:
        waiting = [one.id for one in self.disputes.values() if one.status == "needs_response"]
        if waiting:
            self.settle_dispute(rng.choice(waiting), is_won=rng.random() < 0.4)
        return bool(waiting)

    def _step_change_customer(self, rng: random.Random) -> bool:
        there = self._customers(livemode=True)
        if there:
            self.change_customer(rng.choice(there), f"moved{rng.randrange(50)}@example.com")
        return bool(there)

    def _step_delete_customer(self, rng: random.Random) -> bool:
        there = self._customers(livemode=True)
        if there:
            self.delete_customer(rng.choice(there))
        return bool(there)

    def _step_pay_in_test_mode(self, rng: random.Random) -> bool:
        self.pay(replace(self._random_payment(rng), livemode=False, customer=None))
        return True

    def _step_delete_charge(self, rng: random.Random) -> bool:
        charge = self._pick(rng, lambda _: True)
        if charge is not None:
            self.delete_charge(charge.id)
        return charge is not None

    def _pick(self, rng: random.Random, fits: Callable[[Charge], Any]) -> Charge | None:
        charges = [one for one in self.charges.values() if one.livemode and fits(one)]
        return rng.choice(charges) if charges else None

    def _customers(self, *, livemode: bool) -> list[str]:
        return [
            one.id
            for one in self.customers.values()
            if one.livemode == livemode and not one.deleted
        ]

    def _random_payment(self, rng: random.Random) -> Payment:
        who = rng.randrange(30)
        email, name = f"person{who}@example.com", f"Name{who} Sample"
        there = self._customers(livemode=True)
        customer = rng.choice(there) if there and rng.random() < 0.5 else None
        if customer is None and rng.random() < 0.4:
            customer = self.add_customer(email, name)
        currency = rng.choice([self.account.currency] * 12 + ["usd", "jpy", "kwd"])
        amount = rng.randint(500, 20_000)
        amount -= amount % 10 if decimals(currency) == 3 else 0  # the last digit is always 0
        number = rng.randrange(10_000)
        return Payment(
            amount,
            currency,
            customer,
            email,
            name,
            metadata=(("order_id", f"WEB-{number}"),),
        )

    # Records

    def _next(self, prefix: str) -> str:
        self._serial += 1
        return f"{prefix}_SYN{self._serial:08}"

    def _charge(self, payment: Payment, intent: str, created: int, *, succeeds: bool) -> str:
        charge_id, currency = self._next("ch"), payment.currency or self.account.currency
        is_taken = succeeds and payment.captured
        charge = Charge(
            id=charge_id,
            created=created,
            amount=payment.amount,
            currency=currency,
            payment_intent=intent,
            status="succeeded" if succeeds else "failed",
            captured=is_taken,
            amount_captured=payment.amount if is_taken else 0,
            customer=payment.customer,
            email=payment.email,
            name=payment.name,
            description=payment.description,
            invoice=payment.invoice,
            failure_code=None if succeeds else "card_declined",
            metadata=payment.metadata,
            livemode=payment.livemode,
        )
        self.charges[charge_id] = charge
        if is_taken:
            balance = self._settle(
                charge_id, payment.amount, currency, "charge", created=created, fee=True
            )
            self.charges[charge_id] = replace(charge, balance_transaction=balance)
        kind = "charge.succeeded" if succeeds else "charge.failed"
        self._tell(kind, self.charges[charge_id], created=created)
        return charge_id

    def _settle(
        self,
        charge_id: str,
        amount: int,
        currency: str,
        category: str,
        *,
        created: int | None = None,
        source: str | None = None,
        fee: bool = False,
    ) -> str:
        """Move money: of another currency, at a rate and in the account's minor units."""
        home, balance_id = self.account.currency, self._next("txn")
        rate = None if currency == home else RATES.get(currency, 1.0)
        shift = 10 ** (decimals(home) - decimals(currency))
        settled = amount if rate is None else round(amount * rate * shift)
        is_dispute = category.startswith("dispute")
        self.balances[balance_id] = Balance(
            id=balance_id,
            created=created or self.now(),
            amount=settled,
            currency=home,
            fee=round(settled * 0.014) + 25 if fee else 0,
            type="adjustment" if is_dispute else category,
            reporting_category=category,
            source=source or charge_id,
            exchange_rate=rate,
            livemode=self.charges[charge_id].livemode,
        )
        return balance_id

    def _refund(
        self,
        charge: Charge,
        amount: int,
        status: str,
        balance: str | None,
        created: int | None = None,
    ) -> str:
        refund = Refund(
            id=self._next("re"),
            created=created or self.now(),
            amount=amount,
            currency=charge.currency,
            charge=charge.id,
            payment_intent=charge.payment_intent,
            status=status,
            balance_transaction=balance,
            livemode=charge.livemode,
        )
        self.refunds[refund.id] = refund
        self._refund_ids[charge.id].append(refund.id)
        self._tell("refund.created", refund, created=refund.created)
        return refund.id

    def _count_back(self, charge_id: str, event: str) -> None:
        """Let a charge's refunded amount be that of its refunds that did not fail."""
        before = self.charges[charge_id]
        free = before.amount - before.amount_captured  # of an amount captured in part
        now = replace(before, amount_refunded=self._back(charge_id) + free)
        self.charges[charge_id] = now
        self._tell(event, now, {"amount_refunded": before.amount_refunded})

    def _tell(
        self,
        kind: str,
        what: Customer | Charge | Refund | Dispute,
        previous: dict[str, Any] | None = None,
        created: int | None = None,
    ) -> None:
        event = Event(
            self._next("evt"),
            created or self.now(),
            kind,
            what.json(),
            previous or {},
            livemode=what.livemode,
        )
        self.events[event.id] = event

    def _refunds_of(self, charge_id: str) -> list[Refund]:
        ids = self._refund_ids.get(charge_id, ())
        return [self.refunds[one] for one in ids if one in self.refunds]

    def _disputes_of(self, charge_id: str) -> list[Dispute]:
        return [one for one in self.disputes.values() if one.charge == charge_id]

    def _back(self, charge_id: str) -> int:
        return sum(o.amount for o in self._refunds_of(charge_id) if o.status not in NOT_BACK)

    def _left(self, charge: Charge) -> int:
        return charge.amount_captured - self._back(charge.id)

    @staticmethod
    def _by_charge(rows: Mapping[str, Any]) -> dict[str, list[Any]]:
        by_charge = defaultdict(list)
        for row in rows.values():
            by_charge[row.charge].append(row)
        return by_charge

    def _truth(
        self,
        charges: list[Charge],
        refunds: dict[str, list[Any]],
        disputes: dict[str, list[Any]],
    ) -> OrderTruth:
        last = max(charges, key=lambda one: (one.is_paid, one.created, one.id))
        balance = self.balances.get(last.balance_transaction or "")
        day = self.account.day
        return OrderTruth(
            order_id=last.payment_intent,
            charge_id=last.id,
            tries=len(charges),
            created=last.created,
            day=day(last.created),
            customer=last.customer,
            email=last.email,
            currency=last.currency,
            captured=last.amount_captured,
            settled=balance.amount if balance else 0,
            settled_currency=self.account.currency,
            is_paid=last.is_paid,
            is_renewal=last.invoice is not None,
            refunds=tuple(
                RefundTruth(
                    one.id,
                    one.payment_intent,
                    one.created,
                    day(one.created),
                    one.amount,
                    one.status,
                )
                for charge in charges
                for one in refunds.get(charge.id, ())
            ),
            disputes=tuple(
                DisputeTruth(one.id, day(one.created), one.amount, one.status)
                for charge in charges
                for one in disputes.get(charge.id, ())
            ),
        )


def _is_open(charge: Charge) -> bool:
    """Tell whether an amount is authorized, neither taken nor given free."""
    return charge.status == "succeeded" and not charge.captured and not charge.amount_refunded


def load(store: StripeStore, world: World, seed: int = 0) -> dict[str, str]:
    """Put a simulated store's orders into an account; return payment intents by order id.

    The store's clock must stand at the world's end or later, its account must have the world's
    currency and zone. Amounts are goods without tax, refunds happen up to 20 days later, at the
    latest now: `OrderTruth.net` of an order is the simulation's `net_amount` in minor units.
    Nothing is charged for a free order, so there is none.
    """
    rng = random.Random(seed)
    people = {row["customer_id"]: row for row in world.customers.to_pylist()}
    customers: dict[str, str] = {}
    return dict(_loaded(store, world, people, customers, rng))


def _loaded(
    store: StripeStore,
    world: World,
    people: dict[str, dict[str, Any]],
    customers: dict[str, str],
    rng: random.Random,
) -> Iterator[tuple[str, str]]:
    unit = 10 ** decimals(store.account.currency)
    for row in world.orders.to_pylist():
        amount = round((row["gross_amount"] - row["discount_amount"]) * unit)
        if not amount:
            continue
        person = people[row["customer_id"]]
        if row["customer_id"] not in customers:
            customers[row["customer_id"]] = store.add_customer(person["email"])
        payment = Payment(
            amount,
            customer=customers[row["customer_id"]],
            email=person["email"],
            name=None,
            created=int(row["ordered_at"].timestamp()),
            metadata=(("order_id", row["order_id"]),),
        )
        charge_id = store.pay(payment)
        back = round(row["refund_amount"] * unit)
        if back:
            wait = timedelta(days=rng.uniform(0.5, 20)).total_seconds()
            at = min(store.charges[charge_id].created + int(wait), store.now())
            store.refund(charge_id, back, created=at)
        yield row["order_id"], store.charges[charge_id].payment_intent
