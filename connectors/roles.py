"""Which of an unknown table's columns are which of ours, by their headings and their values."""

import re
from collections.abc import Callable, Mapping, Sequence

from connectors.values import ISO_4217, Column

Table = Mapping[str, Column]

USUAL = {  # role: headings as `plain` spells them, in order of preference
    "order_id": (
        "orderid", "ordernumber", "orderno", "ordernr", "ordernum", "orderref", "orderreference", "ordername",
        "salesorderid", "salesordernumber", "invoiceno", "invoicenumber", "invoiceid", "invoice", "transactionid",
        "transactionno", "receiptnumber", "receiptid", "receiptno", "saleid", "salenumber", "idorder", "incrementid",
        "purchaseid", "order", "bestellnummer", "bestellnr", "auftragsnummer", "auftragsnr", "rechnungsnummer",
        "numerodecommande", "ncommande", "nodecommande", "commande", "numerodepedido", "npedido", "pedido",
        "idpedido", "numerodeorden", "numeroordine", "ordine", "ordernummer", "reference", "id", "number", "name",
    ),
    "customer_id": (
        "customerid", "customernumber", "customerno", "customernr", "customerref", "customeruniqueid", "custid",
        "customeruuid", "clientid", "clientnumber", "userid", "buyerid", "buyeruserid", "idcustomer", "memberid",
        "accountid", "shopperid", "customeruserid", "buyerusername", "username", "customerkey", "cardholderid", "patronid", "contactid",
        "customercode", "loyaltyid", "personid", "kundennummer", "kundennr", "kundenid", "kunde", "numeroclient",
        "idclient", "codeclient", "client", "idcliente", "codigocliente", "numerodecliente", "codcliente", "cliente",
        "klantnummer", "klantid", "customer", "buyer", "user", "member",
    ),
    "email": (
        "email", "customeremail", "emailaddress", "billingemail", "contactemail", "buyeremail", "buyersemail",
        "emailbilling", "useremail", "clientemail", "customeremailaddress", "mail", "emailadresse", "adressemail",
        "courriel", "correo", "correoelectronico", "emailcliente",
    ),
    "phone": (
        "phone", "customerphone", "phonenumber", "billingphone", "mobile", "telephone", "mobilephone", "tel",
        "phonebilling", "contactphone", "telefon", "telefono", "telefoonnummer", "customerphonenumber",
    ),
    "ordered_at": (
        "orderedat", "orderdate", "dateordered", "orderdatetime", "ordertime", "orderplaced", "orderplacedat",
        "placedat", "dateplaced", "orderplaceddate", "createdat", "datecreated", "created", "creationdate",
        "createddate", "dateadded", "dateadd", "purchasedat", "purchasedate", "dateofpurchase", "orderpurchasetimestamp", "saledate",
        "dateofsale", "saletime", "invoicedate", "transactiondate", "transactiontime", "datetime", "date", "orderdateutc",
        "createdatutc", "createdutc", "dateutc", "timestamp", "soldat", "solddate", "completedat", "bestelldatum", "auftragsdatum", "rechnungsdatum",
        "datum", "erstelltam", "datedecommande", "datedelacommande", "datecommande", "fecha", "fechadepedido", "fechapedido", "fechadecompra", "dataordine", "data", "datadopedido", "besteldatum",
    ),
    "status": (
        "financialstatus", "paymentstatus", "orderstatus", "status", "state", "orderstate", "zahlungsstatus",
        "bestellstatus", "statut", "statutdelacommande", "estado", "estadodelpedido", "stato",
    ),
    "currency": ("currency", "currencycode", "ordercurrency", "ordercurrencycode", "wahrung", "devise", "moneda", "valuta"),
    "zone": ("timezone", "tz", "zone"),
    "quantity": (
        "quantity", "qty", "units", "unitssold", "quantityordered", "qtyordered", "orderquantity", "lineitemquantity",
        "itemquantity", "menge", "anzahl", "quantite", "qte", "cantidad", "quantidade", "aantal",
    ),
    "unit_price": (
        "unitprice", "priceperunit", "priceeach", "itemprice", "productprice", "lineitemprice", "unitcost", "price",
        "stuckpreis", "einzelpreis", "prixunitaire", "preciounitario", "precio", "prix", "preis",
    ),
    "product_id": ("productid", "sku", "lineitemsku", "stockcode", "itemid", "itemsku", "productcode", "variantid", "artikelnummer"),
    "product_name": ("productname", "product", "itemname", "item", "lineitemname", "producttitle", "title", "description", "artikel", "produit", "producto"),
    "net": (
        "netamount", "netsales", "netrevenue", "netvalue", "ordernetvalue", "netordervalue", "netmerchandise", "netitems",
        "merchandisetotal", "netrevenueusd", "nettobetrag", "netto", "montantht", "totalht", "importeneto",
    ),
    "subtotal": (
        "subtotalextax", "subtotalexcltax", "subtotalexcludingtax", "subtotal", "ordersubtotal", "subtotalprice", "itemssubtotal", "itemsubtotal", "itemtotal", "itemstotal",
        "productstotal", "goodstotal", "merchandise", "totalproducts", "cartsubtotal", "zwischensumme", "warenwert",
        "soustotal", "subtotalamount", "ordersubtotalamount", "totalitems",
    ),
    "gross": ("grosssales", "grossamount", "gross", "ordervalue", "grossvalue", "grossrevenue", "totallineitemsprice"),
    "line_total": (
        "linetotal", "lineamount", "linevalue", "extendedprice", "extendedamount", "sales", "lineitemtotal",
        "lineprice", "itemamount", "rowtotal", "linenet", "netlineamount", "lineitemamount", "positionssumme",
    ),
    "total": (
        "total", "ordertotal", "totalprice", "grandtotal", "totalamount", "orderamount", "amount", "revenue", "value",
        "totalpaid", "amountpaid", "ordertotalamount", "totalrevenue", "ordertotalinctax", "totalorder", "sum", "turnover", "spend",
        "totalsales", "totalprices", "gesamt", "gesamtbetrag", "gesamtsumme", "summe", "betrag", "umsatz", "montant", "montanttotal", "montantttc", "totalttc",
        "importe", "importetotal", "totale", "totaal", "bedrag",
    ),
    "shipping": (
        "shipping", "shippingtotal", "shippingcost", "shippingamount", "shippingprice", "shippingfee", "ordershipping",
        "freight", "freightvalue", "delivery", "deliveryfee", "deliverycost", "postage", "shippingandhandling", "shippingcharge", "shippingrate",
        "versand", "versandkosten", "fraisdeport", "fraisdelivraison", "livraison", "envio", "gastosdeenvio", "verzendkosten", "frete", "spedizione",
    ),
    "tax": (
        "tax", "taxes", "totaltax", "taxtotal", "taxamount", "salestax", "vat", "vatamount", "gst", "ordertax", "mwst",
        "steuer", "ust", "tva", "iva", "btw", "impuestos", "imposto",
    ),
    "discount": (
        "discount", "discounts", "discountamount", "totaldiscount", "totaldiscounts", "discounttotal", "orderdiscount",
        "couponamount", "coupondiscount", "rabatt", "remise", "reduction", "descuento", "desconto", "korting", "sconto",
    ),
    "refund": (
        "refund", "refunds", "refundamount", "refundedamount", "amountrefunded", "totalrefunded", "refundtotal", "refundedtotal",
        "totalrefund", "totalrefunds", "erstattung", "erstattet", "remboursement", "reembolso",
    ),
    "fee": ("tip", "tips", "handling", "handlingcost", "fees", "fee", "surcharge", "giftwrap", "wrapping", "duties", "tiptotal", "trinkgeld"),
    "channel": ("channel", "saleschannel", "source", "channelname"),
    "discount_code": ("discountcode", "couponcode", "coupon", "promocode", "voucher", "gutscheincode"),
    "name": ("customername", "name", "billingname", "fullname", "buyername", "clientname"),
    "postal_code": ("postalcode", "zip", "zipcode", "postcode", "billingzip", "billingpostcode", "plz"),
    "accepts_marketing": ("acceptsmarketing", "marketingconsent", "emailconsent", "newsletter"),
}  # fmt: skip
PARTS = {  # heading parts that show a role where no usual heading does
    "order_id": r"^(order|invoice|transaction|receipt|sale|bestell|auftrag|pedido|commande).*(id|no|nr|num|number|code|ref|nummer|key)$",
    "customer_id": r"(customer|client|buyer|member|shopper|user|kunden|klant|cliente).*(id|no|nr|num|number|code|key|nummer|hash)$",
    "ordered_at": r"(order|purchase|creat|sale|sold|placed|invoice|transaction|bestell|commande|pedido|compra).*(date|time|at|on|datum|timestamp)?$",
}
OTHER_DATES = r"(ship|deliver|updat|modif|due|birth|cancel|expir|fulfill|return|refund|paid|payment|dispatch|export|import|last|first|signup|approv|estimat)"
OTHER_PEOPLE = r"(staff|seller|employee|vendor|store|shop|agent|courier|merchant)"
OTHER_STATUSES = r"(fulfil|ship|deliver|item|line|marital|tracking)"
CURRENCY = re.compile(f"({'|'.join(sorted(ISO_4217))})$", re.IGNORECASE)
MANY = 20  # orders from which on a customer id of which each is another is none
LEAST_SHARE = 0.9


def usual(table: Table, role: str) -> list[Column]:
    """Return the columns with a usual heading of a role, the best first; a currency behind it is passed over."""
    bare = {CURRENCY.sub("", name): column for name, column in reversed(list(table.items()))}
    named = (there[name] for name in USUAL[role] for there in (table, bare) if name in there)
    return list(dict.fromkeys(named))


def first_amounts(table: Table, role: str) -> Column | None:
    """Return the first usual column of a role whose values are amounts."""
    return next((column for column in usual(table, role) if column.amounts is not None), None)


def order_id(table: Table) -> list[Column]:
    """Return the columns that may be an order's id, the best first."""
    rows = max((len(column.values) for column in table.values()), default=0)

    def is_id(column: Column) -> bool:
        is_there = len(column.filled) >= LEAST_SHARE * rows and len(column.filled) > 0
        is_many = len(column.distinct) > 1 or rows < 3
        is_text = not (column.is_nested or column.is_emails or column.is_names)
        return is_there and is_many and is_text and not _has_fractions(column)

    matches = _candidates(table, "order_id", is_id)
    return [column for column in matches if column.dates is None or column.dates.patterns]


def customer_id(table: Table, orders: Column | None) -> list[Column]:
    """Return the columns that may be a customer's id, never a person's name; repeating ones first."""

    def is_id(column: Column) -> bool:
        is_odd = column.is_nested or column.is_emails or column.is_names or _has_fractions(column)
        return bool(column.filled) and not is_odd and not re.search(OTHER_PEOPLE, column.plain)

    matches = [
        column
        for column in _candidates(table, "customer_id", is_id)
        if orders is None or column.name != orders.name
    ]
    return sorted(matches, key=lambda column: is_one_per_order(column, orders))


def is_one_per_order(column: Column, orders: Column | None) -> bool:
    """Tell a customer id of which every order has another: nobody would ever return."""
    if orders is None:
        return False
    pairs = {(a, b) for a, b in zip(column.values, orders.values, strict=True) if a and b}
    return len(pairs) > 1 and len({a for a, _ in pairs}) == len(pairs)


def email(table: Table) -> list[Column]:
    """Return the columns of a customer's e-mail, usual headings first."""
    named = [column for column in usual(table, "email") if not column.filled or column.is_emails]
    others = [
        column
        for column in table.values()
        if column.is_emails and not re.search(OTHER_PEOPLE, column.plain)
    ]
    filled = [column for column in named if column.filled]
    return list(dict.fromkeys([*filled, *others, *named]))


def phone(table: Table) -> list[Column]:
    """Return the columns of a customer's phone number."""
    return [column for column in usual(table, "phone") if column.filled and not column.is_emails]


def ordered_at(table: Table) -> list[Column]:
    """Return the columns of the day of an order, usual headings first."""
    dated = [column for column in table.values() if column.filled and column.dates is not None]
    named = _candidates(table, "ordered_at", lambda column: column in dated)
    others = [column for column in dated if _is_written_date(column)]
    matches = dict.fromkeys([*named, *others])
    usual_names = set(USUAL["ordered_at"])
    return [
        column
        for column in matches
        if column.plain in usual_names or not re.search(OTHER_DATES, column.plain)
    ]


def status(table: Table) -> Column | None:
    """Return the column of the order's status: few words, of payment before others."""
    matches = [
        column
        for column in usual(table, "status")
        if column.filled and len(column.distinct) <= 30 and column.dates is None
    ]
    return next((c for c in matches if not re.search(OTHER_STATUSES, c.plain)), None)


def text_columns(table: Table) -> dict[str, Column]:
    """Return columns that are taken by their usual headings alone."""
    roles = (
        "product_id",
        "product_name",
        "channel",
        "discount_code",
        "postal_code",
        "accepts_marketing",
    )
    matches = {
        role: [c for c in usual(table, role) if c.filled and not c.is_nested] for role in roles
    }
    return {role: columns[0] for role, columns in matches.items() if columns}


def _candidates(table: Table, role: str, is_one: Callable[[Column], bool]) -> list[Column]:
    by_parts: Sequence[Column] = [
        column for name, column in table.items() if re.search(PARTS[role], name)
    ]
    usual_columns = usual(table, role)
    return [c for c in dict.fromkeys([*usual_columns, *by_parts]) if is_one(c)]


def _has_fractions(column: Column) -> bool:
    """Tell amounts of money from whole numbers that may be ids."""
    if not column.distinct or any(sign in "".join(list(column.distinct)[:50]) for sign in "$€£"):
        return bool(column.distinct)
    is_decimal = [re.fullmatch(r"-?\d+[.,]\d+", value) for value in column.distinct]
    return all(is_decimal) and not all(value.endswith(".0") for value in column.distinct)


def _is_written_date(column: Column) -> bool:
    """Tell dates from numbers of eight digits."""
    return any(not value.isdigit() for value in column.distinct)
