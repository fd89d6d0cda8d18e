"""What a fault led to, and the table of all of them."""
import collections
import math
import statistics

from count import lined_up

LOGINS = {"chaos_worker": "by URL", "chaos_haproxy": "by HAProxy"}
# Seconds from the promotion to the first send: in 95 of 100 cases, and always.
USUAL, ALWAYS = 5, 15
# A server that confirms no commit of the harness for so many seconds counts as promoted only afterwards.
UNUSABLE = 5


class Result:
    def __init__(self, name: str):
        self.name = name
        self.times = 0                          # strikes that were survived
        self.acknowledged = self.unacknowledged = 0
        self.tally = None                       # of chaos/count.py
        self.messages = collections.Counter()   # how many acknowledged jobs have 0, 1 and more messages
        self.forgotten: list[str] = []          # acknowledged commits that Patroni's new primary does not have
        self.firsts: list[float] = []           # from each promotion to the first send
        self.durables: list[float] = []         # from each promotion to the first commit that a standby confirmed
        self.claims: dict[str, list[float]] = {login: [] for login in LOGINS}  # from each promotion to the first claim of each
        self.superseded = 0                     # promotions before a further one, without a send between them
        self.repairs = 0                        # nodes that needed a new copy by hand
        self.seconds = 0.0
        self.problems: list[str] = []


def arrivals(inbox: list[dict]) -> dict[str, list[float]]:
    found = collections.defaultdict(list)
    for message in inbox:
        found[message["to"]].append(message["received_at"] / 1e6)
    return found


def first_sends(result: Result, promotions: list, claims: list[tuple], arrived: dict[str, list[float]]) -> None:
    """`claims`: (number, login, address of the server, when). Times are the harness's."""
    promotions = sorted(promotions, key=lambda promotion: promotion.at)
    for promotion, following in zip(promotions, [*promotions[1:], None]):
        if promotion.strike == 0:
            continue
        # A server with a full disk logs that it takes writes, and refuses every connection: it is away until it confirms.
        usable, durable = promotion.at, promotion.durable
        if durable is not None and durable - promotion.at > UNUSABLE:
            usable = durable
        sends, logins = [], {}
        for number, login, node, at in claims:
            if node == promotion.node.address and at >= promotion.at and (following is None or at < following.at):
                logins.setdefault(login, at)
                sends += [moment for moment in arrived.get(number, []) if moment >= at - 0.5]
        if not sends:
            result.superseded += 1
            if following is None:
                result.problems.append(f"no message was sent after {promotion.node.name} took writes")
            continue
        result.firsts.append(max(0.0, min(sends) - usable))
        if durable is not None:
            result.durables.append(durable - promotion.at)
        for login, at in logins.items():
            result.claims[login].append(max(0.0, at - usable))


def share(values: list[float], part: float) -> float:
    """The value that this part of all does not exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * part) - 1]


def words(values: list[float]) -> str:
    return f"{statistics.median(values):.1f}/{max(values):.1f}" if values else "–"


HEAD = ("fault", "times", "jobs", "ack'd", "0/1/2 messages", "accepted", "failed", "unknown→resolved", "lost", "twice",
        "late", "forgotten", "first send p50/max", "durable p50/max", "by URL p50/max", "by HAProxy p50/max", "n", "s", "")


def table(results: list[Result]) -> str:
    lines = [HEAD]
    for result in results:
        tally = result.tally
        counted = ["–"] * 9
        if tally:
            failed = " ".join(f"{why}:{number}" for why, number in sorted(tally.failed.items())) or "0"
            messages = "/".join(str(result.messages[number]) for number in (0, 1, 2))
            counted = [str(tally.jobs), str(result.acknowledged), messages, str(tally.accepted), failed,
                       f"{tally.unknown}→{tally.resolved}", str(tally.lost), str(tally.duplicates), str(tally.late)]
        slowest = [words(result.claims[login]) for login in LOGINS]
        forgotten = str(len(result.forgotten)) if tally else "–"
        lines.append((result.name, str(result.times), *counted, forgotten, words(result.firsts), words(result.durables),
                      *slowest, str(len(result.firsts)), f"{result.seconds:.0f}",
                      "FAILED" if result.problems else f"{result.repairs} copies by hand" if result.repairs else ""))
    return lined_up(lines)


def goals(results: list[Result]) -> list[str]:
    """Prints the times after all promotions, and returns what was missed of the goals."""
    times = {"the first send": [first for result in results for first in result.firsts]}
    for login, way in LOGINS.items():
        times[f"the first claim {way}"] = [claim for result in results for claim in result.claims[login]]
    missed = []
    for what, seconds in times.items():
        if not seconds:
            continue
        usual, longest = share(seconds, 0.95), max(seconds)
        print(f"{what} after {len(seconds)} promotions: 95 % within {usual:.1f} s, all within {longest:.1f} s")
        # One otpd alone may find the new primary late, as long as another sends.
        if usual > USUAL and what == "the first send":
            missed.append(f"95 % of the first sends came within {usual:.1f} s, and not within {USUAL} s")
        if longest > ALWAYS:
            missed.append(f"{what} came {longest:.1f} s after a promotion, and not within {ALWAYS} s")
    return missed
