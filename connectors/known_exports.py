"""Exports whose headings are public: which of their columns are which of ours."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.values import plain


@dataclass(frozen=True)
class Doubt:
    """What an export leaves open, where it has certain values.

    Attributes
    ----------
    column
        Theirs; a value that is there, not zero and not false raises the doubt.
    text
        What a person should know; its column and the number of rows stand before it.
    unlike
        A column of theirs, whose equal values raise none.
    asks
        Whether the value is asked for, instead of proposed.
    """

    column: str
    text: str
    unlike: str | None = None
    asks: bool = False


@dataclass(frozen=True)
class KnownExport:
    """A platform's export.

    Attributes
    ----------
    title
        As its merchants call it.
    shown_by
        Sets of headings, as :func:`connectors.values.plain` spells them; one set that is all there
        is enough.
    columns
        ``{ours: theirs}``, several of theirs in order of preference.
    preset
        How it is read.
    not_with
        Headings of another export that has these too.
    value
        ``{ours: theirs}`` of the value, in order of preference: the first whose columns are all
        there counts. None fits = the value is asked for.
    timezone
        Of its times, where they state no offset and are not in the store's.
    paid, void
        Its order statuses.
    notes
        What its columns do not include or leave open.
    doubts
        What to look at where some columns have values.
    total
        A total, and the parts of it that the export has: an order of which they do not add up has
        discounts or tax that it does not state.
    date_format
        Of its dates, where the values leave it open.
    hides_value
        Whether no column is the value, whatever its amounts look like.
    """

    title: str
    shown_by: tuple[frozenset[str], ...]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    preset: str = "plain"
    not_with: frozenset[str] = frozenset()
    value: tuple[Mapping[str, tuple[str, ...]], ...] = ()
    timezone: str | None = None
    paid: tuple[str, ...] = ()
    void: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    total: tuple[str, ...] = ()
    date_format: str | None = None
    hides_value: bool = False

    def fits(self, headings: frozenset[str]) -> bool:
        """Tell whether a table with these headings is this export."""
        return any(shown <= headings for shown in self.shown_by) and not self.not_with & headings

    def named(self, headings: Mapping[str, str]) -> dict[str, str]:
        """Return ``{ours: theirs}`` of a table, the value apart."""
        return _first_there(self.columns, headings)

    def valued(self, headings: Mapping[str, str]) -> dict[str, str]:
        """Return ``{ours: theirs}`` of the value; empty where the table has none of the ways."""
        for way in self.value:
            mapped = _first_there(way, headings)
            if set(_needed(way)) <= set(mapped):
                return mapped
        return {}


MAY_BE_ABSENT = ("discount_amount", "refund_amount")
WOO_PAID = ("Completed", "Processing")
WOO_VOID = ("Cancelled", "Failed", "Refunded", "Pending payment", "Pending", "On hold", "Trash", "Draft")  # fmt: skip


def _shown(*names: str) -> frozenset[str]:
    return frozenset(plain(name) for name in names)


LINE_VALUE = {
    "quantity": ("Quantity", "Qty"),
    "unit_price": ("Price", "Unit price", "UnitPrice"),
    "discount_amount": ("Discount Amount",),
}
EXPORTS: tuple[KnownExport, ...] = (
    KnownExport(
        "Squarespace orders",
        (_shown("Order ID", "Financial Status", "Paid at", "Lineitem name", "Lineitem price"),),
        preset="shopify",
        not_with=_shown("Name"),
    ),
    KnownExport(
        "Shopify orders of the REST API",
        (
            _shown("id", "created_at", "financial_status", "subtotal_price", "customer.id"),
            _shown(
                "id", "created_at", "financial_status", "subtotal_price", "total_line_items_price"
            ),
            _shown("id", "created_at", "financial_status", "current_subtotal_price"),
        ),
        {
            "order_id": ("id",),
            "customer_id": ("customer.id", "customer__id", "customer_id"),
            "email": ("email", "contact_email", "customer.email"),
            "phone": ("phone", "customer.phone"),
            "ordered_at": ("created_at", "processed_at"),
            "status": ("financial_status",),
            "currency": ("currency",),
            "channel": ("source_name",),
        },
        not_with=_shown("_fivetran_deleted"),
        value=(
            {"net_amount": ("current_subtotal_price",)},
            {"net_amount": ("subtotal_price",)},
        ),
        paid=("paid", "partially_refunded", "partially_paid"),
        void=("voided", "refunded", "pending", "authorized", "expired"),
        doubts=(
            Doubt("taxes_included", "subtotals include tax.", asks=True),
            Doubt("test", "test orders count: remove them from the file."),
        ),
    ),
    KnownExport(
        "BigCommerce orders",
        (
            _shown("Order ID", "Order Status", "Subtotal (ex tax)"),
            _shown("Order ID", "Order Status", "Order Total (inc tax)", "Customer ID"),
        ),
        {
            "order_id": ("Order ID",),
            "customer_id": ("Customer ID",),
            "email": ("Customer Email", "Billing Email"),
            "phone": ("Customer Phone", "Billing Phone"),
            "ordered_at": ("Order Date", "Order Time"),
            "status": ("Order Status",),
            "currency": ("Order Currency Code", "Currency Code"),
            "channel": ("Channel Name",),
            "postal_code": ("Billing Zip",),
        },
        value=({"gross_amount": ("Subtotal (ex tax)",), "refund_amount": ("Refund Amount",)},),
        paid=(
            "Completed",
            "Shipped",
            "Awaiting Fulfillment",
            "Awaiting Shipment",
            "Awaiting Pickup",
            "Partially Shipped",
            "Partially Refunded",
            "Disputed",
        ),
        void=(
            "Cancelled",
            "Canceled",
            "Declined",
            "Refunded",
            "Pending",
            "Incomplete",
            "Awaiting Payment",
            "Manual Verification Required",
        ),
        doubts=(
            Doubt(
                "Refund Amount",
                "refunds include tax and shipping: part refunds lower the value by these too.",
            ),
        ),
        total=(
            "Order Total (ex tax)",
            "Subtotal (ex tax)",
            "Shipping Cost (ex tax)",
            "Handling Cost (ex tax)",
        ),
    ),
    KnownExport(
        "Square transactions",
        (
            _shown("Transaction ID", "Net Sales", "Event Type", "Total Collected"),
            _shown("Transaction ID", "Net Sales", "Gross Sales", "Total Collected"),
        ),
        {
            "order_id": ("Transaction ID",),
            "customer_id": ("Customer ID", "Customer Reference ID"),
            "ordered_at": ("Date",),
            "channel": ("Source",),
        },
        value=({"net_amount": ("Net Sales",)},),
        notes=("Sales without a customer on file are left out.",),
    ),
    KnownExport(
        "Square items",
        (_shown("Transaction ID", "Net Sales", "Item", "Qty"),),
        {
            "order_id": ("Transaction ID",),
            "customer_id": ("Customer ID", "Customer Reference ID"),
            "ordered_at": ("Date",),
            "quantity": ("Qty",),
            "product_id": ("SKU",),
            "product_name": ("Item",),
            "category": ("Category",),
        },
        value=({"line_amount": ("Net Sales",)},),
        notes=("Sales without a customer on file are left out.",),
    ),
    KnownExport(
        "Etsy sold orders",
        (_shown("Sale Date", "Order ID", "Order Value"),),
        {
            "order_id": ("Order ID",),
            "customer_id": ("Buyer User ID", "Buyer"),
            "ordered_at": ("Sale Date",),
            "currency": ("Currency",),
            "discount_code": ("Coupon Code",),
            "postal_code": ("Ship Zipcode",),
        },
        value=({"gross_amount": ("Order Value",), "discount_amount": ("Discount Amount",)},),
        doubts=(
            Doubt(
                "Adjusted Order Total",
                "orders were refunded in part, which only this total with shipping and tax shows: their values "
                "are before the refund.",
                unlike="Order Total",
            ),
        ),
        date_format="%m/%d/%y",
    ),
    KnownExport(
        "Etsy sold order items",
        (_shown("Sale Date", "Item Name", "Buyer", "Item Total", "Order ID"),),
        {
            "order_id": ("Order ID",),
            "customer_id": ("Buyer",),
            "ordered_at": ("Sale Date",),
            "currency": ("Currency",),
            "product_name": ("Item Name",),
            "product_id": ("SKU", "Listing ID"),
        },
        value=(LINE_VALUE,),
    ),
    KnownExport(
        "Wix orders",
        (
            _shown("Order number", "Date created", "Contact email", "Qty", "Price"),
            _shown("Order number", "Date created", "Billing name", "Net amount", "Shipping rate"),
        ),
        {
            "order_id": ("Order number",),
            "email": ("Contact email",),
            "phone": ("Billing phone",),
            "ordered_at": ("Date created",),
            "status": ("Payment status",),
            "currency": ("Currency",),
            "product_name": ("Item",),
            "product_id": ("SKU",),
            "discount_code": ("Coupon code",),
        },
        value=({"quantity": ("Qty",), "unit_price": ("Price",)},),
        paid=("Paid", "Partially refunded"),
        void=(
            "Unpaid",
            "Not paid",
            "Refunded",
            "Fully refunded",
            "Pending",
            "Canceled",
            "Declined",
        ),
        doubts=(
            Doubt("Coupon code", "coupons lower orders by amounts that no column has.", asks=True),
            Doubt(
                "Refunded amount",
                "refunds include shipping and tax, and stand on each line.",
                asks=True,
            ),
        ),
    ),
    KnownExport(
        "Magento orders of the admin grid",
        (
            _shown("ID", "Purchase Point", "Purchase Date"),
            _shown("ID", "Purchase Date", "Grand Total (Base)"),
        ),
        {
            "order_id": ("ID",),
            "email": ("Customer Email",),
            "ordered_at": ("Purchase Date",),
            "status": ("Status",),
        },
        value=({"gross_amount": ("Subtotal",), "refund_amount": ("Total Refunded",)},),
        paid=("Complete", "Processing"),
        void=(
            "Canceled",
            "Closed",
            "Pending",
            "Pending Payment",
            "On Hold",
            "Payment Review",
            "Suspected Fraud",
        ),
        doubts=(
            Doubt(
                "Total Refunded",
                "refunds include tax and shipping: part refunds lower the value by these too.",
            ),
        ),
        total=("Grand Total (Purchased)", "Subtotal", "Shipping and Handling"),
    ),
    KnownExport(
        "Magento table sales_order",
        (_shown("increment_id", "grand_total", "customer_email", "created_at"),),
        {
            "order_id": ("increment_id",),
            "customer_id": ("customer_id",),
            "email": ("customer_email",),
            "ordered_at": ("created_at",),
            "status": ("state", "status"),
            "currency": ("order_currency_code", "base_currency_code"),
        },
        value=(
            {
                "gross_amount": ("subtotal", "base_subtotal"),
                "discount_amount": ("discount_amount", "base_discount_amount"),
                "refund_amount": ("subtotal_refunded", "base_subtotal_refunded"),
            },
        ),
        timezone="UTC",
        paid=("complete", "processing"),
        void=(
            "canceled",
            "closed",
            "new",
            "pending",
            "pending_payment",
            "holded",
            "payment_review",
            "fraud",
        ),
    ),
    KnownExport(
        "PrestaShop table ps_orders",
        (_shown("id_order", "id_customer", "date_add", "total_products"),),
        {
            "order_id": ("id_order",),
            "customer_id": ("id_customer",),
            "email": ("email",),
            "ordered_at": ("date_add",),
            "status": ("valid",),
        },
        value=(
            {
                "gross_amount": ("total_products",),
                "discount_amount": ("total_discounts_tax_excl",),
            },
        ),
        paid=("1",),
        void=("0",),
        notes=(
            "Refunds of valid orders are in ps_order_slip and not read; free shipping counts as a discount.",
        ),
    ),
    KnownExport(
        "WooCommerce orders of Advanced Order Export",
        (
            _shown(
                "Order Number", "Order Date", "Order Status", "Item Cost", "Quantity (- Refund)"
            ),
            _shown("Order Number", "Order Date", "Order Status", "Order Subtotal Amount"),
            _shown("Order ID", "Order Date", "Order Status", "Order Subtotal Amount"),
        ),
        {
            "order_id": ("Order ID", "Order Number"),
            "customer_id": ("Customer User ID", "Customer ID"),
            "email": ("Email (Billing)", "Billing Email"),
            "phone": ("Phone (Billing)", "Billing Phone"),
            "ordered_at": ("Order Date",),
            "status": ("Order Status",),
            "currency": ("Currency", "Order Currency"),
            "product_id": ("SKU",),
            "product_name": ("Item Name", "Product Name"),
            "postal_code": ("Postcode (Billing)",),
            "discount_code": ("Coupon Code",),
        },
        value=(
            {"quantity": ("Quantity (- Refund)",), "unit_price": ("Item Cost",)},
            {"line_amount": ("Order Line Total", "Item Total")},
            {
                "gross_amount": ("Order Subtotal Amount",),
                "discount_amount": ("Cart Discount Amount",),
                "refund_amount": ("Order Refund Amount",),
            },
        ),
        paid=WOO_PAID,
        void=WOO_VOID,
        doubts=(
            Doubt(
                "Order Refund Amount",
                "refunds count where they lower a quantity; of an amount alone, they do not.",
            ),
        ),
    ),
    KnownExport(
        "WooCommerce orders of Customer/Order CSV Export",
        (
            _shown("order_id", "order_number_formatted", "date", "status", "order_total"),
            _shown("order_id", "date", "status", "order_total", "billing_email", "shipping_total"),
        ),
        {
            "order_id": ("order_id",),
            "customer_id": ("customer_id", "customer_user"),
            "email": ("billing_email", "customer_email"),
            "phone": ("billing_phone",),
            "ordered_at": ("date",),
            "status": ("status",),
            "currency": ("order_currency",),
            "product_name": ("item_name",),
            "product_id": ("item_sku",),
            "postal_code": ("billing_postcode",),
        },
        value=({"line_amount": ("item_total",)},),
        paid=WOO_PAID,
        void=WOO_VOID,
        notes=(
            'order_total includes shipping and tax. Export again in the format "One row per line item", whose '
            "item_total does not, or use WebToffee's Order Export.",
        ),
    ),
    KnownExport(
        "Superstore sample",
        (
            _shown(
                "Order ID", "Order Date", "Customer ID", "Sales", "Quantity", "Discount", "Profit"
            ),
            _shown("Row ID", "Order ID", "Order Date", "Customer ID", "Sales"),
        ),
        {
            "order_id": ("Order ID",),
            "customer_id": ("Customer ID",),
            "ordered_at": ("Order Date",),
            "quantity": ("Quantity",),
            "product_id": ("Product ID",),
            "product_name": ("Product Name",),
            "category": ("Category",),
            "postal_code": ("Postal Code",),
        },
        value=({"line_amount": ("Sales",)},),
    ),
    KnownExport(
        "UCI Online Retail",
        (
            _shown("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice"),
            _shown("Invoice", "StockCode", "Quantity", "InvoiceDate", "Price"),
        ),
        {
            "order_id": ("InvoiceNo", "Invoice"),
            "customer_id": ("CustomerID", "Customer ID"),
            "ordered_at": ("InvoiceDate",),
            "product_id": ("StockCode",),
            "product_name": ("Description",),
        },
        value=({"quantity": ("Quantity",), "unit_price": ("UnitPrice", "Price")},),
    ),
    KnownExport(
        "Olist orders",
        (_shown("order_id", "order_purchase_timestamp", "order_status"),),
        {
            "order_id": ("order_id",),
            "customer_id": ("customer_unique_id",),
            "ordered_at": ("order_purchase_timestamp",),
            "status": ("order_status",),
            "product_id": ("product_id",),
            "category": ("product_category_name",),
        },
        value=({"line_amount": ("price",)},),
        paid=("delivered", "shipped", "invoiced", "processing", "approved"),
        void=("canceled", "unavailable", "created"),
        notes=(
            "customer_id is another at each order: join customer_unique_id, and price of the items.",
        ),
    ),
    KnownExport(
        "OpenCart table oc_order",
        (_shown("order_id", "order_status_id", "date_added", "total"),),
        {
            "order_id": ("order_id",),
            "customer_id": ("customer_id",),
            "email": ("email",),
            "phone": ("telephone",),
            "ordered_at": ("date_added",),
            "status": ("order_status_id",),
            "currency": ("currency_code",),
        },
        hides_value=True,
        paid=("2", "3", "5", "15"),
        void=("0", "1", "7", "8", "9", "10", "11", "12", "13", "14", "16"),
        notes=(
            "total includes shipping and tax: join the row sub_total of oc_order_total, whose value does not.",
            "Order statuses are OpenCart's own numbers; check them if yours were changed.",
        ),
    ),
)


UNKNOWN = KnownExport("", ())


def known_export(headings: Mapping[str, str]) -> KnownExport | None:
    """Return the export that a table is.

    Parameters
    ----------
    headings
        The table's headings by how :func:`connectors.values.plain` spells them.
    """
    return next((one for one in EXPORTS if one.fits(frozenset(headings))), None)


def _needed(way: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [ours for ours in way if ours not in MAY_BE_ABSENT]


def _first_there(
    columns: Mapping[str, tuple[str, ...]], headings: Mapping[str, str]
) -> dict[str, str]:
    mapped = {
        ours: [headings[plain(name)] for name in theirs if plain(name) in headings]
        for ours, theirs in columns.items()
    }
    return {ours: theirs[0] for ours, theirs in mapped.items() if theirs}
