"""Odd stores, trained and published: every figure agrees with the others, and none is absurd."""

import pytest
from typer.testing import CliRunner

from perennial.cli.main import app
from tests.invariants.published import PublishedFigures, violations
from tests.invariants.stores import AS_OF, ODD_STORES
from tests.shops import write_shop


@pytest.mark.parametrize("store", ODD_STORES)
def test_every_published_figure_agrees(store, tmp_path):
    orders = ODD_STORES[store].orders()
    orders.insert(0, "order_id", [f"o{number}" for number in range(len(orders))])
    config = write_shop(tmp_path, orders, ODD_STORES[store].settings)
    done = CliRunner().invoke(app, ["run", "--config", str(config), "--as-of", str(AS_OF)])
    assert done.exit_code == 0, done.output
    assert violations(PublishedFigures.read(config)) == []
