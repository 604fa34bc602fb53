"""What a command costs before it does anything: ``python -m benchmarks.fixed_costs``.

The median of five starts of the command and of imports; then a flow of ten empty steps, in process and through a temporary server, on an empty and on a made
database; seconds since the process started.
"""

import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

TEN_STEPS = textwrap.dedent(
    """
    import sys, time
    started = time.perf_counter()
    from pathlib import Path
    from perennial.cli.main import QUIET_BY_DEFAULT
    import os; os.environ.update(QUIET_BY_DEFAULT)
    from perennial.cli.runner import choose_runner
    from perennial.pipeline.runtime.steps import flow, step

    @step
    def nothing(number):
        return number

    @flow
    def ten(as_of):
        return sum(nothing(n) for n in range(10))

    marks = {}
    with choose_runner(Path(sys.argv[1]), prefect=sys.argv[2] == "prefect") as runner:
        if runner._server is not None:
            runner._server.wait()
            marks["server answers"] = time.perf_counter() - started
        import_started = time.perf_counter()
        if sys.argv[2] == "prefect":
            os.environ["PREFECT_API_URL"] = runner._server.api_url
            import prefect
        marks["import prefect"] = time.perf_counter() - import_started
        run_started = time.perf_counter()
        runner.run(ten, as_of="today")
        marks["flow of ten steps"] = time.perf_counter() - run_started
        stop_started = time.perf_counter()
    marks["server stops"] = time.perf_counter() - stop_started
    marks["in all"] = time.perf_counter() - started
    print(", ".join(f"{name} {seconds:.2f} s" for name, seconds in marks.items()))
    """
)


EVERY_MODULE = textwrap.dedent(
    """
    import importlib, pkgutil, sys
    for name in ("features", "models", "segments"):
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, name + "."):
            importlib.import_module(module.name)
    assert not {"mlflow", "prefect", "lifetimes"} & set(sys.modules)
    """
)
STARTS = {
    "perennial --help": ["-m", "perennial.cli.main", "--help"],
    "import every module of features, models and segments": ["-c", EVERY_MODULE],
    "import prefect": ["-c", "import prefect"],
    "import mlflow": ["-c", "import mlflow"],
}


def started(arguments: list[str]) -> float:
    """Return the median seconds of five starts."""
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def main() -> None:
    """Print one line per start, and one per way to run."""
    for what, arguments in STARTS.items():
        print(f"{what}: {started(arguments):.2f} s")
    with tempfile.TemporaryDirectory() as home:
        for label, way in (
            ("in process", "plain"),
            ("temporary server, empty database", "prefect"),
            ("temporary server, made database", "prefect"),
        ):
            done = subprocess.run(
                [sys.executable, "-c", TEN_STEPS, str(Path(home)), way],
                capture_output=True,
                text=True,
                check=True,
            )
            print(f"{label}: {done.stdout.strip()}")


if __name__ == "__main__":
    main()
