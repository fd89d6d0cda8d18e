"""The count at the end: compares the simulator's messages with the end of each job, and finds broken rules."""
import collections
import statistics

# Ends with an unknown outcome. Besides `accepted`, only these may have a message at Twilio.
UNDECIDED = {"unknown", "repeated_sid"}

# After so many seconds in doubt, otpd should have found a message that Twilio lists.
LOOKUP_TIME = 25

# The messages are grouped once. No index covers all messages of a job, so a subquery per job would read the whole table.
JOBS = """
SELECT s.job, s.verification, v.e164, extract(epoch FROM v.expires_at), j.state,
    coalesce(m.endings, 0), m.sids,
    u.state, coalesce(u.error_class, u.error_code::text, ''), coalesce(j.channel, m.channel, u.channel, 'sms'), v.email
FROM chaos.steps s JOIN otp.verifications v ON v.id = s.verification
LEFT JOIN otp.send_jobs j ON j.id = s.job
LEFT JOIN otp.unsent_jobs u ON u.send_job_id = s.job
LEFT JOIN (
    SELECT send_job_id, count(*) FILTER (WHERE is_primary) AS endings, string_agg(message_sid, ' ') AS sids,
        min(channel) AS channel
    FROM otp.messages GROUP BY send_job_id
) m ON m.send_job_id = s.job
WHERE s.was IS NULL ORDER BY s.job"""

STEPS = "SELECT job, was, became, worker, extract(epoch FROM at) FROM chaos.steps ORDER BY job, at"


class Tally:
    def __init__(self):
        self.jobs = self.accepted = self.duplicates = self.lost = self.late = 0
        self.delayed = 0            # messages that left otpd in time, and that the busy harness passed on too late
        self.failed = collections.Counter()
        self.unknown = self.resolved = 0
        self.waits = []             # seconds from the loss of a worker to the next step of its jobs
        self.problems = []

    def wrong(self, text):
        self.problems.append(text)

    @property
    def wait_words(self):
        if not self.waits:
            return "–"
        return f"{statistics.median(self.waits):.1f}/{max(self.waits):.1f}"


def left_otpd(arrived, handed_over):
    """When the message that arrived at the simulator had left otpd: before, by the time that a link needed for it."""
    return max((at for at in handed_over if at <= arrived), default=arrived)


async def count(sql, inbox, committed, deaths, repeatable=(), expiries=None, handed_over=None):
    """`committed`: verifications whose commit was confirmed. `deaths`: (worker, when). `repeatable`: channels of which an
    unknown outcome may be sent again without a look. `expiries`: when codes died by the simulator's clock, if the database
    has another one. `handed_over`: when requests left otpd, by channel and number."""
    tally = Tally()
    arrivals = collections.defaultdict(list)
    where = {}
    for message in inbox:
        # A number has one job for each channel.
        place = (message["channel"], message["to"])
        arrivals[place].append(message["received_at"] / 1e6)
        where[message["message_id"].strip("<>").split("@")[0] if message["channel"] == "email" else message["sid"]] = place
    steps = collections.defaultdict(list)
    for job, was, became, worker, at in await sql(STEPS):
        steps[job].append((was, became, worker, float(at)))
    seen, numbers = set(), set()
    for job, verification, e164, expiry, state, endings, sids, unsent, why, channel, email in await sql(JOBS):
        seen.add(int(verification))
        expiry = (expiries or {}).get(int(verification), float(expiry))
        number = (channel, {"email": email, "whatsapp": f"whatsapp:{e164}"}.get(channel, e164))
        numbers.add(number)
        tally.jobs += 1
        taken = arrivals.get(number, [])
        is_accepted = int(endings) > 0
        ends = int(endings) + (unsent is not None)
        label = f"job {job}" if channel == "sms" else f"job {job} ({channel})"
        doubtful = [at for _, became, _, at in steps[job] if became == "unknown"]
        if len(taken) > 1 and not (channel in repeatable and doubtful):
            tally.duplicates += len(taken) - 1
            tally.wrong(f"{label}: {len(taken)} messages, {max(taken) - min(taken):.1f} s apart: {path(steps[job])}")
        last = max((left_otpd(at, (handed_over or {}).get(number, ())) for at in taken), default=expiry)
        tally.delayed += last <= expiry < max(taken, default=expiry)
        if last > expiry:
            tally.late += 1
            tally.wrong(f"{label}: handed over {last - expiry:.3f} s after its code had died")
        if ends == 0:
            tally.lost += 1
            tally.wrong(f"{label}: " + (f"still {state}" if state else "gone without an end") + f": {path(steps[job])}")
        elif ends > 1 or state is not None:
            tally.wrong(f"{label}: ended {ends} times, and is {state or 'gone'}")
        if is_accepted:
            tally.accepted += 1
            if not taken:
                tally.wrong(f"{label}: accepted, and the simulator has no message")
        elif unsent:
            tally.failed[why or unsent] += 1
            # An e-mail may have arrived before its job waited to be sent again, and was then canceled.
            if taken and why not in UNDECIDED and not sids and not (channel in repeatable and doubtful):
                tally.wrong(f"{label}: {unsent} ({why}), and the simulator took it: {path(steps[job])}")
        for sid in (sids or "").split():
            if where.get(sid) != number:
                tally.wrong(f"{label}: {sid} is not a message to its number")
        if doubtful:
            tally.unknown += 1
            # A mail server has no list to look into.
            if why == "unknown" and taken and not sids and channel != "email" and steps[job][-1][3] - max(*doubtful, *taken) > LOOKUP_TIME:
                tally.wrong(f"{label}: ended as unknown, and Twilio had it all the time: {path(steps[job])}")
            tally.resolved += is_accepted or (unsent is not None and why != "unknown")
    for verification in committed.keys() - seen:
        tally.jobs += 1
        tally.lost += 1
        tally.wrong(f"verification {verification}: its commit was confirmed, and there is no such job")
    for number in arrivals.keys() - numbers:
        tally.wrong(f"{len(arrivals[number])} messages to …{number[1][-4:]} by {number[0]}, for which there is no job")
    tally.waits, tally.in_hand = waits(steps, deaths)
    return tally


def waits(steps, deaths):
    """How long the jobs of lost workers stood still, and how many of these workers had jobs."""
    died = {str(worker): at for worker, at in deaths if worker is not None}
    found, holders = [], set()
    for path in steps.values():
        for (_, became, worker, at), following in zip(path, path[1:]):
            if became == "sending" and worker in died and following[3] > died[worker]:
                found.append(following[3] - max(died[worker], at))
                holders.add(worker)
    return found, len(holders)


def path(steps):
    began = steps[0][3] if steps else 0
    return " → ".join(f"{became or 'gone'} {at - began:.1f}s" + (f" (worker {worker})" if worker else "")
                      for _, became, worker, at in steps)


def table(rows):
    """rows: (name, tally or None, hits, seconds, verdict)."""
    head = ("scenario", "jobs", "accepted", "failed", "unknown→resolved", "dup", "lost", "late", "death→step p50/max s", "s",
            "")
    lines = [head]
    for name, tally, seconds, verdict in rows:
        if tally is None:
            lines.append((name, *[""] * 8, f"{seconds:.0f}", verdict))
            continue
        failed = " ".join(f"{why}:{number}" for why, number in sorted(tally.failed.items())) or "0"
        lines.append((name, str(tally.jobs), str(tally.accepted), failed, f"{tally.unknown}→{tally.resolved}",
                      str(tally.duplicates), str(tally.lost), str(tally.late), tally.wait_words, f"{seconds:.0f}", verdict))
    return lined_up(lines)


def lined_up(rows):
    """The rows of a table with columns of equal width. The first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
