"""Audit the product's forecasts on independent stores: ``python -m tests.independent.audit``.

Prints the tables, writes them as a section of a page, and exits with 1 where a bound is not met. Results
are kept by store and seed under ``--cache``; they do not know when the product changes: name the stores
to run again under ``--again``, or another folder.
"""

import argparse
import json
import multiprocessing
import sys
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from tests.independent.bounds import Result, Results, bounds_of
from tests.independent.generator import StoreSpec, simulate
from tests.independent.measures import measure
from tests.independent.page import SECTIONS, section_text, write_section
from tests.independent.product import predict_store
from tests.independent.stores import STORES, default_seeds


def audit_store(spec: StoreSpec) -> Result:
    """Simulate a store, forecast it, and compare."""
    begin = time.monotonic()
    store = simulate(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that the product imports
        result = measure(store, predict_store(store))
    seconds = time.monotonic() - begin
    return {"spec": repr(spec), "seed": spec.seed, "seconds": seconds, **result}


def audit(
    specs: Sequence[StoreSpec], cache: Path | None, again: Sequence[str], jobs: int
) -> Results:
    """Audit every store, in processes of their own.

    Parameters
    ----------
    specs
        The stores, with their seeds.
    cache
        Folder of earlier results; None = none is kept.
    again
        Names of stores whose earlier results are not used.
    jobs
        Stores at a time.
    """
    results: dict[StoreSpec, Result] = {}
    for spec in specs:
        earlier = None if spec.name in again else _earlier(cache, spec)
        if earlier is not None:
            results[spec] = earlier
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn) as pool:
        at_work = {pool.submit(audit_store, s): s for s in specs if s not in results}
        for done in as_completed(at_work):
            spec = at_work[done]
            results[spec] = done.result()
            _keep(cache, spec, results[spec])
            seconds = results[spec]["seconds"]
            sys.stderr.write(f"{spec.name}, seed {spec.seed}: {seconds:.0f} s\n")
    by_store: dict[str, list[Result]] = {}
    for spec in specs:
        by_store.setdefault(spec.name, []).append(results[spec])
    return Results(by_store)


def _file(cache: Path, spec: StoreSpec) -> Path:
    return cache / f"{spec.name}-{spec.seed}.json"


def _earlier(cache: Path | None, spec: StoreSpec) -> Result | None:
    """Return the result of an earlier audit of the same store."""
    if cache is None or not _file(cache, spec).exists():
        return None
    result: Result = json.loads(_file(cache, spec).read_text())
    return result if result["spec"] == repr(spec) else None


def _keep(cache: Path | None, spec: StoreSpec, result: Result) -> None:
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
        _file(cache, spec).write_text(json.dumps(result, indent=1) + "\n")


def _list(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def main() -> int:
    """Run the audit that the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.independent.audit")
    parser.add_argument("--stores", type=_list, default=list(STORES), help="names, by commas")
    parser.add_argument(
        "--seeds",
        type=_list,
        help="numbers, by commas, for all stores; default: those of each store",
    )
    parser.add_argument("--out", type=Path, help="page to write the section to")
    parser.add_argument("--section", choices=SECTIONS, default="after")
    parser.add_argument("--cache", type=Path, help="folder of results by store and seed")
    parser.add_argument("--again", type=_list, default=[], help="stores to run again")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    if unknown := [name for name in asked.stores if name not in STORES]:
        parser.error(f"no store named {', '.join(unknown)}. Choose from {', '.join(STORES)}")
    specs = [
        replace(STORES[name], seed=int(seed))
        for name in asked.stores
        for seed in asked.seeds or default_seeds(name)
    ]
    results = audit(specs, asked.cache, asked.again, asked.jobs)
    text = section_text(results)
    sys.stdout.write(text)
    if asked.out is not None:
        write_section(asked.out, asked.section, text)
    failed = [bound for bound in bounds_of(results) if not bound.is_met]
    for bound in failed:
        sys.stderr.write(f"not met: {bound.name}: {bound.figure:.4g}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
