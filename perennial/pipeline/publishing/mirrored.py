"""Keep the exports at another place too, where the settings name one."""

from dataclasses import asdict
from pathlib import Path

from connectors.mirror import mirror
from perennial.pipeline.runtime.steps import retry_on, step


def mirror_exports(exports: Path, state: Path, url: str | None) -> None:
    """Bring ``paths.mirror`` up to date, where it is set."""
    if url is not None:
        upload_exports(exports, state, url)


@step
@retry_on(OSError)
def upload_exports(exports: Path, state: Path, url: str) -> dict[str, int]:
    """Upload what is new or changed and remove what is gone; say how many files that were."""
    return asdict(mirror(exports, url, state / "mirror.json"))
