"""The files of a publication, as short as readers accept them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.formats import FORMAT
from connectors.store import REQUIRED_FILES


def write_required_files(folder: Path, **record: Any) -> None:
    """Write every file that a publication must have, with a record that says when it was published."""
    for name in REQUIRED_FILES:
        (folder / name).write_text("{}" if name.endswith(".json") else "")
    record = {"format": FORMAT, "published_at": datetime.now(UTC).isoformat(), **record}
    (folder / "run.json").write_text(json.dumps(record))
