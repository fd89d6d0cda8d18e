"""The fenced blocks of a page of Markdown, each with the HTML comment above it."""

import dataclasses
import re

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOTE = re.compile(r"<!-- ([^>]*) -->\n$")


@dataclasses.dataclass
class Block:
    language: str
    text: str
    note: str  # the comment on the line above, or ""
    line: int  # where the text begins on the page
    after: str  # the page from the end of the block on


def read(page):
    with open(page, encoding="utf-8") as file:
        return file.read()


def between(text, begin, end):
    """The part of a page between two comments, with blank lines in place of those before it."""
    first, last = text.index(begin) + len(begin), text.index(end)
    return "\n" * text.count("\n", 0, first) + text[first:last]


def blocks(text, *languages):
    """The blocks in these languages, in order."""
    found = []
    for match in FENCE.finditer(text):
        if match[1] in languages:
            note = NOTE.search(text, 0, match.start())
            line = text.count("\n", 0, match.start()) + 2
            found.append(Block(match[1], match[2], note[1] if note else "", line, text[match.end() :]))
    return found
