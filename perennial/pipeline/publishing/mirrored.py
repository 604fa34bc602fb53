"""Keep the exports at another place too, where the settings name one."""

from dataclasses import asdict

from connectors.mirror import mirror
from perennial.pipeline.runtime.steps import again_after, step
from perennial.pipeline.settings.store import Settings


def mirror_exports(settings: Settings) -> None:
    """Bring ``paths.mirror`` up to date, where it is set."""
    if settings.paths.mirror is not None:
        upload_exports(settings, settings.paths.mirror)


@step
@again_after(OSError)
def upload_exports(settings: Settings, url: str) -> dict[str, int]:
    """Upload what is new or changed and remove what is gone; say how many files that were."""
    return asdict(mirror(settings.exports, url, settings.state / "mirror.json"))
