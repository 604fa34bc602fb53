# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # 1. Know your orders
# What is in an order export, what is left out and why, and do its customers come back?
# For whoever connects a store, before any model is fitted.
#
# The export is one that Shopify would write of a simulated coffee store. What real exports are full of was planted in
# it: tests, cancellations, refunds, guests, orders that are in two files.

# %%
import tempfile
from datetime import date
from pathlib import Path

import pandas as pd

from connectors.engine import open_engine
from connectors.orders import read_orders
from connectors.recognize import recognize
from connectors.rules import RULES
from features.journeys import gaps, journeys
from perennial.cli.simulate import Simulation, write_simulation
from perennial.pipeline.settings.store import build_settings
from reports.charts import bars_chart, curves_chart
from reports.measures.repeat import second_order

AS_OF = date(2025, 6, 30)
store = Path(tempfile.mkdtemp()) / "store"
asked = Simulation("coffee", 1_500, date(2023, 7, 1), date(2025, 7, 1), seed=1, form="shopify")
planted = pd.DataFrame(write_simulation(asked, store).planted).set_index("trap")
export = f"{store}/shopify/*.csv"

# %% [markdown]
# The columns tell which platform wrote it, and the platform how it is read.

# %%
with open_engine("America/New_York") as engine:
    preset = recognize(engine, export).preset
    settings = build_settings(
        {
            "store": {"currency": "USD", "timezone": "America/New_York"},
            "orders": {"source": export, "preset": preset},
        },
        store,
    )
    history = read_orders(engine, settings.order_source, AS_OF, store / "read")
    waits = engine.frame(gaps(journeys(engine.parquet(history.orders), AS_OF), AS_OF))
print(f"{preset}: orders from {history.first_date} to {history.last_date}")

# %% [markdown]
# ## Where every row went
# Nothing is dropped silently: rows in = orders + rows merged + rows rejected.

# %%
accounting = history.accounting
fate = {"orders": accounting.orders, **accounting.merged, **accounting.rejected}
print(f"every row is accounted for: {accounting.is_balanced}")
rows = [{"fate": name, "rows": count} for name, count in fate.items()]
bars_chart(rows, "fate", "rows", f"Where {accounting.rows_in:,} rows of the export went")

# %% [markdown]
# Each rejected row is in `rejects.csv`, with the rule that it broke.

# %%
rules = {rule: RULES[rule] for rule in accounting.rejected}
pd.DataFrame({"rows": accounting.rejected, "rule and what to do": rules})

# %% [markdown]
# What was planted explains them: orders there, rows here, and an order has a row for each of its products.

# %%
planted[["count", "rule"]]

# %% [markdown]
# ## What breaks no rule and still misleads

# %%
print(*history.quality.warnings, sep="\n")

# %% [markdown]
# The lost days are a dip in the first week of August; two Christmas seasons stand out.

# %%
days = pd.to_datetime(pd.read_parquet(history.orders)["order_date"])
weekly = days.groupby(days.dt.to_period("W").dt.start_time).size()
whole = [{"week": week, "orders": n} for week, n in weekly.items()][1:-1]
curves_chart(whole, "week", "Orders by week")

# %% [markdown]
# ## Do they come back?
# Customers who have not come back yet count for as long as they were watched (Kaplan-Meier).

# %%
second = second_order(waits, cycle_days=44)
print(f"Half of all customers order again within {second.median_days:.0f} days.")
shown = {"day", "share", "low", "high"}
curve = [point.model_dump(include=shown) for point in second.curve]
curves_chart(curve, "day", "Share of customers with a second order, by days since the first")

# %% [markdown]
# ## What to do next
# Mend what should not have been rejected and look again: `perennial check` prints the same for your own settings.
# Then [fit and check the models](2_fit_and_check.md).
