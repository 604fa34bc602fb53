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
JSON_EDGES = (
    "connectors/klaviyo/",
    "connectors/live/",
    "connectors/engine/",
    "perennial/simulation/records.py",
)
PRIVATE_WORDS = {"found", "said", "told", "known", "chosen"}  # participles in place of a noun
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
    private_words: int

    def lines(self) -> Iterator[str]:
        """Yield a line per count."""
        for one in fields(self):
            yield f"{one.name:16} {getattr(self, one.name):5}"


def count(root: Path = ROOT) -> Counts:
    """Count over the packages of a checkout."""
    modules = {path: ast.parse(path.read_text()) for path in _modules(root)}
    flow_modules = [path for path in modules if path.is_relative_to(root / "flows")]
    return Counts(
        takes_settings=len(list(settings_takers(root))),
        opens_tracking=sum(_is_call(node, "open_tracking") for node in _nodes(modules)),
        untyped_records=sum(_untyped_lines(path, root) for path in modules),
        flow_modules=len(flow_modules),
        flow_lines=sum(len(path.read_text().splitlines()) for path in flow_modules),
        config_places=len(places_of("config", "score", modules, root)),
        private_words=sum(_binds_private_word(node) for node in _nodes(modules)),
    )


def settings_takers(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Yield the file and the name of every function that takes the whole settings."""
    for path in _modules(root):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and _takes_settings(node):
                yield path.relative_to(root).as_posix(), node.name


def places_of(
    parameter: str, function: str, modules: dict[Path, ast.Module], root: Path = ROOT
) -> set[tuple[str, str]]:
    """Return the functions and parameters that a flow's parameter reaches, itself included.

    A value reaches a parameter where it, or what was made from it by a call of our own, is handed over whole:
    the settings that were read from a path, a context or an object that holds them. Any other attribute is a
    part, and ends the way.
    """
    names = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): tree
        for path, tree in modules.items()
    }
    definitions = {module: _definitions(tree) for module, tree in names.items()}
    imported = {module: _imports(tree) for module, tree in names.items()}
    todo = [
        (module, function, node, parameter)
        for module, defined in definitions.items()
        if isinstance(node := defined.get(function), ast.FunctionDef)
        and parameter in _parameters(node)
    ]
    reached: set[tuple[str, str]] = set()
    while todo:
        module, name, node, value = todo.pop()
        if (f"{module}.{name}", value) in reached:
            continue
        reached.add((f"{module}.{name}", value))
        for call, position, keyword in _handed_over(node, value):
            for where, called in _resolve(call, module, definitions, imported):
                target = definitions[where][called]
                if isinstance(target, ast.ClassDef):  # its methods have what it holds
                    reached.add((f"{where}.{called}", keyword or str(position)))
                    todo += [
                        (where, method, one, "self")
                        for method, one in definitions[where].items()
                        if method.startswith(f"{called}.") and isinstance(one, ast.FunctionDef)
                    ]
                    continue
                parameters = _parameters(target)
                if parameters[:1] in (["self"], ["cls"]):
                    parameters = parameters[1:]
                if keyword in parameters:
                    todo.append((where, called, target, str(keyword)))
                elif keyword is None and position < len(parameters):
                    todo.append((where, called, target, parameters[position]))
    return reached


Definition = ast.FunctionDef | ast.ClassDef


def _definitions(tree: ast.Module) -> dict[str, Definition]:
    """Return what a module defines, methods as ``Class.method``."""
    definitions: dict[str, Definition] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            definitions[node.name] = node
        if isinstance(node, ast.ClassDef):
            methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
            definitions |= {f"{node.name}.{one.name}": one for one in methods}
    return definitions


def _imports(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """Return what each name that a module imports stands for: a module, and a name in it."""
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names
    }


def _resolve(
    call: ast.Call,
    module: str,
    definitions: dict[str, dict[str, Definition]],
    imported: dict[str, dict[str, tuple[str, str]]],
) -> Iterator[tuple[str, str]]:
    """Yield the function, class or class method of our own that a call names."""
    name = ast.unparse(call.func)
    first, _, rest = name.partition(".")
    where, first = imported[module].get(first, (module, first))
    for package, called in (
        (where, f"{first}.{rest}" if rest else first),
        (f"{where}.{first}", rest),
    ):
        for _ in range(3):  # a package hands on what its modules define
            if called in definitions.get(package, {}):
                yield package, called
                return
            start, _, more = called.partition(".")
            package, start = imported.get(package, {}).get(start, (package, start))
            called = f"{start}.{more}" if more else start


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
    is_holder = any(word in called for word in ("settings", "context", "open_run"))
    return is_holder and any(_is_one_of(one, carriers) for one in _arguments(value))


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(k.value for k in call.keywords)]


def _is_one_of(node: ast.expr, names: set[str]) -> bool:
    """Tell whether an expression is one of some names, or the settings that one of them holds."""
    if isinstance(node, ast.Attribute) and node.attr == "settings":
        return _is_one_of(node.value, names)
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


def _parameters(node: ast.FunctionDef) -> list[str]:
    arguments = node.args
    return [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def _takes_settings(node: ast.FunctionDef) -> bool:
    arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    named = [ast.unparse(one.annotation) for one in arguments if one.annotation is not None]
    return any(name.strip("\"'") in ("Settings", "Settings | None") for name in named)


def _is_call(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and _called(node) == name


def _binds_private_word(node: ast.AST) -> bool:
    """Tell whether a node binds a variable, a parameter or an attribute to one of the words."""
    if isinstance(node, ast.arg):
        return node.arg in PRIVATE_WORDS
    if isinstance(node, ast.Name):
        return isinstance(node.ctx, ast.Store) and node.id in PRIVATE_WORDS
    if isinstance(node, ast.Attribute):
        return isinstance(node.ctx, ast.Store) and node.attr in PRIVATE_WORDS
    return False


def _untyped_lines(path: Path, root: Path) -> int:
    if path.relative_to(root).as_posix().startswith(JSON_EDGES):
        return 0
    return sum(UNTYPED.search(line) is not None for line in path.read_text().splitlines())


if __name__ == "__main__":
    sys.stdout.write("\n".join(count(Path(sys.argv[1]) if sys.argv[1:] else ROOT).lines()) + "\n")
