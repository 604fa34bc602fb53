# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # A first look: CDNOW's customers as of the end of 1997
# The same functions that the nightly flow is made of, called by hand: no Prefect, no MLflow.

# %%
import tempfile
from datetime import date
from pathlib import Path

from connectors.engine import open_engine
from connectors.orders import read_orders
from features.rfm import customer_state, state_cells
from flows.demo import write_cdnow
from flows.settings import read_settings
from models.purchases import fit_purchases

AS_OF = date(1997, 12, 31)
folder = Path(tempfile.mkdtemp())
settings = read_settings(write_cdnow(folder).config)

# %% [markdown]
# Every source row is accounted for; later orders are set aside.

# %%
with open_engine(settings.store.timezone) as engine:
    history = read_orders(engine, settings.order_source, AS_OF, folder)
    state = engine.keep(customer_state(engine.parquet(history.orders), AS_OF), "state")
    cells, customers = engine.frame(state_cells(state)), engine.frame(state)
print(history.accounting)

# %% [markdown]
# The purchase model is fitted on customers grouped by their state.

# %%
fit = fit_purchases(*(cells[name] for name in cells.columns))
print(fit)

# %% [markdown]
# What it expects of the ten customers who bought most often, in the next 90 days.

# %%
best = customers.nlargest(10, "frequency")
history_of_best = (best[name] for name in ("frequency", "recency_days", "age_days"))
print(
    best.assign(expected=fit.model.expected_orders(90, *history_of_best).round(1))[
        ["customer_id", "frequency", "recency_days", "age_days", "expected"]
    ].to_string(index=False)
)
