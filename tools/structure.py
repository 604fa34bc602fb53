"""Count what makes the code hard to take over, so that it does not grow.

``python -m tools.structure`` prints the counts; ``tests/test_structure.py`` holds their limits.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("connectors", "features", "models", "segments", "reports", "flows", "perennial")
# where JSON of others comes in or goes out, so that its form is not ours to type
JSON_EDGES = ("connectors/klaviyo/", "connectors/engine/", "perennial/simulation/records.py")
UNTYPED = re.compile(r"\bdict\[str, Any\]|\bMapping\[str, Any\]")


@dataclass(frozen=True)
class Counts:
    """What is counted, over all packages."""

    takes_settings: int
    opens_tracking: int
    untyped_records: int
    flow_modules: int
    flow_lines: int
    config_places: int

    def lines(self) -> Iterator[str]:
        """Yield a line per count."""
        for one in fields(self):
            yield f"{one.name:16} {getattr(self, one.name):5}"


def count(root: Path = ROOT) -> Counts:
    """Count over the packages of a checkout."""
    modules = {path: ast.parse(path.read_text()) for path in _modules(root)}
    flow_modules = [path for path in modules if path.is_relative_to(root / "flows")]
    return Counts(
        takes_settings=sum(_takes_settings(node) for node in _functions(modules)),
        opens_tracking=sum(_is_call(node, "open_tracking") for node in _nodes(modules)),
        untyped_records=sum(_untyped_lines(path, root) for path in modules),
        flow_modules=len(flow_modules),
        flow_lines=sum(len(path.read_text().splitlines()) for path in flow_modules),
        config_places=len(places_of("config", "score", modules)),
    )


def places_of(
    parameter: str, function: str, modules: dict[Path, ast.Module]
) -> set[tuple[str, str]]:
    """Return the functions and parameters that a flow's parameter reaches, itself included.

    A value reaches a parameter where it, or what was made from it by a call of our own, is handed over whole:
    the settings that were read from a path, a context that holds them. An attribute of it is a part, and ends
    the way.
    """
    by_name: dict[str, list[ast.FunctionDef]] = {}
    for node in _functions(modules):
        by_name.setdefault(node.name, []).append(node)
    classes = {n.name: n for n in _nodes(modules) if isinstance(n, ast.ClassDef)}
    reached: set[tuple[str, str]] = set()
    todo = [
        (node, parameter) for node in by_name.get(function, []) if parameter in _parameters(node)
    ]
    while todo:
        node, name = todo.pop()
        place = (node.name, name)
        if place in reached:
            continue
        reached.add(place)
        for call, position, keyword in _handed_over(node, name):
            called = _called(call)
            if called in classes:
                reached.add((called, keyword or str(position)))
                continue
            for target in by_name.get(called, []):
                parameters = _parameters(target)
                if isinstance(call.func, ast.Attribute) and parameters[:1] in (["self"], ["cls"]):
                    parameters = parameters[1:]
                if keyword is not None:
                    if keyword in parameters:
                        todo.append((target, keyword))
                elif position < len(parameters):
                    todo.append((target, parameters[position]))
    return reached


def _handed_over(node: ast.FunctionDef, name: str) -> Iterator[tuple[ast.Call, int, str | None]]:
    """Yield the calls that get a value or what was made from it, with the argument's place."""
    carriers = {name}
    for _ in range(3):  # a value is made from one that is made from it
        for part in ast.walk(node):
            for target, value in _bindings(part):
                if isinstance(target, ast.Name) and _carries(value, carriers):
                    carriers.add(target.id)
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            for position, argument in enumerate(part.args):
                if _is_one_of(argument, carriers):
                    yield part, position, None
            for keyword in part.keywords:
                if keyword.arg is not None and _is_one_of(keyword.value, carriers):
                    yield part, -1, keyword.arg


def _bindings(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield what is bound to what by an assignment or a ``with``."""
    if isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield node.optional_vars, node.context_expr
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                yield from zip(target.elts, node.value.elts, strict=True)
            else:
                yield target, node.value


def _carries(value: ast.expr, carriers: set[str]) -> bool:
    """Tell whether a value is one that a carrier is in: another name, settings that were read, a context."""
    if not isinstance(value, ast.Call):
        return _is_one_of(value, carriers)
    called = _called(value).lower()
    is_holder = "settings" in called or "context" in called
    return is_holder and any(_is_one_of(one, carriers) for one in _arguments(value))


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(k.value for k in call.keywords)]


def _is_one_of(node: ast.expr, names: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def _called(call: ast.Call) -> str:
    func = call.func
    return (
        func.attr
        if isinstance(func, ast.Attribute)
        else func.id
        if isinstance(func, ast.Name)
        else ""
    )


def _modules(root: Path) -> list[Path]:
    return sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))


def _nodes(modules: dict[Path, ast.Module]) -> Iterator[ast.AST]:
    for tree in modules.values():
        yield from ast.walk(tree)


def _functions(modules: dict[Path, ast.Module]) -> Iterator[ast.FunctionDef]:
    return (node for node in _nodes(modules) if isinstance(node, ast.FunctionDef))


def _parameters(node: ast.FunctionDef) -> list[str]:
    arguments = node.args
    return [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def _takes_settings(node: ast.FunctionDef) -> bool:
    arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    named = [ast.unparse(one.annotation) for one in arguments if one.annotation is not None]
    return any(name.strip("\"'") in ("Settings", "Settings | None") for name in named)


def _is_call(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and _called(node) == name


def _untyped_lines(path: Path, root: Path) -> int:
    if path.relative_to(root).as_posix().startswith(JSON_EDGES):
        return 0
    return sum(UNTYPED.search(line) is not None for line in path.read_text().splitlines())


if __name__ == "__main__":
    sys.stdout.write("\n".join(count(Path(sys.argv[1]) if sys.argv[1:] else ROOT).lines()) + "\n")
