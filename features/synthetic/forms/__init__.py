"""The same history as other systems write it, with their traps and a list of what was planted."""

from collections.abc import Callable

from features.synthetic.forms.fivetran import fivetran
from features.synthetic.forms.ledger import Form, Planted
from features.synthetic.forms.shopify import shopify
from features.synthetic.forms.stripe import stripe
from features.synthetic.forms.woocommerce import woocommerce
from features.synthetic.world import World

FORMS: dict[str, Callable[[World], Form]] = {
    "shopify": shopify,
    "woocommerce": woocommerce,
    "stripe": stripe,
    "fivetran": fivetran,
}

__all__ = ["FORMS", "Form", "Planted", "fivetran", "shopify", "stripe", "woocommerce"]
