"""Every limit of the expression language, with its unit.

An expression comes from an author and reads text that came from anywhere, so each dimension in which it
could grow has a bound: the source, its nesting, the texts and lists that it builds, and the work of its
loops.
"""

from __future__ import annotations

from typing import Final

EXPRESSION_CHARS_MAX: Final = 4096
"""Characters of one expression."""

NESTING_DEPTH_MAX: Final = 30
"""Brackets inside brackets; CEL itself stops at 32 levels of its syntax tree."""

TEMPLATE_CHARS_MAX: Final = 1024 * 1024
"""Characters of one text that holds expressions."""

TEMPLATE_EXPRESSIONS_MAX: Final = 256
"""Expressions inside one text."""

RESULT_CHARS_MAX: Final = 1024 * 1024
"""Characters of one result, and of any text built on the way to it."""

RESULT_ITEMS_MAX: Final = 100_000
"""Items of one result, counted through all its lists and maps, and of any list built on the way."""

RESULT_DEPTH_MAX: Final = 64
"""Lists and maps inside each other, in a result and in the text given to `json`."""

BUILT_CHARS_MAX: Final = 16 * 1024 * 1024
"""Characters that one evaluation may build in total, results that it throws away included."""

LOOP_CHARS_MAX: Final = 128 * 1024 * 1024
"""Characters that the loops of one evaluation may go through, counted again for each item."""

PIECE_ITEMS: Final = 100
"""Items of a list that CEL goes through at once."""

ITEM_CHARS: Final = 8
"""What an item of a list or map, a number or a truth value weighs when characters are counted."""

ITERATIONS_MAX: Final = 10_000
"""Rounds of all loops (`all`, `exists`, `exists_one`, `map`, `filter`) of one evaluation."""

GLOB_CHARS_MAX: Final = 1024
"""Characters of a `glob` pattern."""

INTEGER_MIN: Final = -(2**63)
"""The smallest whole number of CEL."""

INTEGER_MAX: Final = 2**63 - 1
"""The largest whole number of CEL."""

CACHED_EXPRESSIONS_MAX: Final = 4096
"""Compiled expressions, and as many texts, that are kept for the next time."""

CACHED_TEMPLATE_CHARS_MAX: Final = 4096
"""Characters of a text that is kept for the next time; a longer one is read again."""

CACHED_ENVIRONMENTS_MAX: Final = 512
"""Sets of declared names that are kept for the next expression that reads the same ones."""
