"""The lines of a journal: a record as JSON, with the line's number and, at its end, a checksum of what precedes it."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any, get_args

from . import checked
from .foreign import harmless, is_harmless_key
from .records import Block, Entered, Left, Record, Unread

RENAMED = {"passage": "pass_number"}
"""Fields of records, by their names in earlier versions."""
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Record) if kind is not Unread}
_CHECKSUM = re.compile(rb',"crc":"([0-9a-f]{8})"\}$')
_FREQUENT: dict[bytes, Any] = {kind.__name__.encode(): kind for kind in (Block, Entered, Left)}
"""The records that most lines of a journal are. Their only text is the key of a cell."""
_PLAIN = re.compile(
    rb'\{"record":"(%s)",([ -\[\]-~]+),"line":([0-9]{1,15}),"crc":"([0-9a-f]{8})"\}' % b"|".join(_FREQUENT)
)
"""Such a line as `encode` writes it, of printable characters alone and without escapes."""
_AFTER_NUMBER = len(',"crc":"00000000"}')


def encode(record: Record, number: int) -> bytes:
    """Return a record as a line of a journal. Floats survive the round trip exactly."""
    fields = {name: getattr(record, name) for name in record.__slots__}  # all of plain data, which needs no copies
    values = {"record": type(record).__name__, **fields, "line": number}
    text = json.dumps(values, separators=(",", ":")).encode("ascii")
    return b'%s,"crc":"%08x"}\n' % (text[:-1], zlib.crc32(text))


def decode(line: bytes) -> tuple[int | None, Record]:
    """Return the number of a line without its newline, None in a line of an earlier version, and its record. Raises
    ValueError."""
    return _of_plain_line(line) or _of_any_line(line)


def _of_plain_line(line: bytes) -> tuple[int, Record] | None:
    """Return the number and the record of a frequent line as `encode` writes it, which is quicker to read; None for any
    other line, and for one that is not valid."""
    plain = _PLAIN.fullmatch(line)
    if not plain or zlib.crc32(b"}", zlib.crc32(line[:-_AFTER_NUMBER])) != int(plain[4], 16):
        return None
    try:
        record: Any = checked.record_of_json(_FREQUENT[plain[1]], b"{%s}" % plain[2])
    except ValueError:
        return None
    return (int(plain[3]), record) if is_harmless_key(record.cell) else None


def _of_any_line(line: bytes) -> tuple[int | None, Record]:
    checksum = _CHECKSUM.search(line)
    if checksum:
        line = line[: checksum.start()] + b"}"
        if zlib.crc32(line) != int(checksum[1], 16):
            raise ValueError("it was changed after it was written")
    try:
        values = harmless(json.loads(line), line.decode())
        kind = _KINDS[values.pop("record")]
        number = values.pop("line") if checksum else None
        for earlier in RENAMED.keys() & values:
            values[RENAMED[earlier]] = values.pop(earlier)
        return number, checked.record(kind, values)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is no record: {error!r}") from error
