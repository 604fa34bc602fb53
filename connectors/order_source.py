"""Where an order history is and how to read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class OrderSource:
    """Where an order history is and how to read it.

    Attributes
    ----------
    location
        File, glob or folder of CSV, JSON or Parquet files, or a database's URL.
    columns
        ``{ours: theirs}``.
    currency
        The store's currency, ISO 4217.
    date_format
        strptime pattern of text dates; None = ISO 8601, or the one form that fits every row.
    keep_zero_amount
        Whether orders of no value are purchases.
    keep_duplicates
        Whether order lines that are equal in every column are all meant.
    negative_amounts
        ``"net"`` an order of negative value against what its customer bought, on its own day, or
        ``"reject"`` it.
    preset
        Name of the platform whose export it is.
    table
        Table in a database, or its schema where a preset reads several tables.
    other_currencies
        ``"refuse"`` a history with a second currency, or ``"reject"`` its rows.
    timezone
        IANA time zone of times without an offset; None = the store's, or UTC where the preset's are.
    decimal
        Decimal mark of amounts, ``"."`` or ``","``; None = the one that fits the whole column.
    encoding
        Encoding of CSV files; None = detected.
    paid_statuses, void_statuses
        Order statuses that count as a purchase and that do not, beside those the preset knows.
    renewals
        Renewals of subscriptions: ``"refuse"`` a history with more than a fifth of them, ``"count"``
        them as purchases, or ``"exclude"`` them.
    ignored_identities
        Customer ids, e-mails and phone numbers that identify nobody: a till's, the shop's own.
    warn_share
        Share of rows under one rule from which on a warning is given.
    most_unreadable, most_void, most_without_customer
        Share of rows from which on a history is refused: with unreadable values or unknown statuses,
        of void orders, without a customer.
    """

    location: str
    columns: Mapping[str, str] = field(default_factory=dict)
    currency: str = "USD"
    date_format: str | None = None
    keep_zero_amount: bool = False
    keep_duplicates: bool = False
    negative_amounts: str = "net"
    preset: str = "plain"
    table: str | None = None
    other_currencies: str = "refuse"
    timezone: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    paid_statuses: tuple[str, ...] = ()
    void_statuses: tuple[str, ...] = ()
    renewals: str = "refuse"
    ignored_identities: tuple[str, ...] = ()
    warn_share: float = 0.02
    most_unreadable: float = 0.2
    most_void: float = 1.0
    most_without_customer: float = 1.0
