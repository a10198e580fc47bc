"""Text of a board or a user that is shown moves no cursor and forges no line."""

import pytest

from starlab_spec.foreign_text import LONGEST, shown_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("EMU-1 \u00b5S \u4e2d", "EMU-1 \u00b5S \u4e2d"),
        ("", ""),
        ("\x1b[2J\r\n", r"\x1b[2J\r\n"),
        ("a\tb\x00\x7f\x9b", r"a\tb\x00\x7f\x9b"),
        ("\u202eabc\u2066\u200f", r"\u202eabc\u2066\u200f"),
        ("\u2028\u2029\ud800", r"\u2028\u2029\ud800"),
    ],
)
def test_what_is_not_printable_is_written_as_an_escape(text: str, shown: str) -> None:
    assert shown_text(text) == shown


def test_a_text_is_cut_where_it_is_too_long_after_it_was_escaped() -> None:
    assert shown_text("a" * LONGEST) == "a" * LONGEST
    assert shown_text("a" * (LONGEST + 1)) == "a" * (LONGEST - 1) + "\u2026"
    assert shown_text("\x1b" * 4, 16) == r"\x1b" * 4
    assert shown_text("\x1b" * 4, 15) == (r"\x1b" * 4)[:14] + "\u2026"
