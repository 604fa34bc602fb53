"""The files of a publication, as short as readers accept them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.formats import FORMAT
from connectors.store import REQUIRED_FILES

LEAST = {
    "format": FORMAT, "store": "S", "currency": "EUR", "as_of": "2024-01-01", "run_id": "r",
    "model_version": "1", "data_digest": "", "customers": 0,
    "first_order_date": "2024-01-01", "last_order_date": "2024-01-01",
    "accounting": {"rows_in": 0, "orders": 0, "merged": {}, "rejected": {}}, "zero_amount": "",
    "horizon_days": 365, "holdout_share": 0.1,
    "totals": {"share_once": 0.0, "orderers_90d": 0.0, "expected_orders": 0.0,
               "expected_value": 0.0, "expected_margin": 0.0},
    "segments": [], "tiers": [], "budget": {"amount": 0.0, "period_days": 30},
    "perennial_version": "0",
}  # fmt: skip


def write_required_files(folder: Path, **record: Any) -> None:
    """Write every file that a publication must have, with a record that says when it was published."""
    for name in REQUIRED_FILES:
        (folder / name).write_text("{}" if name.endswith(".json") else "")
    record = {**LEAST, "published_at": datetime.now(UTC).isoformat(), **record}
    (folder / "run.json").write_text(json.dumps(record))
