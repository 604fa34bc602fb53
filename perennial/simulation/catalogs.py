"""What the simulated stores sell."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    """A product.

    Attributes
    ----------
    name, category
        What it is.
    price
        List price on the first day, store's currency.
    weight
        How often it is chosen beside the others.
    cycle_days
        Days that it lasts as a rule; None = durable.
    leads_to
        Name of the product that its buyers come back for, if any.
    """

    name: str
    category: str
    price: float
    weight: float
    cycle_days: float | None = None
    leads_to: str | None = None


@dataclass(frozen=True)
class Bundle:
    """Products sold together, at a discount; the first of them is its main one."""

    name: str
    products: tuple[str, ...]
    weight: float
    discount: float = 0.12


@dataclass(frozen=True)
class Catalog:
    """Products and bundles."""

    products: tuple[Product, ...]
    bundles: tuple[Bundle, ...]


COFFEE = Catalog(
    (
        Product("House Blend 250 g", "beans", 12.5, 22, 21),
        Product("House Blend 1 kg", "beans", 38.0, 12, 50),
        Product("Single Origin 250 g", "beans", 16.9, 18, 24),
        Product("Decaf 250 g", "beans", 13.5, 8, 28),
        Product("Cold Brew Cans, 6", "drinks", 19.0, 6, 20),
        Product("Paper Filters, 100", "filters", 5.9, 6, 60, "House Blend 250 g"),
        Product("Descaler", "care", 8.9, 2, 90, "House Blend 1 kg"),
        Product("Pour-Over Kit", "equipment", 34.0, 5, None, "Single Origin 250 g"),
        Product("Hand Grinder", "equipment", 69.0, 4, None, "Single Origin 250 g"),
        Product("Mug", "gifts", 14.0, 3),
    ),
    (
        Bundle("Tasting Trio", ("Single Origin 250 g", "House Blend 250 g", "Decaf 250 g"), 6),
        Bundle("Starter Kit", ("House Blend 250 g", "Pour-Over Kit", "Paper Filters, 100"), 5),
    ),
)
BEAUTY = Catalog(
    (
        Product("Gentle Cleanser", "cleanser", 18.0, 16, 60, "Day Moisturizer"),
        Product("Day Moisturizer", "moisturizer", 28.0, 16, 45),
        Product("Night Cream", "moisturizer", 36.0, 8, 55),
        Product("Vitamin C Serum", "serum", 42.0, 12, 50),
        Product("Toner", "toner", 16.0, 8, 60),
        Product("Sunscreen", "sun", 22.0, 8, 40),
        Product("Lip Balm", "lips", 7.5, 9, 70, "Day Moisturizer"),
        Product("Mascara", "make-up", 19.0, 9, 90),
        Product("Brush Set", "tools", 45.0, 3, None, "Mascara"),
    ),
    (
        Bundle("Morning Routine", ("Day Moisturizer", "Gentle Cleanser", "Sunscreen"), 8),
        Bundle("Glow Set", ("Vitamin C Serum", "Night Cream"), 5),
    ),
)
APPAREL = Catalog(
    (
        Product("Training Leggings", "bottoms", 68.0, 16),
        Product("Sports Bra", "tops", 42.0, 14, None, "Training Leggings"),
        Product("T-Shirt", "tops", 29.0, 18, None, "Training Leggings"),
        Product("Running Shorts", "bottoms", 45.0, 10),
        Product("Hoodie", "outerwear", 88.0, 9),
        Product("Rain Jacket", "outerwear", 135.0, 4),
        Product("Socks, 3 Pairs", "accessories", 15.0, 12, 150),
        Product("Cap", "accessories", 24.0, 5),
    ),
    (
        Bundle("Complete Training Kit", ("Training Leggings", "Sports Bra", "Socks, 3 Pairs"), 6),
        Bundle("Season Refresh", ("Hoodie", "T-Shirt"), 4),
    ),
)
ELECTRONICS = Catalog(
    (
        Product("Headphones", "audio", 149.0, 14, None, "Ear Pads"),
        Product("Earbuds", "audio", 79.0, 18),
        Product("Speaker", "audio", 119.0, 8),
        Product("Ear Pads", "parts", 19.0, 3, 365),
        Product("USB-C Cable", "cables", 12.0, 14),
        Product("Charger 65 W", "power", 39.0, 14, None, "USB-C Cable"),
        Product("Power Bank", "power", 49.0, 10),
        Product("Keyboard", "desk", 99.0, 8, None, "Mouse"),
        Product("Mouse", "desk", 45.0, 8),
        Product("Monitor 27 in", "desk", 329.0, 4, None, "Keyboard"),
        Product("Toner Cartridge", "supplies", 64.0, 5, 180),
    ),
    (
        Bundle("Desk Set", ("Keyboard", "Mouse"), 5),
        Bundle("Travel Set", ("Earbuds", "Power Bank", "USB-C Cable"), 4),
    ),
)
