"""What text is written to, a terminal or a file: how wide it is, and whether it has colour and every character."""

from __future__ import annotations

import io
import re
import textwrap
from dataclasses import dataclass

from rich.box import Box
from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from .characters import encodable

ANY_WIDTH = 10_000
"""Columns of an output without a width of its own."""
LEAST_WIDTH = 30
"""Columns below which lines are not broken more narrowly."""
RULED = Box("    \n    \n -- \n" + 5 * "    \n", ascii=True)
"""A table of which only the header is ruled off."""
_BEFORE_UNIT = re.compile(r"(?<=[\d±]) (?=[%\dsmµn])")
"""The blank in `± 2 %` and `3 ms`, at which a line is not broken."""


@dataclass(frozen=True)
class Screen:
    """An output for text: by default one without a width, as a file is, with every character and no colour."""

    width: int | None = None
    """Columns; None where lines may have any length."""
    has_colour: bool = False
    encoding: str = "utf-8"

    def line(self, words: str, style: str = "") -> str:
        """Return a line that is not broken, like a command or a path to be copied, in a style, like `green`."""
        words = encodable(words, self.encoding)
        if not style or not self.has_colour:
            return words
        return Style.parse(style).render(words, color_system=ColorSystem.STANDARD)

    def sentence(self, words: str, style: str = "") -> str:
        """Return a sentence, broken between words where it is wider than the screen."""
        words = encodable(words, self.encoding)
        if not self.width or len(words) <= self.width:
            return self.line(words, style)
        lines = textwrap.wrap(
            _BEFORE_UNIT.sub("\u00a0", words),
            max(self.width, LEAST_WIDTH),
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        return "\n".join(self.line(line.replace("\u00a0", " "), style) for line in lines)

    def cell(self, words: str, style: str = "") -> Text:
        """Return the words of a table's cell in a style."""
        return Text.assemble((encodable(words, self.encoding), style))  # a style of all would colour the blanks too

    def table(self) -> Table:
        """Return an empty table."""
        return Table(box=RULED, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="")

    def fits(self, table: Table) -> bool:
        """Tell whether a table is as wide as the screen at most, without folding any of its cells."""
        return self.width is None or self._console(ANY_WIDTH).measure(table).maximum <= self.width

    def drawn(self, table: Table) -> str:
        """Return a table as lines. Cells that may be folded are, where it is wider than the screen."""
        least = self._console(ANY_WIDTH).measure(table).minimum if self.width else ANY_WIDTH
        console = self._console(max(least, self.width or 0))
        console.print(table)
        assert isinstance(console.file, io.StringIO)
        return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())

    def _console(self, width: int) -> Console:
        return Console(
            file=io.StringIO(),
            width=width,
            color_system="standard" if self.has_colour else None,
            force_terminal=self.has_colour,
            no_color=not self.has_colour,
            markup=False,
            highlight=False,
            emoji=False,
            legacy_windows=False,
        )


PLAIN = Screen()
"""A file, or a pipe."""
