"""Keep the exports at another place too, where the settings name one."""

from dataclasses import asdict

from connectors.mirror import mirror
from flows.settings import Settings
from flows.steps import again_after, step


@step
@again_after(OSError)
def mirror_exports(settings: Settings) -> dict[str, int]:
    """Bring ``paths.mirror`` up to date; say how many files were uploaded and removed."""
    if settings.paths.mirror is None:
        return {"uploaded": 0, "removed": 0}
    return asdict(mirror(settings.exports, settings.paths.mirror, settings.state / "mirror.json"))
