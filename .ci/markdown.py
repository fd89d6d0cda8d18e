"""The links and the anchors of pages of Markdown, and those links that lead nowhere.

.ci/lint-links checks the repository with it, deploy/debian/documentation the installed pages, and Tests/prometheus/run the
sections that alerts link.
"""

import pathlib
import re
import urllib.parse

FENCE = re.compile(r"^[ \t]*(```|~~~).*?^[ \t]*\1", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
INLINE = re.compile(r"\]\(\s*<?([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^\[[^\]]+\]:\s*<?(\S+?)>?(?:\s+\".*\")?\s*$", re.MULTILINE)
HTML = re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)=\"([^\"]*)\"")
HEADING = re.compile(r"^#{1,6}[ \t]+(.*?)[ \t]*#*$", re.MULTILINE)
NAMED = re.compile(r"<\w+\b[^>]*?\b(?:id|name)=\"([^\"]*)\"")


def blank(match):
    """As many lines as there were, so that line numbers stay."""
    return "\n" * match[0].count("\n")


def links(text):
    """Each link's target and line, outside of code."""
    text = CODE.sub(blank, COMMENT.sub(blank, FENCE.sub(blank, text)))
    for pattern in (INLINE, REFERENCE, HTML):
        for match in pattern.finditer(text):
            yield match[1], text.count("\n", 0, match.start()) + 1


def anchors(text):
    """What GitHub lets a link name on this page."""
    text = COMMENT.sub(blank, FENCE.sub(blank, text))
    found = set(NAMED.findall(text))
    count = {}
    for heading in HEADING.findall(text):
        heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")
        found.add(f"{slug}-{count[slug]}" if slug in count else slug)
        count[slug] = count.get(slug, 0) + 1
    return found


def problems(root, files):
    """What is wrong with the links of these files' pages, a line each, and how many links there are."""
    folders = {parent for file in files for parent in pathlib.PurePosixPath(file).parents}
    there = {pathlib.PurePosixPath(file) for file in files} | folders
    texts = {file: (root / file).read_text(encoding="utf-8") for file in files if file.endswith(".md")}
    names = {file: anchors(text) for file, text in texts.items()}
    wrong, count = [], 0
    for page, text in texts.items():
        for target, line in links(text):
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            count += 1
            path, _, anchor = target.partition("#")
            path = urllib.parse.unquote(path)
            place = f"{page}:{line}: {target}"
            if path.startswith("/"):
                wrong.append(f"{place}: a link must be relative")
                continue
            file = page
            if path:
                parts = []
                for part in (*pathlib.PurePosixPath(page).parent.parts, *path.split("/")):
                    if part == "..":
                        parts = parts[:-1] if parts and parts[-1] != ".." else [*parts, ".."]
                    elif part not in ("", "."):
                        parts.append(part)
                file = "/".join(parts) or "."
                if pathlib.PurePosixPath(file) not in there:
                    wrong.append(f"{place}: {file} is not there")
                    continue
            if anchor and file not in names:
                wrong.append(f"{place}: {file} is no page, and has no headings")
            elif anchor and urllib.parse.unquote(anchor) not in names[file]:
                wrong.append(f"{place}: {file} has no heading #{anchor}")
    return wrong, count
