"""What a store sets of its data: the store itself, its order history and its optional tables."""

import codecs
from typing import Annotated, Literal

from babel import localedata
from pydantic import AfterValidator, Field, model_validator

from connectors.live.address import LiveAddress, read_address
from perennial.pipeline.settings.section import Address, Section, Share, TimeZone


def _check_encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError as error:
        raise ValueError(f"{name!r} is not an encoding such as 'utf-8' or 'cp1252'") from error


def _check_locale(name: str) -> str:
    if not localedata.exists(name):
        raise ValueError(f"{name!r} is not a locale such as 'en_US' or 'de_DE'")
    return name


class StoreSettings(Section):
    """The store: its name, currency, time zone and margin."""

    name: str = Field(
        default="My store", description="Name of the store, on the page and in notifications."
    )
    currency: str = Field(
        default="USD", pattern=r"^[A-Z]{3}$", description="ISO 4217 code; all amounts are in it."
    )
    timezone: TimeZone = Field(
        default="UTC",
        description='IANA time zone in which days begin and end, such as "America/New_York".',
    )
    margin: float = Field(
        default=0.55, gt=0, le=1, description="Contribution margin, as a share of net revenue."
    )
    locale: Annotated[str, AfterValidator(_check_locale)] = Field(
        default="en_US", description="Format of numbers and dates on the page."
    )


class OrdersSettings(Section):
    """The order history: where it is and how to read it."""

    source: Address = Field(
        description="File, glob or folder (CSV, CSV.gz, Parquet, JSON), duckdb:///shop.db or postgresql://…; or the account "
        "to pull orders from: shopify://my-shop.myshopify.com, woocommerce://shop.example, stripe://acct_… or klaviyo://….",
        examples=["orders.csv"],
    )
    table: str | None = Field(
        default=None,
        description="Table in the database, or the schema if the preset reads several tables.",
        examples=["orders"],
    )
    preset: Literal[
        "plain", "shopify", "woocommerce", "stripe", "fivetran", "dbt_shopify", "klaviyo"
    ] = Field(
        default="plain",
        description="Format: plain (columns mapped below), shopify, woocommerce, stripe, fivetran or dbt_shopify; a live "
        "source sets its own.",
    )
    columns: dict[str, str] = Field(
        default={},
        description='Our column = "your column". Columns that are not listed have our names. Map customer_id, '
        "email, phone, or several of them: they are linked. A file of order lines has quantity and unit_price "
        "instead of net_amount.",
        examples=[
            {
                "order_id": "order_id",
                "customer_id": "customer_id",
                "ordered_at": "ordered_at",
                "net_amount": "net_amount",
            }
        ],
    )
    date_format: str | None = Field(
        default=None,
        description="Format of dates in text; if not set, ISO 8601 or the only format that fits every row.",
        examples=["%d/%m/%Y %H:%M"],
    )
    keep_zero_amount: bool = Field(
        default=False, description="Whether orders with an amount of zero count as purchases."
    )
    keep_duplicates: bool = Field(
        default=False,
        description="Whether order lines that are equal in every column all count.",
    )
    negative_amounts: Literal["net", "reject"] = Field(
        default="net",
        description='"net" subtracts orders with a negative amount from their day; "reject" leaves them out.',
    )
    other_currencies: Literal["refuse", "reject"] = Field(
        default="refuse",
        description='"refuse" stops at a second currency; "reject" leaves its rows out.',
    )
    timezone: TimeZone | None = Field(
        default=None,
        description="Time zone of times without an offset; if not set, the store's.",
        examples=["UTC"],
    )
    decimal: Literal[".", ","] | None = Field(
        default=None,
        description="Decimal mark of amounts; if not set, the one that fits the whole column.",
        examples=[","],
    )
    encoding: Annotated[str, AfterValidator(_check_encoding)] | None = Field(
        default=None,
        description="Encoding of CSV files; detected if not set.",
        examples=["cp1252"],
    )
    paid_statuses: tuple[str, ...] = Field(
        default=(),
        description="Order statuses that count as purchases, in addition to the usual ones.",
        examples=[["delivered"]],
    )
    void_statuses: tuple[str, ...] = Field(
        default=(),
        description="Order statuses that do not count, in addition to the usual ones.",
        examples=[["on hold"]],
    )
    renewals: Literal["refuse", "count", "exclude"] = Field(
        default="refuse",
        description='If over a fifth of the orders renew subscriptions: stop, "exclude" them or "count" them.',
    )
    ignored_identities: tuple[str, ...] = Field(
        default=(),
        description="Customer ids, e-mails and phone numbers that identify nobody, such as a till's.",
        examples=[["pos@example.com"]],
    )
    warn_share: Share = Field(
        default=0.02,
        description="Share of rows rejected under one rule from which on a warning is shown.",
    )
    most_unreadable: Share = Field(
        default=0.2,
        description="Maximum share of unreadable rows and unknown statuses; with more, the history is refused.",
    )
    most_void: Share = Field(
        default=1.0,
        description="Maximum share of canceled, unpaid, refunded and test orders; likewise.",
    )
    most_without_customer: Share = Field(
        default=1.0, description="Maximum share of rows without a customer; likewise."
    )

    @model_validator(mode="after")
    def _check_duplicates(self) -> "OrdersSettings":
        if self.keep_duplicates and self.preset != "plain":
            raise ValueError(
                f'keep_duplicates is for preset = "plain": {self.preset} knows its own duplicates; leave it out'
            )
        return self

    @property
    def live_address(self) -> LiveAddress | None:
        """The account that orders are pulled from; None for files and databases."""
        return read_address(self.source)

    @model_validator(mode="after")
    def _check_live(self) -> "OrdersSettings":
        address = self.live_address
        if address is None:
            return self
        platform = address.platform
        if self.preset not in ("plain", address.preset):
            raise ValueError(
                f"preset is for files: what is pulled from {platform} has its own format; leave it out"
            )
        for name in ("table", "columns", "date_format", "timezone", "decimal", "encoding"):
            if getattr(self, name):
                raise ValueError(
                    f"{name} is for files: what is pulled from {platform} needs none; leave it out"
                )
        return self


class TablesSettings(Section):
    """Optional tables, in the same formats as orders.source; their columns have our names."""

    order_lines: Address | None = Field(
        default=None,
        description="Products of each order; not needed with a preset that reads lines.",
        examples=["lines.parquet"],
    )
    customers: Address | None = Field(
        default=None,
        description="E-mails, phone numbers and ids of customers, and how they were acquired.",
        examples=["customers.csv"],
    )
    marketing_spend: Address | None = Field(
        default=None,
        description="Spend on acquiring customers, by day and channel.",
        examples=["spend.csv"],
    )
    referrals: Address | None = Field(
        default=None, description="Who referred whom.", examples=["referrals.csv"]
    )
    nps: Address | None = Field(
        default=None,
        description='Answers to "Would you recommend us?".',
        examples=["nps.csv"],
    )
    reviews: Address | None = Field(
        default=None,
        description="Star ratings, by customer and product.",
        examples=["reviews.csv"],
    )
    loyalty_events: Address | None = Field(
        default=None, description="Loyalty points and tiers.", examples=["loyalty.csv"]
    )
    touches: Address | None = Field(
        default=None,
        description="Marketing contacts: customer, campaign, time and cost.",
        examples=["touches.csv"],
    )
