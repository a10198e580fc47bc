"""Nobody whose text is quoted in the log can forge a line of it."""

import io
import logging

from starlab_api.repeats import CountingHandler, OneLine


def logged(*records: logging.LogRecord) -> str:
    stream = io.StringIO()
    handler = CountingHandler(stream, lambda: 0.0)
    handler.setFormatter(OneLine("%(levelname)s %(name)s: %(message)s"))
    for record in records:
        handler.handle(record)
    handler.close()
    return stream.getvalue()


def record(*values: object, error: BaseException | None = None) -> logging.LogRecord:
    told = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("lab", logging.WARNING, "here", 1, "%s said %s", values, told)


def test_a_message_is_one_line_whatever_it_quotes() -> None:
    found = logged(record("\x1b[2J", "\r\nERROR lab: forged \u202e"))
    assert found == "WARNING lab: \\x1b[2J said \\r\\nERROR lab: forged \\u202e\n"


def test_repeats_that_are_counted_are_told_in_one_line_each() -> None:
    found = logged(*[record("\x1b[2J", "\x07")] * 5)
    assert found.count("\n") == 4
    assert found.replace("\n", "").isprintable()
    assert "2 more" in found


def test_a_traceback_keeps_its_lines_and_nothing_else_that_is_not_printable() -> None:
    found = logged(record("a", "b", error=ValueError("\x1b[2J")))
    assert found.splitlines()[-1] == "ValueError: \\x1b[2J"
    assert found.replace("\n", "").isprintable()


def test_a_message_is_not_endless() -> None:
    assert len(logged(record("x" * 100_000, ""))) < 5000
