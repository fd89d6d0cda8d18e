"""What otpd said at the level warning and above, counted; and the tables of what users saw of an operator's work."""
import collections
import json
import re

from count import lined_up
from users import seconds, share

LEVELS = ("warning", "error", "critical")


def said(lines):
    """`lines` of logs in JSON. Returns how often each sentence was said, without its numbers."""
    counter = collections.Counter()
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            counter["not JSON: " + line[:200]] += 1
            continue
        level = record.get("level", "")
        if level not in LEVELS:
            continue
        more = [f"{key}: {record[key]}" for key in sorted(record) if key not in ("time", "level", "message", "worker")]
        text = " · ".join([record.get("message", ""), *more])
        counter[f"{level}: " + re.sub(r"(ERROR [0-9A-Z]{5})|[0-9]+(?:\.[0-9]+)*", lambda found: found[1] or "N", text)] += 1
    return counter


def report(seen, tallies):
    """`seen`: scenario → what users saw. `tallies`: scenario → the count."""
    rows = [("what users saw", "attack", "jobs", "calm p50", "p99", "attack p50", "p99", "max", "request p99", "refused",
             "expired", "lost", "twice", "late")]
    for name, saw in seen.items():
        tally = tallies[name]
        counts = ["–"] * 4 if tally is None else [
            str(tally.failed["expired"]), str(tally.lost), str(tally.duplicates), str(tally.late)]
        rows.append((name, f"{saw.ended - saw.began:.0f} s", str(saw.jobs), share(saw.before, 50), share(saw.before, 99),
                     share(saw.during, 50), share(saw.during, 99), seconds(max(saw.during, default=0)),
                     share(saw.commits, 99), str(saw.refused), *counts))
    parts = [lined_up(rows)]
    for name, saw in seen.items():
        refused = ", ".join(f"{reason} {number}" for reason, number in saw.refusals.most_common())
        parts.append(f"\n{name}: otpd said" + (f" (requests refused: {refused})" if refused else ""))
        parts += [f"  {number:4} × {text}" for text, number in saw.said.most_common()] or ["  nothing"]
    return "\n".join(parts)
