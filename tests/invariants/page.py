"""The figures of a page, read back from its HTML."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes
    ----------
    tiles
        Text of each headline figure by its label.
    rows
        Rows of the tables by section: of each cell the first text.
    """

    tiles: dict[str, str]
    rows: dict[str, list[list[str]]]

    @classmethod
    def of(cls, html: str) -> "Page":
        """Read a page."""
        reader = _Reader()
        reader.feed(html)
        tiles = {texts[0]: texts[1] for texts in reader.tiles}
        return cls(tiles, {name: rows for name, rows in reader.rows.items() if rows})

    def cells(self, section: str, first: str) -> list[str]:
        """Return the cells after the first of the only row that begins with a text; none if there is none."""
        actual = [row[1:] for row in self.rows.get(section, []) if row[0] == first]
        return actual[0] if len(actual) == 1 else []


@dataclass
class _Reader(HTMLParser):
    tiles: list[list[str]] = field(default_factory=list)
    rows: dict[str, list[list[str]]] = field(default_factory=dict)
    _section: str = ""
    _in_tiles: bool = False
    _target: list[str] | None = None
    _cell: list[str] | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "h2" and given.get("id"):
            self._section = str(given["id"])
        elif tag == "ul":
            self._in_tiles = given.get("class") == "tiles"
        elif tag == "li" and self._in_tiles:
            self.tiles.append([])
            self._target = self.tiles[-1]
        elif tag == "tr":
            self.rows.setdefault(self._section, []).append([])
        elif tag in ("td", "th"):
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag == "ul":
            self._in_tiles = False
        elif tag == "li":
            self._target = None
        elif tag in ("td", "th") and self._cell is not None:
            self.rows[self._section][-1].append(next(iter(self._cell), ""))
            self._cell = None

    def handle_data(self, data: str) -> None:
        text = data.strip()
        for texts in (self._target, self._cell):
            if text and texts is not None:
                texts.append(text)
