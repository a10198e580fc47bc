"""What a server or a board says does nothing to the terminal, and is no markup."""

import io

import pytest
from rich.table import Table

from starlab.cli.terminal import SafeConsole, Terminal

NASTY = "\x1b[2J\x1b]0;mine\x07\u202e[bold]x[/y] [link=http://a]b[/link]"


def shown(what: str | Table) -> str:
    stream = io.StringIO()
    SafeConsole(file=stream, markup=False, width=200, force_terminal=False).print(what)
    return stream.getvalue()


def listing() -> Table:
    found = Table(title=NASTY)
    found.add_column(NASTY)
    found.add_row(NASTY)
    return found


@pytest.mark.parametrize("what", [NASTY, listing()])
def test_control_characters_and_markup_are_shown_as_they_came(what: str | Table) -> None:
    found = shown(what)
    assert found.replace("\n", "").isprintable()
    assert "\\x1b[2J" in found
    assert "\\u202e[bold]x[/y] [link=http://a]b[/link]" in found


@pytest.mark.parametrize("columns", ["40", "200"])
def test_a_terminal_says_and_notes_nothing_that_moves_the_cursor(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    terminal = Terminal(as_json=False)
    terminal.say(NASTY)
    terminal.say(listing())
    terminal.note(NASTY)
    with terminal.stages(NASTY) as stage:
        stage(NASTY)
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert "\x1b" not in text
        assert text.replace("\n", "").isprintable()
