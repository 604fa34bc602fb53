"""The same history as other systems write it, with their traps and a list of what was planted."""

from collections.abc import Callable

from perennial.simulation.forms.fivetran import fivetran
from perennial.simulation.forms.ledger import Form, Planted
from perennial.simulation.forms.shopify import shopify
from perennial.simulation.forms.stripe import stripe
from perennial.simulation.forms.woocommerce import woocommerce
from perennial.simulation.world import World

FORMS: dict[str, Callable[[World], Form]] = {
    "shopify": shopify,
    "woocommerce": woocommerce,
    "stripe": stripe,
    "fivetran": fivetran,
}

__all__ = ["FORMS", "Form", "Planted", "fivetran", "shopify", "stripe", "woocommerce"]
