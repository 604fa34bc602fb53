"""Order exports as platforms write them: headers from public sources, rows made up for the tests.

Each shape is a file in this folder. Its orders were worked out by hand by the definition of
docs/orders.md: goods less discounts and refunds of goods, without tax, shipping and tips.
"""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent

Right = dict[str, tuple[str, str, float]]  # order id: customer, day, net value


@dataclass(frozen=True)
class Shape:
    """An export of one platform.

    Attributes
    ----------
    name
        File in this folder, without its ending.
    title
        What a merchant calls the export.
    source
        Where the header is public.
    orders
        The right orders; None = the export cannot tell them.
    outcome
        ``right``, ``asks`` or ``refused``.
    asked
        What `perennial init` must ask for, where it asks.
    timezone
        The shop's, which no export tells for certain.
    ending
        Of the file.
    """

    name: str
    title: str
    source: str
    orders: Right | None
    outcome: str = "right"
    asked: str = ""
    timezone: str = "UTC"
    ending: str = "csv"

    @property
    def path(self) -> Path:
        """The file."""
        return FOLDER / f"{self.name}.{self.ending}"


NEW_YORK = "America/New_York"
SHAPES = (
    Shape(
        "squarespace",
        "Squarespace orders (CSV)",
        "Orders.js of a React page, searched for `Order ID,Email,Financial Status,Paid at` (file 16423202072)",
        {
            "00101": ("ana", "2025-03-01", 45.0),
            "00102": ("ben", "2025-03-04", 60.0),
            "00104": ("ana", "2025-04-11", 30.0),
        },
        timezone=NEW_YORK,
    ),
    Shape(
        "bigcommerce",
        "BigCommerce orders (CSV)",
        "Python client of the v2 orders API, searched for `Subtotal (inc tax)', 'Subtotal (ex tax)'` (file 35031696211)",
        {
            "101": ("ana", "2025-01-05", 100.0),
            "102": ("ben", "2025-01-16", 50.0),
            "103": ("cyd", "2025-02-07", 20.0),
            "105": ("ana", "2025-03-01", 25.0),
            "106": ("ben", "2025-03-09", 80.0),
        },
    ),
    Shape(
        "square_transactions",
        "Square transactions (CSV)",
        "vfcorp.smartwool CsvExamples.java, testTransactionHeaders (file 37893603961)",
        {
            "txA1": ("a", "2025-11-02", 1250.0),
            "txA2": ("b", "2025-11-03", 18.0),
            "txA3": ("b", "2025-11-15", -18.0),
            "txA5": ("a", "2025-11-17", 45.0),
        },
        timezone="America/Los_Angeles",
    ),
    Shape(
        "square_items",
        "Square items (CSV)",
        "vfcorp.smartwool CsvExamples.java, testItemHeaders (file 37893603961)",
        {
            "t1": ("a", "2025-05-12", 40.0),
            "t2": ("b", "2025-05-13", 6.0),
            "t3": ("b", "2025-05-20", -6.0),
            "t4": ("a", "2025-06-01", 1350.0),
        },
        timezone=NEW_YORK,
    ),
    Shape(
        "etsy",
        "Etsy sold orders (CSV)",
        "sfc38/Streamlit-App-Etsy: EtsySoldOrders2022.csv",
        {
            "3001": ("1", "2025-09-05", 50.0),
            "3002": ("2", "2025-09-13", 72.0),
            "3003": ("1", "2025-10-02", 20.0),
            "3004": ("3", "2025-10-28", 1008.0),
        },
    ),
    Shape(
        "wix",
        "Wix Stores orders (CSV)",
        "Elixir test of a CSV parser, searched for `Date created,Time,` (file 27432166569)",
        {
            "10001": ("ana", "2024-12-08", 50.0),
            "10002": ("ben", "2024-12-18", 36.0),
            "10004": ("ana", "2025-01-12", 30.0),
        },
        outcome="asks",
        asked="net_amount",
    ),
    Shape(
        "magento_grid",
        "Magento admin, Sales > Orders > Export (CSV)",
        "magento/magento2: app/code/Magento/Sales/view/adminhtml/ui_component/sales_order_grid.xml",
        {
            "000000101": ("ana", "2025-10-01", 48.0),
            "000000102": ("ben", "2025-10-02", 120.0),
            "000000104": ("ana", "2025-11-03", 75.0),
        },
    ),
    Shape(
        "magento_table",
        "Magento table sales_order",
        "magento/magento2: app/code/Magento/Sales/etc/db_schema.xml",
        {
            "000000001": ("ana", "2025-02-28", 100.0),
            "000000002": ("ben", "2025-03-04", 40.0),
            "000000004": ("ana", "2025-04-01", 40.0),
        },
        timezone=NEW_YORK,
    ),
    Shape(
        "prestashop_grid",
        "PrestaShop back office, Orders > Export (CSV)",
        "PrestaShop/PrestaShop: src/Core/Grid/Definition/Factory/OrderGridDefinitionFactory.php",
        None,
        outcome="refused",
    ),
    Shape(
        "prestashop_table",
        "PrestaShop table ps_orders",
        "PrestaShop/PrestaShop: classes/order/Order.php",
        {
            "1": ("3", "2025-02-01", 50.0),
            "2": ("4", "2025-02-11", 90.0),
            "4": ("3", "2025-03-03", 1200.0),
        },
    ),
    Shape(
        "amazon",
        "Amazon all-orders report (TSV)",
        "CaponicaAmazonMwsComplete: Domain/Report/ReportFbaSalesAllByLastUpdateFlatFile (file 1027940635)",
        None,
        outcome="refused",
    ),
    Shape(
        "webtoffee",
        "WooCommerce, WebToffee Order Export (CSV)",
        "https://woocommerce.com/document/import-and-export-of-woocommerce-orders/",
        {
            "501": ("ana", "2025-05-01", 45.0),
            "502": ("ben", "2025-05-12", 30.0),
            "504": ("ana", "2025-06-02", 20.0),
        },
    ),
    Shape(
        "advanced_order_export",
        "WooCommerce, Advanced Order Export (CSV)",
        "tanhitma/tanhit_com: wp-content/plugins/woo-order-export-lite; header in full in file 67512794712",
        {
            "901": ("ana", "2025-06-01", 54.0),
            "902": ("ben", "2025-06-14", 40.0),
            "904": ("ana", "2025-07-02", 40.0),
        },
    ),
    Shape(
        "skyverge",
        "WooCommerce, Customer/Order CSV Export by SkyVerge (CSV)",
        "https://pastebin.com/GyL9anNk",
        {
            "4993": ("ana", "2025-05-31", 30.0),
            "4992": ("ben", "2025-05-30", 20.0),
            "4990": ("ana", "2025-04-02", 60.0),
        },
        outcome="asks",
        asked="net_amount",
    ),
    Shape(
        "shopify",
        "Shopify orders (CSV)",
        "laplace-live/shopify-csv-converter: src/types/index.d.ts",
        {
            "#1001": ("ana", "2025-03-01", 45.0),
            "#1002": ("ben", "2025-03-04", 60.0),
            "#1004": ("ana", "2025-04-11", 15.0),
        },
        timezone=NEW_YORK,
    ),
    Shape(
        "shopify_rest",
        "Shopify REST orders (JSON)",
        "singer-io/tap-shopify: tap_shopify/schemas/orders.json",
        {
            "5000000001": ("ana", "2025-01-05", 20.0),
            "5000000002": ("ben", "2025-02-15", 30.0),
            "5000000004": ("ana", "2025-05-05", 25.0),
        },
        timezone=NEW_YORK,
        ending="jsonl",
    ),
    Shape(
        "superstore",
        "Superstore sample of Tableau and Kaggle (CSV)",
        "AndyChelo714/datasets: Sample - Superstore.csv",
        {
            "CA-2016-1": ("cg", "2016-11-08", 993.90),
            "CA-2016-2": ("dv", "2016-06-12", 14.62),
            "US-2015-3": ("so", "2015-10-21", 957.5775),
            "CA-2016-4": ("cg", "2016-12-30", 22.368),
        },
    ),
    Shape(
        "online_retail",
        "UCI Online Retail (CSV)",
        "hellich/datasets: OnlineRetail.csv",
        {
            "536365": ("17850", "2010-12-01", 35.64),
            "536370": ("12583", "2010-12-13", 90.0),
            "C536379": ("17850", "2010-12-14", -5.10),
            "536500": ("12583", "2011-01-04", 33.9),
        },
    ),
    Shape(
        "olist",
        "Olist orders joined with customers and items (CSV)",
        "SugarDataStar/ecommerce-sql-analytics-olist: olist_orders_dataset.csv; joined as in file 24485396550",
        {
            "aaa1" * 8: ("u1", "2018-01-05", 100.0),
            "bbb2" * 8: ("u2", "2018-01-18", 120.0),
            "ddd4" * 8: ("u1", "2018-03-01", 200.0),
            "eee5" * 8: ("u4", "2018-03-09", 75.5),
        },
    ),
    Shape(
        "opencart",
        "OpenCart table oc_order",
        "opencart/opencart: upload/system/helper/db_schema.php",
        None,
        outcome="asks",
        asked="net_amount",
    ),
)
