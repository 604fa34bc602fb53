# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # 6. Compare two registered models
# Is the model that was trained last better than the one that scores, and would the gate let it?
# For whoever retrains or overrules the gate, on a simulated beauty store and an MLflow of its own.

# %%
import json
import tempfile
from datetime import date
from pathlib import Path

import pandas as pd

from flows.train import train
from perennial.cli.simulate import Simulation, write_simulation
from perennial.pipeline.runtime.context import open_tracking
from perennial.pipeline.settings.store import read_settings
from perennial.pipeline.training.model_files import load_forecaster
from reports.charts import spans_chart

home = Path(tempfile.mkdtemp()) / "store"
write_simulation(Simulation("beauty", 1_000, date(2023, 7, 1), date(2025, 7, 1), seed=1), home)
config = home / "perennial.toml"
config.write_text(config.read_text() + "[model]\nhorizon_days = 180\nbacktest_cutoffs = 1\n")

# %% [markdown]
# ## Two models
# One knows the first year, the other two. `perennial train` does the same: it fits, tries the recipe on a past day, asks the gate,
# and registers.

# %%
trained = [train(config, day) for day in (date(2024, 6, 30), date(2025, 6, 30))]
old, new = trained
tracking = open_tracking(read_settings(config))
versions = {f"version {one.model_version}": one.model_version for one in trained}
tags = {name: tracking.tags(version) for name, version in versions.items()}
shown = ["as_of", "gate", "decision"]
pd.DataFrame(tags).T[shown].assign(scores=[v == tracking.champion() for v in versions.values()])

# %% [markdown]
# ## What they believe
# The files of a version are all that there is of a model: parameters as JSON, trees as skops.

# %%
models = {name: load_forecaster(tracking.fetch(v) / "artifacts") for name, v in versions.items()}
pd.DataFrame(
    {
        name: {"purchases": one.purchases.kind, "mean order, GBP": round(one.spend.mean, 2)}
        | {symbol: round(value, 3) for symbol, value in one.purchases.to_dict().items()}
        for name, one in models.items()
    }
)

# %% [markdown]
# ## Who forecasts better
# Both looked ahead from a day that neither knew more than: the new recipe fitted to what was known then, the champion as it is.
# Beside them stand the rules that need no model.

# %%
backtest = json.loads(tracking.run_artifact(new.run_id, "backtest.json").read_text())
cutoff = backtest["cutoffs"][0]
names = {
    "champion": "the new recipe",
    "incumbent": "the model that scores",
    "last_period": "same as the period before",
    "total_past": "as in all the past",
    "rfm": "average of the RFM cell",
    "hiatus": "silent for too long",
}
metrics = ["gini_value", "capture_top20", "value_ratio", "orders_ratio", "mae_orders"]
days, customers = backtest["horizon_days"], cutoff["customers"]
print(f"from {cutoff['as_of']}, {days} days ahead, {customers:,} customers")
table = pd.DataFrame(cutoff["models"]).T.loc[list(names), metrics].astype(float)
table.round(3).rename(index=names)

# %% [markdown]
# A lead is worth as much as its interval says: customers drawn again and again, and both ranked anew.

# %%
leads = {name: cutoff["differences"][name]["gini_value"] for name in list(names)[1:]}
rows = [
    {"beside": names[name], "estimate": one["difference"], "low": one["low"], "high": one["high"]}
    for name, one in leads.items()
]
spans_chart(
    rows, "beside", "Lead of the new recipe in ranking value, 95 % interval", "Gini; 0 = none"
)

# %% [markdown]
# ## What the gate says
# No rule may rank clearly better (in so small a store, one ranks about as well), and the model that scores stays unless the new
# one is ahead of it: a tie keeps it.

# %%
gate = json.loads(tracking.run_artifact(new.run_id, "gate.json").read_text())
print(f"{gate['gate']}: version {tracking.champion()} scores")
checks = pd.DataFrame(gate["checks"]).set_index("name")
checks["is_passed"] = checks["is_passed"].map({True: "yes", False: "no"})
checks[["is_passed", "problem", "threshold"]]

# %% [markdown]
# ## What to do next
# Look at both in MLflow's own pages (the address is in your settings; every picture of notebook 2 is there), and where you know
# better than the gate, `perennial promote VERSION` and `perennial rollback` overrule it; who did is written down.
