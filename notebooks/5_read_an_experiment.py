# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # 5. Read an experiment
# Did the investment pay, and can the read-out be trusted?
# For whoever decides whether to go on, on a simulated store whose true effect is known.

# %%
import tempfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from connectors.engine import open_engine
from features.rfm import customer_state, state_cells
from features.tables import HISTORY
from models.forecaster import Forecaster
from models.lift import average_lift, smallest_lift
from models.purchases import MBGNBD, fit_purchases
from perennial.pipeline.experiments.readout import Experiment, compare, watch
from perennial.pipeline.ingestion.read import read_orders
from perennial.pipeline.runtime.context import home_context
from perennial.pipeline.settings.store import build_settings
from perennial.pipeline.training.spend import fit_order_value
from perennial.simulation import simulate
from perennial.simulation.profiles import EFFECTS
from reports.charts import spans_chart
from segments.holdout import CONTROL, is_holdout
from segments.lifecycle import lifecycle_segments

DAY, DAYS, SHARE, COST = date(2025, 3, 1), 90, 0.2, EFFECTS["heavy"].cost
READ = DAY + timedelta(days=DAYS)
store = {
    "customers": 20_000,
    "start": date(2023, 7, 1),
    "end": READ + timedelta(days=1),
    "seed": 5,
}
home = Path(tempfile.mkdtemp())

# %% [markdown]
# ## Before: what is expected anyway
# A model fitted to what was known on the first of March says what each customer would bring in the 90 days after. Customers
# who are compared with that, and not with the mean of all, differ less by chance.

# %%
with open_engine() as engine:
    orders = engine.table(simulate(**store).orders, "orders")
    state = engine.keep(customer_state(orders, DAY), "state")
    cells, order_value = engine.frame(state_cells(state)), fit_order_value(engine, state).model
    customers = engine.frame(state.order_by("customer_id"))
model = Forecaster.plain(
    fit_purchases(*(cells[name] for name in cells.columns), model=MBGNBD).model, order_value
)
expected = model.expect(customers, DAYS)

# %% [markdown]
# ## The draw
# Everybody takes part who is more likely than not still a customer: settled before the draw, and the same in both arms. A
# fifth is held out, by a salted hash of the customer's number. The others get the heavy action, at 6 dollars each.

# %%
is_in = expected.p_alive > 0.5
customers, value = customers[is_in].reset_index(drop=True), expected.expected_value[is_in]
held = is_holdout(customers["customer_id"], share=SHARE, salt="spring")
experiment = Experiment(
    pd.DataFrame(
        {
            "customer_id": customers["customer_id"],
            "start_date": DAY,
            "group": "heavy",
            "segment": lifecycle_segments(
                *(customers[name] for name in HISTORY), customers["revenue"], value
            ),
            "is_holdout": held,
            "share": SHARE,
            "covariate": value,
            "cost": COST,
        }
    ),
    program=CONTROL,
    enrolled=len(held),
    days=DAYS,
    planned=READ,
)
print(f"{len(held):,} customers take part, {held.sum():,} of them held out")

# %% [markdown]
# ## Three worlds
# The store is lived through as the draw has it, and, as only a simulation can, with everybody and with nobody treated: chance
# is the same in all three, so that their difference is each customer's true effect. The read-out sees the first alone.

# %%
treated = customers[["customer_id"]].assign(day=DAY + timedelta(days=1), action="heavy")
worlds = {"as drawn": treated[~held], "everybody": treated, "nobody": None}
watched = {}
for name, assignment in worlds.items():
    folder = home / name
    folder.mkdir()
    pq.write_table(simulate(**store, assignment=assignment).orders, folder / "orders.parquet")
    settings = build_settings(
        {"orders": {"source": "orders.parquet"}, "store": {"margin": 0.55}}, folder
    )
    run = home_context(settings, READ, folder=folder)
    watched[name] = watch(run, experiment, read_orders(run))
margin = {name: pd.read_parquet(path)["margin"].to_numpy() for name, path in watched.items()}
truth = margin["everybody"] - margin["nobody"]

# %% [markdown]
# ## The read-out
# As `perennial measure` gives it on the one planned day: arms as large as drawn, everybody counted who was drawn, whether
# the action reached them or not.

# %%
readout = compare(run, experiment, watched["as drawn"])
print(readout.sentence)
print(f"In truth it brought back {truth.mean() / COST:.2f}.")

# %% [markdown]
# It paid, and the interval holds the truth; but it reaches below 1, and with so few held out nobody could know.
#
# Three ways to compare the arms. What is expected anyway narrows the interval; cutting off the largest outcomes narrows it too,
# but misses what the best customers brought, so it is never the headline.

# %%
whole = readout.groups[0]
plain, trimmed = average_lift(margin["as drawn"], ~held), whole.margin_winsorized
ways = {
    "plain difference": (plain.estimate, plain.low, plain.high),
    "beside the expected": (whole.margin.estimate, whole.margin.low, whole.margin.high),
    "largest 1 % cut off": (trimmed.estimate, trimmed.low, trimmed.high),
}
rows = [
    {"way": way, "estimate": estimate, "low": low, "high": high, "actual": truth.mean()}
    for way, (estimate, low, high) in ways.items()
]
spans_chart(rows, "way", "Margin added by a heavy action, 95 % interval, and the truth", "USD")

# %% [markdown]
# ## Can it be trusted
# One read-out may be lucky. Since both worlds of every customer are known, the draw can be repeated: of 95 % intervals, 95 in
# a hundred should hold the truth.

# %%
rng = np.random.default_rng(1)
holds = 0
for _ in range(400):
    again = rng.random(len(held)) > SHARE
    lift = average_lift(np.where(again, margin["everybody"], margin["nobody"]), again, value)
    holds += lift.low <= truth.mean() <= lift.high
print(f"{holds / 400:.1%} of 400 draws hold the truth")

# %% [markdown]
# ## Whom it moves
# Segments are small, so each is drawn towards the whole, the more the less it tells; spans are 80 % intervals. Here nothing
# tells them apart yet: champions gain most in truth, and so few of them cannot show it.

# %%
by_segment = pd.Series(truth).groupby(experiment.customers["segment"]).mean()
rows = [
    {
        "segment": one.segment,
        "estimate": one.shrunk,
        "low": one.shrunk - 1.28 * one.deviation,
        "high": one.shrunk + 1.28 * one.deviation,
        "actual": by_segment[one.segment],
    }
    for one in readout.segments
]
spans_chart(rows, "segment", "Margin added by segment, and the truth", "USD")

# %% [markdown]
# ## What it could see at all
# Small effects need many customers: this is the least margin a customer that an experiment of so many would notice in four of
# five cases.

# %%
spread = float(margin["nobody"].std() * np.sqrt(whole.margin.variance_left))
sizes = [1_000, 3_000, 10_000, 30_000, 100_000]
least = [smallest_lift(round(n * (1 - SHARE)), round(n * SHARE), spread) for n in sizes]
noticed = pd.DataFrame({"customers": sizes, "smallest margin noticed, USD": np.round(least, 2)})
noticed.set_index("customers")

# %% [markdown]
# ## What to do next
# Read on the planned day and not before (`perennial measure`; with `--early`, its interval allows for every look). What was
# measured replaces what was assumed, and the next budget follows it. Then [compare two models](6_compare_two_models.md).
