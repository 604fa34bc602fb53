# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # 4. Segments, budget and what-if
# Where do customers stand, who gets the money, and what would another budget or a weaker effect change?
# For whoever plans retention, on CDNOW's customers as `make demo` scores them.

# %%
import tempfile
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd

from connectors.engine import open_engine
from connectors.orders import read_orders
from perennial.cli.demo import AS_OF, write_cdnow
from perennial.pipeline.ingestion.read import known_customers
from perennial.pipeline.scoring.decide import score_customers
from perennial.pipeline.settings.store import build_settings
from perennial.pipeline.training.recipe import fit_recipe
from reports.charts import bars_chart, curves_chart
from reports.tables import budget_table, segment_table

home = Path(tempfile.mkdtemp())
store = tomllib.loads(write_cdnow(home).config.read_text())
folder = home / "demo" / "cdnow"
settings = build_settings(store, folder)

# %% [markdown]
# What is known of the customers on the last day of June 1998, and a model fitted to it. Scoring takes a second, so it can be
# asked again and again with other settings; nothing is published.

# %%
with open_engine(settings.store.timezone) as engine:
    history = read_orders(engine, settings.order_source, AS_OF, home / "read")
    orders = engine.parquet(history.orders)
    window, horizon = settings.model.second_purchase_days, settings.model.horizon_days
    model = fit_recipe(engine, orders, None, AS_OF, window, horizon).forecaster
    table = known_customers(orders, None, AS_OF, window).order_by("customer_id")
    customers = engine.frame(table)
decided = score_customers(settings.policy, customers, model, AS_OF)

# %% [markdown]
# ## Where customers stand
# Everybody is in one segment, judged by their own rhythm. Chance and value are of the usual customer in it, within 90 days and
# within a year; the margin is what all of them are expected to bring in that year.

# %%
segments = segment_table(decided.scores)
shown = ["segment", "meaning", "customers", "p_order_90d", "expected_value"]
segments[shown].round({"p_order_90d": 3, "expected_value": 2}).set_index("segment")

# %%
margins = segments.sort_values("expected_margin", ascending=False).to_dict("records")
bars_chart(margins, "segment", "expected_margin", "Margin expected within a year, USD")

# %% [markdown]
# ## Who gets the money
# Not the customers at most risk, nor those worth most, but those with whom an action adds most per dollar: a faster pace, and
# customers kept who would have left. A tenth of all are held out, to measure it.

# %%
budget = decided.budget
print(f"committed: USD {budget.committed:,.0f} of a budget of {budget.left:,.0f}")
money = budget_table(decided.commitments)
shown = ["segment", "heavy", "standard", "light", "held_out", "cost", "gain", "expected_return"]
money[shown].round(2).set_index("segment")

# %% [markdown]
# The last rows bring back less than they cost: for a tenth of the customers effects are drawn rather than taken low, so that
# there is something to learn.

# %% [markdown]
# ## What if
# The effects are assumed until a holdout has measured them, and counted cautiously. So ask what hangs on them: what if they
# were half as large, or taken at their word? And what if there were less to spend?

# %%
actions = settings.investment.model_dump()["actions"]
half = {
    name: {"cost": one["cost"], "assumed_lift": one["assumed_lift"] / 2}
    for name, one in actions.items()
}
asked = {
    "half the effect": {"actions": half},
    "effects at their word": {"caution": 0.0},
    "a budget of 500": {"budget": 500.0},
}
results = {"as it is": decided.budget}
for name, investment in asked.items():
    other = build_settings({**store, "investment": investment}, folder)
    results[name] = score_customers(other.policy, customers, model, AS_OF).budget
spent = {name: budget.committed for name, budget in results.items()}
returns = {name: budget.next_return for name, budget in results.items()}
pd.DataFrame({"spent, USD": spent, "the next dollar brings": returns}).astype(float).round(2)

# %% [markdown]
# Nothing more is spent where the next dollar would not come back, so most of a budget may be left over.

# %%
most = max(results["effects at their word"].curve.budget)
budgets = np.linspace(0, most, 60)
drawn = ("as it is", "half the effect", "effects at their word")
curves = {name: results[name].curve for name in drawn}
lines = {name: np.interp(budgets, curve.budget, curve.gain) for name, curve in curves.items()}
rows = pd.DataFrame({"budget": budgets, **lines}).to_dict("records")
curves_chart(rows, "budget", "What a budget gains after its cost, USD")

# %% [markdown]
# ## What to do next
# Set `investment.budget` to what the curve says, and let the holdout replace what is assumed:
# [read an experiment](5_read_an_experiment.md).
