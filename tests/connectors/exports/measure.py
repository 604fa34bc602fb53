"""What `perennial init` makes of each shape: ``python -m tests.connectors.exports.measure``."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from connectors.engine import open_engine
from connectors.orders import read_orders
from connectors.sources import SourceError
from features.tables import DataError
from perennial.cli.commands import write_settings
from perennial.pipeline.settings.store import SettingsError, read_settings
from tests.connectors.exports.shapes import SHAPES, Right, Shape

CENT = 0.005
LAST_DAY = date(2026, 6, 30)


@dataclass(frozen=True)
class Measured:
    """What came of a shape.

    Attributes
    ----------
    outcome
        ``right``, ``asks``, ``refused``, ``wrong``: other orders without a word, or ``stuck``: settings
        that read nothing, without a word on what is missing.
    because
        The message, or the first difference.
    text
        The settings that were written.
    facts
        What init printed.
    """

    outcome: str
    because: str = ""
    text: str = ""
    facts: Mapping[str, Any] | None = None


def measure(shape: Shape, folder: Path) -> Measured:
    """Run init on a shape and read orders with what it wrote."""
    config = folder / "perennial.toml"
    try:
        facts = write_settings(config, str(shape.path)).facts
    except SourceError as error:
        return Measured("refused", str(error))
    text = config.read_text()
    missing = facts.get("missing", {})
    try:
        orders = _read(config, shape.timezone, folder)
    except (SourceError, DataError, SettingsError) as error:
        return Measured("asks" if missing else "stuck", str(error), text, facts)
    difference = "no orders to compare" if shape.orders is None else compare(shape.orders, orders)
    if not difference:
        return Measured("right", "", text, facts)
    return Measured("asks" if missing else "wrong", difference, text, facts)


def _read(config: Path, timezone: str, folder: Path) -> Right:
    settings = read_settings(config)
    with open_engine(timezone) as engine:
        source = replace(settings.order_source, currency=settings.store.currency)
        history = read_orders(engine, source, LAST_DAY, folder / "read")
        frame = pd.read_parquet(history.orders)
    return {
        str(row.order_id): (
            str(row.customer_id),
            str(row.order_date)[:10],
            float(str(row.net_amount)),
        )
        for row in frame.itertuples()
    }


def compare(right: Right, read: Right) -> str:
    """Return the first difference, empty where there is none; customers may have other names."""
    if set(right) != set(read):
        return f"orders {sorted(read)} instead of {sorted(right)}"
    for order, (_, day, value) in right.items():
        if read[order][1] != day:
            return f"order {order} on {read[order][1]} instead of {day}"
        if abs(read[order][2] - value) > CENT:
            return f"order {order} of {read[order][2]:g} instead of {value:g}"
    pairs = {(right[order][0], read[order][0]) for order in right}
    people = {who for who, _ in pairs}, {who for _, who in pairs}
    if not len(pairs) == len(people[0]) == len(people[1]):
        return f"customers {sorted(people[1])} instead of {sorted(people[0])}"
    return ""


def main() -> None:
    """Print the outcome of every shape."""
    for shape in SHAPES:
        with TemporaryDirectory() as folder:
            measured = measure(shape, Path(folder))
        sys.stdout.write(f"{shape.name:24}{measured.outcome:10}{measured.because[:150]}\n")


if __name__ == "__main__":
    main()
