# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # 2. Fit the models and check them
# Which model describes how these customers buy, and would its forecast have been right?
# For whoever has to trust the figures, on the purchases of CDNOW's customers (an online music store, 1997 to 1998).

# %%
import tempfile
from datetime import date
from pathlib import Path

import pandas as pd

from connectors.engine import open_engine
from connectors.orders import read_orders
from features.regularity import gap_facts
from features.rfm import customer_state, state_cells
from flows.backtest import backtest
from models.purchases import Regularity, fit_family
from perennial.cli.demo import write_cdnow
from perennial.pipeline.settings.store import read_settings
from perennial.pipeline.training.pictures import draw_cutoff, frequency_fit, matrices

AS_OF, HORIZON = date(1997, 12, 31), 181
home = Path(tempfile.mkdtemp())
config = write_cdnow(home).config
settings = read_settings(config)

# %% [markdown]
# ## Which model fits
# All that a purchase model needs of a customer is the number of repeat purchases, the day of the last one, and how long
# the customer was watched. Customers who share these are counted once.

# %%
with open_engine(settings.store.timezone) as engine:
    history = read_orders(engine, settings.order_source, AS_OF, home / "read")
    orders = engine.parquet(history.orders)
    cells = engine.frame(state_cells(engine.keep(customer_state(orders, AS_OF), "state")))
    facts = engine.frame(gap_facts(orders, AS_OF)).iloc[0]
print(f"{int(cells['customers'].sum()):,} customers in {len(cells):,} distinct states")

# %%
regularity = Regularity.of(*facts[["gaps", "log_gaps", "pair_variance", "random_variance"]])
family = fit_family(*(cells[name] for name in cells.columns), regularity=regularity)
best = family[0]
pd.DataFrame(
    {
        "model": [fit.title for fit in family],
        "log-likelihood": [round(fit.log_likelihood, 1) for fit in family],
        "AIC, beside the best": [round(fit.aic - best.aic, 1) for fit in family],
    }
).set_index("model")

# %% [markdown]
# Its parameters, with what their standard errors leave open: customers buy at different rates (gamma distributed, shape
# `r`, one order in `alpha / r` days), and leave after an order with a chance that is beta distributed (`a`, `b`).

# %%
parameters = {"parameter": best.model.to_dict(), "standard error": best.standard_errors}
pd.DataFrame(parameters).round(3)

# %% [markdown]
# ## Does it fit
# How many customers bought how often, beside what the model expects of as many new ones.

# %%
x, _, T, customers = (cells[name].to_numpy() for name in cells.columns)
frequency_fit(best.model, x, T, customers)[0]

# %% [markdown]
# Who is still a customer? Somebody who bought often and then fell silent is not (dark, at the bottom right); who bought once
# tells little.

# %%
matrices(best.model, T.max())["p_alive_matrix"][0]

# %% [markdown]
# ## Was it right
# A fit describes the past. Here the whole recipe (models, learned corrections, classifier) knows the year 1997 only, and is
# compared with what the same customers did in the 181 days after: beside simple rules that need no model.

# %%
cutoff = backtest(config, AS_OF, HORIZON).cutoffs[0]
shown = {
    "champion": "the recipe",
    "mbg_nbd_gamma_gamma": "the fitted model alone",
    "last_period": "same as the period before",
    "total_past": "as in all the past",
    "rfm": "average of the RFM cell",
}
metrics = [
    "gini_value",
    "capture_top20",
    "value_ratio",
    "orders_ratio",
    "mae_orders",
    "auc_active",
]
rated = pd.DataFrame({name: one.model_dump() for name, one in cutoff.models.items()}).T
rated.loc[list(shown), metrics].astype(float).round(3).rename(index=shown)

# %% [markdown]
# `gini_value` is how well customers are ranked (1 = perfectly), `capture_top20` what the best fifth brought of all, the
# ratios say what came over what was expected (1 = the level is right). Every metric stands in the
# [data dictionary](../data-dictionary.md).

# %%
pictures = {name: picture for name, (picture, _) in draw_cutoff(cutoff).items()}
pictures["orders_cumulative"]

# %%
pictures["value_by_decile"]

# %% [markdown]
# ## What to do next
# On your own orders, `perennial backtest` prints this table and `perennial train` draws these pictures into MLflow.
# Where a simple rule does better, look at its notes first. Then ask [what customers are worth](3_value_and_uncertainty.md).
