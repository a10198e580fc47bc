"""How text of somebody else is shown, a board's or a user's: it moves no cursor and forges no line.

Reads and changes no text of ours.
"""

from typing import Final

LONGEST: Final = 1000
"""Characters of a text that are shown by default."""


def shown_text(text: str, most: int = LONGEST) -> str:
    """A text with all that is not printable written as an escape, and cut where it is too long.

    Not printable are line breaks and other control characters, marks that turn the direction of
    writing, surrogates without a partner, and all spaces but the usual one.

    Args:
        text: Whatever came.
        most: Characters of the longest text.
    """
    beginning = text[: most + 1]
    if not beginning.isprintable():
        beginning = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in beginning)
    if len(beginning) <= most:
        return beginning
    return f"{beginning[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
