"""Addresses of database files, whatever characters stand in their folders' names."""

from pathlib import Path
from urllib.parse import quote


def sqlite_url(path: Path, driver: str = "") -> str:
    """Return SQLAlchemy's address of a SQLite file.

    What follows a question mark would be options, and the file another one: such a path is written
    as SQLite's own ``file:`` address, in which it can be quoted. It names its driver, since MLflow
    makes the folder of a ``sqlite:///`` address, and this one is no folder.
    """
    if "?" not in str(path):
        return f"sqlite{driver}:///{path}"
    return f"sqlite{driver or '+pysqlite'}:///file:{quote(str(path))}?uri=true"


def prefect_database(home: Path) -> dict[str, str]:
    """Return what Prefect must be told so that its database is in its home; mostly nothing."""
    if "?" not in str(home):
        return {}
    url = sqlite_url(home / "prefect.db", "+aiosqlite")
    return {"PREFECT_SERVER_DATABASE_CONNECTION_URL": url}
