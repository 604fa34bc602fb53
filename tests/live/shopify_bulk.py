"""Bulk operations: what Shopify refuses, how they go on, and the file that they leave."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import graphql

from tests.live.shopify_schema import Access, admin_schema

MOST_CONNECTIONS, DEEPEST = 5, 2
LIVES = timedelta(days=7)
ENDS_WITHIN = timedelta(days=10)
RUNNING = frozenset(["CREATED", "RUNNING", "CANCELING"])
OUTCOMES = {
    "completed": "all orders of the query",
    "failed": "FAILED, INTERNAL_SERVER_ERROR, with partial data some time later that end mid-order",
    "timeout": "FAILED, TIMEOUT, with partial data some time later that end mid-order",
    "failed_bare": "FAILED, INTERNAL_SERVER_ERROR, without any data",
    "stuck": "RUNNING until it is EXPIRED after ten days",
}


@dataclass
class Bulk:
    """A bulk operation: `starts` and `ends` are moments; its file is written when it starts."""

    id: int
    query: str
    access: Access
    created_at: datetime
    starts: datetime
    ends: datetime
    outcome: str = "completed"
    error_code: str | None = None
    is_done: bool = False
    file: bytes | Path = b""
    partial: bytes = b""
    objects: int = 0
    roots: int = 0
    canceled_at: datetime | None = None


@dataclass(frozen=True)
class BulkState:
    """What a poll shows."""

    status: str
    error_code: str | None = None
    completed_at: datetime | None = None
    objects: int = 0
    roots: int = 0
    file_size: str | None = None
    url: str | None = None
    partial_url: str | None = None


def is_connection(type_: graphql.GraphQLNamedType) -> bool:
    return type_.name.endswith("Connection")


@dataclass
class _Shape(graphql.Visitor):
    """Counts the connections of a query, and where they stand."""

    info: graphql.TypeInfo
    connections: int = 0
    deepest: int = 0
    in_list: bool = False
    without_id: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)  # what encloses: "connection", "list", ""

    def __post_init__(self) -> None:
        super().__init__()

    def enter_field(self, node: graphql.FieldNode, *_: Any) -> None:
        type_ = self.info.get_type()
        named = graphql.get_named_type(type_)
        kind = ""
        if named is not None and is_connection(named):
            kind = "connection"
            self.connections += 1
            self.in_list = self.in_list or "list" in self._open
            self.deepest = max(self.deepest, self._open.count("connection") + 1)
        elif _is_list(type_) and node.name.value not in {"edges", "nodes"}:
            kind = "list"
        self._open.append(kind)

    def leave_field(self, *_: Any) -> None:
        self._open.pop()


def _is_list(type_: Any) -> bool:
    return isinstance(graphql.get_nullable_type(type_), graphql.GraphQLList)


def refusal(query: str) -> str | None:
    """Return why Shopify does not run a query in bulk; None where it does.

    Depth counts the outermost connection, so two are allowed: the stricter way to read the limit.
    """
    try:
        document = graphql.parse(query)
    except graphql.GraphQLSyntaxError as error:
        return f"Invalid bulk query: {error.message}"
    errors = graphql.validate(admin_schema(), document)
    if errors:
        return f"Invalid bulk query: {errors[0].message}"
    operations = [
        d for d in document.definitions if isinstance(d, graphql.OperationDefinitionNode)
    ]
    if len(operations) != 1 or operations[0].operation is not graphql.OperationType.QUERY:
        return "Invalid bulk query: it must be one query"
    if operations[0].variable_definitions:
        return "Invalid bulk query: variables are not supported"
    if len(operations[0].selection_set.selections) != 1:
        return "Bulk queries cannot have more than one top-level field."
    info = graphql.TypeInfo(admin_schema())
    shape = _Shape(info)
    graphql.visit(_inlined(document), graphql.TypeInfoVisitor(info, shape))
    if shape.connections == 0:
        return "Bulk queries must contain at least one connection."
    if shape.in_list:
        return "Queries that contain a connection field within a list field are not currently supported."
    if shape.connections > MOST_CONNECTIONS:
        return f"Bulk queries cannot contain more than {MOST_CONNECTIONS} connections."
    if shape.deepest > DEEPEST:
        return (
            f"Bulk queries cannot contain connections with a nesting depth greater than {DEEPEST}."
        )
    if not _nodes_have_ids(_inlined(document)):
        return (
            "The parent 'node' field for a nested connection must select the 'id' field without an "
            "alias and must be of 'ID' return type."
        )
    return None


class _Inline(graphql.Visitor):
    def __init__(self, fragments: dict[str, graphql.FragmentDefinitionNode]) -> None:
        super().__init__()
        self.fragments = fragments

    def enter_fragment_spread(
        self, node: graphql.FragmentSpreadNode, *_: Any
    ) -> graphql.InlineFragmentNode:
        fragment = self.fragments[node.name.value]
        return graphql.InlineFragmentNode(
            type_condition=fragment.type_condition,
            directives=(),
            selection_set=graphql.visit(fragment.selection_set, self),
        )


def _inlined(document: graphql.DocumentNode) -> graphql.DocumentNode:
    """Return the query with its fragments in place."""
    fragments = {
        d.name.value: d
        for d in document.definitions
        if isinstance(d, graphql.FragmentDefinitionNode)
    }
    kept = [d for d in document.definitions if not isinstance(d, graphql.FragmentDefinitionNode)]
    inlined: graphql.DocumentNode = graphql.visit(
        graphql.DocumentNode(definitions=tuple(kept)), _Inline(fragments)
    )
    return inlined


def _nodes_have_ids(document: graphql.DocumentNode) -> bool:
    """Whether each node around a nested connection selects its id."""

    def fields(selection: Any) -> Iterator[graphql.FieldNode]:
        for each in selection.selections if selection else ():
            if isinstance(each, graphql.FieldNode):
                yield each
            else:
                yield from fields(each.selection_set)

    def is_right(selection: Any, *, inside: bool) -> bool:
        here = list(fields(selection))
        nested = any(
            {f.name.value for f in fields(each.selection_set)} & {"edges", "nodes"}
            for each in here
        )
        has_id = any(f.name.value == "id" and f.alias is None for f in here)
        if inside and nested and not has_id:
            return False
        return all(
            is_right(each.selection_set, inside=each.name.value in {"node", "nodes"})
            for each in here
        )

    root = document.definitions[0]
    return is_right(root.selection_set, inside=False)  # type: ignore[attr-defined]


def write_json(node: dict[str, Any]) -> str:
    return json.dumps(node, ensure_ascii=False, separators=(",", ":"))


def flatten(data: dict[str, Any], parent: str | None = None) -> Iterator[tuple[str, str | None]]:
    """Yield the JSON text of each node with its parent's id: parents first, then their children."""
    connections: list[dict[str, Any]] = []
    _without_connections(data, connections)
    for connection in connections:
        for node in _nodes(connection):
            nested: list[dict[str, Any]] = []
            own = _without_connections(node, nested)
            if parent is not None:
                own["__parentId"] = parent
            yield write_json(own), parent
            for each in nested:
                yield from flatten({"": each}, node["id"])


def _nodes(connection: dict[str, Any]) -> list[dict[str, Any]]:
    if "edges" in connection:
        return [edge["node"] for edge in connection["edges"]]
    return list(connection["nodes"])


def _without_connections(value: Any, connections: list[dict[str, Any]]) -> Any:
    """Return an object without the connections in it, which are added to a list."""
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, inner in value.items():
        if isinstance(inner, dict) and {"edges", "nodes"} & inner.keys():
            connections.append(inner)
        else:
            kept[name] = _without_connections(inner, connections)
    return kept


def shuffled(rows: list[tuple[str, str | None]], rng: random.Random) -> list[str]:
    """Return the lines with each child somewhere after its parent, not next to it."""
    size, start = len(rows), 0.0
    keys = []
    for place, (_, parent) in enumerate(rows):
        if parent is None:
            start = float(place)
            keys.append(start)
        else:  # of the same root: after it, and before the end
            keys.append(start + 0.5 + rng.random() * (size - start))
    return [rows[i][0] for i in sorted(range(size), key=keys.__getitem__)]


def cut_in_order(text: bytes) -> bytes:
    """Return the first part of a file, which ends in the middle of a line."""
    lines = text.splitlines(keepends=True)
    kept = lines[: max(1, len(lines) * 3 // 5)]
    return b"".join(kept)[: -max(2, len(kept[-1]) // 2)]
