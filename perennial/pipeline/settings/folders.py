"""The folders of a home, for what must name them although a command has failed."""

from dataclasses import dataclass
from pathlib import Path

from perennial.pipeline.settings.store import SettingsError, read_settings


@dataclass(frozen=True)
class HomeFolders:
    """The folders that the settings of a store name."""

    home: Path
    exports: Path
    state: Path
    mlruns: Path


def home_folders(config: Path | None) -> HomeFolders | None:
    """Return the folders of a store; None without settings, or with settings that cannot be read."""
    try:
        settings = None if config is None else read_settings(config)
    except (SettingsError, OSError):
        settings = None
    if settings is None:
        return None
    return HomeFolders(settings.home, settings.exports, settings.state, settings.mlruns)
