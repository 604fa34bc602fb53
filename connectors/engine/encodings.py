"""The encoding and the line endings of text files, and copies in UTF-8 of those that need one."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, cast

from connectors.engine.files import SourceError, is_gzip

BLOCK = 1 << 20  # bytes read at once
SAMPLE = 4096  # bytes that tell UTF-16 without a byte order mark
UTF_8 = "utf-8"
UTF_8_NAMES = (UTF_8, "utf-8-sig", "ascii")
CP1252 = "cp1252"
SHOWN = {CP1252: "Windows-1252", "utf-16-le": "UTF-16 (LE)", "utf-16-be": "UTF-16 (BE)"}
FULLY_DEFINED = {  # Windows-1252, and Latin-1 where it defines nothing
    code: bytes([code]).decode(CP1252, errors="ignore") or chr(code) for code in range(128, 160)
}


@dataclass(frozen=True)
class TextForm:
    """How a text file is written.

    Attributes
    ----------
    encoding
        Python's name of the encoding.
    has_mixed_endings
        Whether lines end in more than one way.
    is_detected
        Whether the encoding was detected, and not set.
    first_line
        First line that is not UTF-8; None = every line is, or the encoding is another altogether.
    """

    encoding: str = UTF_8
    has_mixed_endings: bool = False
    is_detected: bool = True
    first_line: int | None = None

    @property
    def needs_copy(self) -> bool:
        """Whether an engine that reads UTF-8 needs a copy."""
        return self.encoding != UTF_8 or self.has_mixed_endings

    def note(self, file: Path) -> str | None:
        """Return a line on a detected encoding that is not UTF-8."""
        if self.encoding == UTF_8 or not self.is_detected:
            return None
        where = "" if self.first_line is None else f" (first at line {self.first_line:,})"
        return (
            f"{file.name} is not UTF-8{where}: read as {SHOWN[self.encoding]}. If names look wrong, "
            "set orders.encoding"
        )


def detect_form(file: Path, encoding: str | None = None) -> TextForm:
    """Detect how a text file is written, in one pass over its bytes.

    Parameters
    ----------
    file
        The file, packed or not.
    encoding
        Its encoding, where it is set; a file in UTF-8 is still only validated.

    Raises
    ------
    SourceError
        A packed file is damaged or cut off, or a file is not in UTF-8 where that is set.
    """
    wide = _utf_16(file)
    if encoding is None and wide:
        return TextForm(wide)
    decoder = codecs.getincrementaldecoder(UTF_8)()
    endings: set[str] = set()
    position, first_bad = 0, None
    for block in _blocks(file):
        endings |= _endings(block)
        pending = len(decoder.getstate()[0])
        if first_bad is None and (pending or not block.isascii()):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                first_bad = position - pending + error.start
        position += len(block)
    if first_bad is None and decoder.getstate()[0]:
        first_bad = position - 1  # cut off inside a character
    is_mixed = len(endings) > 1
    if encoding is not None:
        name = codecs.lookup(encoding).name
        if name not in UTF_8_NAMES:
            return TextForm(name, is_mixed, is_detected=False)
        if first_bad is not None:
            raise SourceError(
                f"orders.source: {file} is not {encoding} (first at line {_line_at(file, first_bad):,}). "
                "Remove orders.encoding to detect the encoding"
            )
        return TextForm(UTF_8, is_mixed, is_detected=False)
    if first_bad is None:
        return TextForm(UTF_8, is_mixed)
    return TextForm(CP1252, is_mixed, first_line=_line_at(file, first_bad))


def copy_as_utf8(file: Path, form: TextForm, copy: Path) -> None:
    """Write a copy of a text file in UTF-8 whose lines end in one way."""
    with copy.open("w", encoding=UTF_8, newline="") as out:
        for text in read_text(file, form):
            out.write(text)


def read_text(file: Path, form: TextForm) -> Iterator[str]:
    r"""Yield a file's text in parts, without byte order mark, every line ended by ``\n``.

    Raises
    ------
    SourceError
        The file is not in the encoding that is set, or a packed file is damaged.
    """
    parts = _by_line(file) if form.encoding == CP1252 else _decoded(file, form.encoding)
    for i, text in enumerate(parts):
        yield text if i else text.removeprefix("\ufeff")


def _decoded(file: Path, encoding: str) -> Iterator[str]:
    with _opened(file) as stream:
        lines = TextIOWrapper(stream, encoding=encoding)
        position = 0
        try:
            while text := lines.read(BLOCK):
                position += text.count("\n")
                yield text
        except UnicodeError as error:
            raise SourceError(
                f"orders.source: {file} is not {encoding} (at or after line {position + 1:,}): {error}. Correct "
                "orders.encoding, or export the file as UTF-8"
            ) from error


def _by_line(file: Path) -> Iterator[str]:
    """Decode each line as UTF-8, else as Windows-1252."""
    rest = b""
    for block in _blocks(file):
        whole = rest + block
        end = (whole.rfind(b"\n") + 1) or (whole.rfind(b"\r") + 1)
        rest = whole[end:]
        if end:
            yield _lines(whole[:end])
    yield _lines(rest)


def _lines(block: bytes) -> str:
    """Decode whole lines; those without a fault are decoded together."""
    block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in block else block
    view, start, parts = memoryview(block), 0, []
    while start < len(block):
        try:
            parts.append(str(view[start:], UTF_8))
            break
        except UnicodeDecodeError as error:
            begin = block.rfind(b"\n", start, start + error.start) + 1 or start
            end = block.find(b"\n", start + error.start) + 1 or len(block)
        parts.append(str(view[start:begin], UTF_8))
        parts.append(str(view[begin:end], "latin-1").translate(FULLY_DEFINED))
        start = end
    return "".join(parts)


def _utf_16(file: Path) -> str | None:
    """Tell UTF-16 by its byte order mark, or by the zeros in texts of mostly Latin letters."""
    with _opened(file) as stream:
        start = stream.read(SAMPLE)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16-le" if start.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    first, second = start[::2].count(0), start[1::2].count(0)
    many = max(len(start) // 6, 1)
    if second > many and not first:
        return "utf-16-le"
    return "utf-16-be" if first > many and not second else None


def _endings(block: bytes) -> set[str]:
    """Return the kinds of line endings in a block that does not end inside one."""
    returns = block.count(b"\r") if b"\r" in block else 0
    if not returns:
        return {"\n"} if b"\n" in block else set()
    pairs = block.count(b"\r\n")
    kinds = {
        "\r\n": pairs > 0,
        "\r": returns > pairs,
        "\n": block.count(b"\n") > pairs,
    }
    return {kind for kind, is_there in kinds.items() if is_there}


def _line_at(file: Path, position: int) -> int:
    """Return the number of the line of a byte."""
    feeds = returns = 0
    for block in _blocks(file):
        before = block[:position]
        feeds, returns = feeds + before.count(b"\n"), returns + before.count(b"\r")
        position -= len(before)
        if not position:
            break
    return (feeds or returns) + 1


def _blocks(file: Path) -> Iterator[bytes]:
    r"""Yield a file's bytes; no block ends between ``\r`` and ``\n``."""
    with _opened(file) as stream:
        while block := stream.read(BLOCK):
            yield block + stream.read(1) if block.endswith(b"\r") else block


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if not is_gzip(file):
        with file.open("rb", buffering=0) as plain:
            yield cast("BinaryIO", plain)
        return
    try:
        with gzip.open(file) as packed:
            yield cast("BinaryIO", packed)
    except gzip.BadGzipFile as error:
        raise SourceError(
            f"orders.source: {file} is no gzip file, or is damaged: {error}. Compress it again"
        ) from error
    except (EOFError, zlib.error) as error:
        raise SourceError(
            f"orders.source: {file} is cut off or damaged: {error}. Copy or compress it again"
        ) from error
