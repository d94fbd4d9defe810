"""Text of others, safe to show on a terminal and in a line of a log.

Pure, and loads nothing: the command line needs it before anything else.
"""


def printable(text: str) -> str:
    """What could drive a terminal, forge a line or is no text at all, escaped."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
