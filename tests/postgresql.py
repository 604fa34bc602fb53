"""A PostgreSQL server of the tests' own, with a password and the extension that Prefect needs."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from perennial.service.server import _free_port

COMMAND = "apt-get install postgresql"  # also for macOS: brew install postgresql@17
EXTENSION = "pg_trgm"
PASSWORD = "c0rrect-horse"  # noqa: S105  # of a server that lives for a test


@dataclass(frozen=True)
class Server:
    """Where it listens."""

    port: int

    def url(self, driver: str, database: str) -> str:
        """Address without the password, which is in ``$PGPASSWORD``."""
        return f"postgresql{driver}://perennial@127.0.0.1:{self.port}/{database}"

    def tables(self, database: str) -> set[str]:
        """Names of a database's tables that have rows."""
        with psycopg.connect(self.url("", database), password=PASSWORD) as connection:
            names = connection.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            ).fetchall()
            return {
                name
                for (name,) in names
                if connection.execute(
                    sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(sql.Identifier(name))
                ).fetchone()[0]
            }


def find_binaries() -> Path | None:
    """Folder of a PostgreSQL server's programs that has the extension, the newest first."""
    actual = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    actual += [path.parent for path in Path("/opt/homebrew/opt").glob("postgresql*/bin/initdb")]
    on_path = shutil.which("initdb")
    if on_path is not None:
        actual.append(Path(on_path).resolve().parent)
    able = [folder for folder in actual if _has_extension(folder)]
    return max(able, default=None, key=lambda folder: folder.parent.name.zfill(20))


def _has_extension(binaries: Path) -> bool:
    places = (
        Path("/usr/share/postgresql") / binaries.parent.name / "extension",
        *binaries.parent.glob("share/**/extension"),
    )
    return any((place / f"{EXTENSION}.control").is_file() for place in places)


@contextmanager
def run_postgresql(binaries: Path, *databases: str) -> Iterator[Server]:
    """Run a server with empty databases; as root it runs as somebody else, for it refuses root."""
    folder = Path(tempfile.mkdtemp(prefix="perennial-pg-"))
    who = {}
    if os.geteuid() == 0:
        user = _somebody()
        os.chown(folder, user.pw_uid, user.pw_gid)
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    secret = folder / "secret"
    secret.write_text(PASSWORD)
    os.chown(secret, *(folder.stat().st_uid, folder.stat().st_gid))
    data, port = folder / "data", _free_port()
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "perennial", "-A", "scram-sha-256",
         f"--pwfile={secret}", "-E", "UTF8", "--no-sync"],
        check=True, capture_output=True, cwd=folder, **who,
    )  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-p", str(port), "-k", folder,
             "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"],
            stdout=log, stderr=log, cwd=folder, **who,
        )  # fmt: skip
    try:
        server = Server(port)
        _make_databases(server, process, folder / "log", databases)
        yield server
    finally:
        process.terminate()  # a fast end would wait for clients; an immediate one needs no more
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _somebody() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _make_databases(
    server: Server, process: subprocess.Popen[bytes], log: Path, databases: tuple[str, ...]
) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with psycopg.connect(
                server.url("", "postgres"), password=PASSWORD, autocommit=True
            ) as connection:
                for name in databases:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
                return
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
