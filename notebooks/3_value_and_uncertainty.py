# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # 3. Value, and how sure it is
# What will each customer bring in the next half year, and how far can that be trusted?
# For whoever spends money by these values, on CDNOW's customers as of the end of 1997, whose next half year is known.

# %%
import tempfile
from datetime import date
from pathlib import Path

import numpy as np

from connectors.engine import open_engine
from connectors.orders import read_orders
from features.tables import HISTORY
from models.evaluation import coverage_table
from perennial.cli.demo import AS_OF as LAST_DAY
from perennial.cli.demo import write_cdnow
from perennial.pipeline.settings.store import read_settings
from perennial.pipeline.training.backtest import Orders, build_cutoff, predict_cutoff
from perennial.pipeline.training.recipe import fit_recipe
from reports.charts import curves_chart, spans_chart

AS_OF, HORIZON = date(1997, 12, 31), 181
home = Path(tempfile.mkdtemp())
settings = read_settings(write_cdnow(home).config)

# %% [markdown]
# The whole recipe is fitted to what was known at the end of 1997; the half year after is kept aside.

# %%
with open_engine(settings.store.timezone) as engine:
    history = read_orders(engine, settings.order_source, LAST_DAY, home / "read")
    later = engine.parquet(history.orders)
    orders = Orders(later.filter(later.order_date <= AS_OF), later)
    window = settings.model.second_purchase_days
    fits = fit_recipe(engine, orders.past, None, AS_OF, window, HORIZON)
    now = build_cutoff(engine, orders, None, AS_OF, HORIZON, window)
prediction = predict_cutoff(fits.forecaster, now, HORIZON)

# %% [markdown]
# ## One customer is hard to foresee
# The expected value is a mean over all that might happen. The interval says between which amounts a customer's half year
# lies in eight of ten cases: some in it bring nothing, a few bring far more than expected.

# %%
ranks = [100, 200, 400, 800, 1_200, 1_600, 2_400, 4_800, 9_600]
ranked = np.argsort(-prediction.value, kind="stable")
customers = [
    {
        "customer": f"no. {rank:,} by value",
        "estimate": prediction.value[who],
        "low": prediction.low[who],
        "high": prediction.high[who],
        "actual": now.value[who],
    }
    for rank, who in zip(ranks, ranked[np.array(ranks) - 1], strict=True)
]
spans_chart(
    customers, "customer", "Net revenue in 181 days: expected, 80 % interval, what came", "USD"
)

# %% [markdown]
# Are eight of ten inside? Among all customers, and in each tenth by expected value (of nothing, which has a chance of its
# own, as much counts as is in the interval).

# %%
print(f"inside the interval: {prediction.covered.mean():.1%} of {len(now.state):,} customers")
rows = [row.model_dump() for row in coverage_table(prediction)]
curves_chart(rows, "decile", "Share inside the interval, 10 = highest value")

# %% [markdown]
# ## Many together are easier
# Chance evens out. What is left is how well the parameters are known, and whether the future is like the past.

# %%
expected, came = prediction.orders.sum(), now.orders.sum()
print(f"orders expected {expected:,.0f}, came {came:,.0f}: {came / expected - 1:+.1%}")

# %% [markdown]
# The parameters' standard errors are small, with so many customers. Drawn from what they leave open, the purchase model
# expects:

# %%
best = next(fit for fit in fits.purchases if not fit.members)  # of a single model
middle = np.log([best.model.to_dict()[name] for name in best.model.free])
draws = np.exp(np.random.default_rng(1).multivariate_normal(middle, best.covariance, 100))
states = [now.state[name] for name in HISTORY]
totals = [type(best.model)(*draw).expected_orders(HORIZON, *states).sum() for draw in draws]
low, high = np.quantile(totals, (0.1, 0.9)) / np.mean(totals) - 1
print(
    f"{best.title}: {np.mean(totals):,.0f} orders, in eight of ten draws {low:+.1%} to {high:+.1%}"
)

# %% [markdown]
# A standard error knows nothing of a season, a price rise, or a model that is not quite true: what came is further off than
# it says. How far totals are off is what backtests tell beforehand, and `perennial monitor` every week.

# %% [markdown]
# ## What to do next
# Spend by the expected value, since it adds up over customers; show the interval to whoever asks about one of them.
# Then see [what a budget brings](4_segments_and_budget.md).
