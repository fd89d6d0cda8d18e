"""Scenarios: routes of several channels, attacked at every phase of every channel."""
import asyncio
import re
import signal
import time

from cluster import WEB
from database import restart
from sql import Sql

# The waits between the steps, in seconds. A code needs a minute of life for each further step.
WAIT, LAST_MINUTE = 5, 60
# How late a step may begin while workers are killed and PostgreSQL restarts.
SLACK = 15

SETUP = f"""
UPDATE otp.countries SET receipts_reliable = true WHERE region = 'SA';
INSERT INTO otp.channel_senders (channel, sender) VALUES ('call', '+12015550100'), ('whatsapp', '+12015550101');
UPDATE otp.sender_rates SET sends_per_second = 50 WHERE sender = 'call';
INSERT INTO otp.templates (purpose, locale, body, content_sid) VALUES
    ('chaos_whatsapp', 'en', 'Your code is {{code}}.', 'HX00000000000000000000000000000001'),
    ('chaos_call', 'en', 'Your code is {{code}}.', NULL), ('chaos_email', 'en', 'Your code is {{code}}.', NULL);
INSERT INTO otp.purposes (purpose, allows_email) VALUES ('phone_verification', true), ('chaos_email', true);
INSERT INTO otp.routes (purpose, country, step, channel, wait) VALUES
    ('*', '*', 2, 'call', '{WAIT} s'), ('*', '*', 3, 'email', '{WAIT} s'),
    ('chaos_whatsapp', '*', 1, 'whatsapp', NULL), ('chaos_whatsapp', '*', 2, 'sms', '{WAIT} s'),
    ('chaos_call', '*', 1, 'call', NULL), ('chaos_call', '*', 2, 'sms', '{WAIT} s'),
    ('chaos_email', '*', 1, 'email', NULL), ('chaos_email', '*', 2, 'sms', '{WAIT} s');
-- When codes were used, noted under the lock of their verifications.
CREATE TABLE chaos.used (verification bigint, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION chaos.note_used() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
    'BEGIN INSERT INTO chaos.used (verification) VALUES (NEW.id); RETURN NULL; END';
CREATE TRIGGER chaos_used AFTER UPDATE OF verified_at ON otp.verifications FOR EACH ROW
    WHEN (NEW.verified_at IS NOT NULL AND OLD.verified_at IS NULL) EXECUTE FUNCTION chaos.note_used();
"""

POST = ["post:begun", "post:half", "post:sent", "post:answered"]
MAIL = ["smtp:ehlo", "smtp:mail", "smtp:rcpt", "smtp:data", "smtp:content", "smtp:dot", "smtp:sent", "smtp:answered", "smtp:told"]
# A step that begins: by its timer, and by the failure of a message.
STEPS = ["otpd_begin_steps:asked", "otpd_begin_steps:executed", "otpd_begin_steps:answered", "otpd_record_status:executed",
         "otpd_record_status:answered"]
FINISH = ["otpd_finish_accepted:executed", "otpd_finish_accepted:answered", "otpd_finish_unsent:executed"]
PURPOSE = {"sms": "phone_verification", "whatsapp": "chaos_whatsapp", "call": "chaos_call", "email": "chaos_email"}

PHASES = (
    [(channel, "twilio", step) for channel in ("sms", "whatsapp", "call") for step in POST]
    + [("email", "mail", step) for step in MAIL] + [("sms", "database", step) for step in STEPS + FINISH])
# The short form's, and some more by chance.
NEEDED = [("whatsapp", "twilio", "post:sent"), ("call", "twilio", "post:answered"), ("email", "mail", "smtp:sent"),
          ("sms", "database", "otpd_begin_steps:executed"), ("sms", "database", "otpd_record_status:executed")]

# Faults of the simulator while workers are killed.
FAULTS = {"undelivered": 0.3, "busy": 0.3, "no-answer": 0.2, "create_then_close": 0.03, "429": 0.03}
SMTP = [{"on": step, "fault": "close", "count": 2} for step in ("connect", "ehlo", "mail", "rcpt", "data", "content", "final")] \
    + [{"on": "final", "fault": "keep_then_close", "count": 3}, {"on": "rcpt", "fault": "reply", "code": 450, "count": 2},
       {"on": "rcpt", "fault": "reply", "code": 550, "count": 2}]


async def channels(stage):
    """SIGKILL at each phase of each channel, while users verify some codes, messages fail, the mail server closes and
    PostgreSQL restarts. OTPD_RESEND_UNKNOWN is never."""
    await routes(stage, "never")


async def channels_resent(stage):
    """The same with OTPD_RESEND_UNKNOWN=after-grace: an e-mail whose reply was lost may arrive twice, and nothing else may."""
    stage.repeatable = ("email",)
    await routes(stage, "after-grace")


async def routes(stage, resends):
    short = stage.house.short
    await stage.open(life=100 if short else 200, simulator=["--smtp-port", "0", "--calls-per-second", "0"])
    sql = await stage.sql()
    await sql(SETUP)
    sql.close()
    stage.load.mails = True
    stage.checks.append(lambda sql, inbox, tally: check(stage, resends, sql, inbox, tally))
    workers = victim, other = await stage.crew(2, OTPD_RESEND_UNKNOWN=resends)
    users = User(stage)
    verifying = stage.background(users.verify_some())
    await stage.simulator.faults(rates=FAULTS, smtp=SMTP, next=[
        {"fault": "undelivered", "code": 63024, "channel": "whatsapp", "count": 5}])
    phases = NEEDED + stage.random.sample([p for p in PHASES if p not in NEEDED], 3) if short else list(PHASES)
    stage.random.shuffle(phases)
    hows = [signal.SIGQUIT] if short else [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL]
    restarts = dict(zip(stage.random.sample(range(1, len(phases)), len(hows)), hows))
    for number, (channel, link, step) in enumerate(phases):
        await kill_at(stage, victim, other, channel, link, step)
        if number in restarts:
            flow = stage.background(stage.load.until(lambda: False, seconds=60))
            await restart(stage, workers, restarts[number])
            flow.cancel()
        if number % 3 == 2:
            stage.note(f"the mail server is gone: {other.mail.cut()} connections")
            other.mail.refuse()
            await stage.load.insert(4, purpose=PURPOSE["email"])
            await asyncio.sleep(stage.random.uniform(0.3, 1.5))
            other.mail.heal()
    await stage.simulator.faults(rates={}, smtp=[])
    await begun(stage)
    await stage.settle()
    verifying.cancel()
    users.close()
    stage.note(f"{users.verified} codes verified")
    stage.expect(users.verified > 5, "hardly a user verified a code")


async def kill_at(stage, victim, other, channel, link, step):
    """Kills a worker at a step of a channel."""
    for _ in range(100):
        match = (lambda context: context["channel"] == channel) if link == "twilio" else None
        caught = getattr(victim, link).trap(step, match)
        if link == "mail" and step == "smtp:ehlo":
            victim.mail.cut()       # so that a new connection is made
        if link == "mail":
            # Otherwise the other worker may take every e-mail.
            other.mail.freeze()
        if step.endswith((":asked", ":executed")) and link == "database":
            other.database.freeze()
        await stage.caught(caught, batch=4, every=0.2, purpose=PURPOSE[channel])
        if await is_meant(stage, step):
            break
        caught.release()
        other.database.heal()
        other.mail.heal()
        await asyncio.sleep(0.1)
    else:
        stage.expect(False, f"no step began at {step}")
    await victim.kill()
    stage.note(f"SIGKILL: {channel}, {step}")
    other.database.heal()
    other.mail.heal()
    await victim.start()


async def is_meant(stage, step):
    """Whether the held transaction begins a step. The statements also run without one."""
    if step not in ("otpd_begin_steps:asked", "otpd_begin_steps:executed", "otpd_record_status:executed"):
        return True
    sql = await stage.sql()
    # A user may hold a lock for a moment, and a transaction of the harness may be seen half. So it must be held twice.
    held = [int(await sql.value(
        "SELECT count(*) FROM otp.step_waits WHERE due_at <= clock_timestamp()" if step.endswith("asked") else
        "SELECT (SELECT count(*) FROM otp.verifications) - (SELECT count(*) FROM (SELECT FROM otp.verifications FOR NO KEY UPDATE SKIP LOCKED) f)"))
        for _ in range(2)]
    sql.close()
    return min(held) > 0


async def begun(stage):
    """Until no further step can begin by its timer."""
    while time.time() < stage.load.last_expiry - LAST_MINUTE:
        sql = await stage.sql()
        left = int(await sql.value(f"""SELECT count(*) FROM otp.step_waits w JOIN otp.verifications v ON v.id = w.verification_id
            WHERE v.verified_at IS NULL AND v.expires_at > clock_timestamp() + interval '{LAST_MINUTE} s'"""))
        sql.close()
        if left == 0:
            return
        await asyncio.sleep(0.25)


class User:
    """Reads messages, and verifies the codes of some."""

    def __init__(self, stage):
        self.stage, self.verified = stage, 0
        self._sql = None
        self._seen = set()

    async def verify_some(self):
        while True:
            await asyncio.sleep(0.2)
            for message in (await self.stage.simulator.call("GET", "/_sim/inbox?limit=200"))["messages"]:
                if message["sid"] in self._seen:
                    continue
                self._seen.add(message["sid"])
                code = re.search(r"Zq[0-9a-f]{8}", re.sub(r"[\s.,]", "", message["body"]))
                # Most wait for the next step.
                if code and self.stage.random.random() < 0.2:
                    await self._verify(int(re.search(r"0*(\d+)@|\+96650(\d+)", message["to"]).expand(r"\1\2") or 0), code.group())

    async def _verify(self, number, code):
        try:
            if self._sql is None:
                self._sql = await Sql.connect(self.stage.cluster.port, user="chaos_web", options=WEB, seconds=5)
            for purpose in PURPOSE.values():
                if await self._sql.value(f"SELECT otp.verify('chaos:{number}', '{code}', '{purpose}')") == "t":
                    self.verified += 1
                    return
        except Exception as failure:
            # The server restarts. A verification that waits for another transaction too long would be a failure.
            if "deadlock" in str(failure):
                self.stage.load.trouble.append(f"otp.verify: {failure}")
            self.close()

    def close(self):
        if self._sql:
            self._sql.close()
        self._sql = None


ENDS = """
WITH ends AS (
    SELECT m.send_job_id AS job, m.verification_id AS verification, m.channel, m.step, m.requested_at,
        m.status AS state, m.final_at IS NOT NULL AND m.status IN ('failed', 'undelivered', 'busy', 'no-answer') AS has_failed, m.follow_up, '' AS error
    FROM otp.messages m WHERE m.is_primary
    UNION ALL SELECT u.send_job_id, u.verification_id, u.channel, u.step, u.requested_at, u.state, u.state IN ('failed', 'limited'), u.follow_up,
        u.error FROM otp.unsent_jobs u
    UNION ALL SELECT j.id, j.verification_id, j.channel, j.step, j.requested_at, j.state, false, NULL, '' FROM otp.send_jobs j
)
"""


async def check(stage, resends, sql, inbox, tally):
    """What the count of single jobs does not see: the rules of a route."""
    for verification, channel, jobs in await sql(ENDS + """SELECT e.verification, e.channel, count(*) FROM ends e GROUP BY 1, 2
            HAVING count(*) > 1"""):
        tally.wrong(f"verification {verification}: its step {channel} began {jobs} times")
    for job, late in await sql("""SELECT s.job, extract(epoch FROM s.at - u.at) FROM chaos.steps s JOIN chaos.used u USING (verification)
            WHERE s.was IS NULL AND s.at > u.at"""):
        tally.wrong(f"job {job} began {float(late):.3f} s after its code had been used")
    arrived = {}
    for message in inbox:
        key = message["message_id"].strip("<>").split("@")[0] if message["channel"] == "email" else message["sid"]
        arrived[key] = message["received_at"] / 1e6
    # A claim whose snapshot is older than the verification may be as late as a statement takes.
    for job, sid, at, late in await sql("""SELECT s.job, m.message_sid, extract(epoch FROM s.at), extract(epoch FROM s.at - u.at)
            FROM chaos.steps s JOIN chaos.used u USING (verification) JOIN otp.messages m ON m.send_job_id = s.job
            WHERE s.became = 'sending' AND s.at > u.at + interval '2 seconds'"""):
        if arrived.get(sid, 0) > float(at):
            tally.wrong(f"job {job} was claimed {float(late):.3f} s after its code had been used, and sent")
    for job, channel, spare, story in await sql(ENDS + f"""SELECT e.job, e.channel,
                extract(epoch FROM v.expires_at - e.requested_at - interval '{WAIT + LAST_MINUTE} s'),
                concat_ws(', ', e.state, e.error, e.follow_up, 'timer ' || (SELECT w.due_at - e.requested_at FROM otp.step_waits w
                    WHERE w.send_job_id = e.job))
            FROM ends e JOIN otp.verifications v ON v.id = e.verification
            WHERE e.step IS NOT NULL AND v.verified_at IS NULL AND v.canceled_at IS NULL
                AND NOT EXISTS (SELECT FROM ends n WHERE n.verification = e.verification AND n.job > e.job)"""):
        if float(spare) > SLACK:
            tally.lost += 1
            tally.wrong(f"job {job} ({channel}): no step followed, {float(spare):.1f} s before it was too late: {story}")
    for job, channel in await sql(ENDS + """SELECT e.job, e.channel FROM ends e
            WHERE e.error IS NULL OR e.has_failed AND e.step IS NOT NULL AND e.follow_up IS NULL
                AND NOT EXISTS (SELECT FROM ends n WHERE n.verification = e.verification AND n.job > e.job)"""):
        tally.wrong(f"job {job} ({channel}): it failed, and no words say what followed")
    stats = (await stage.simulator.stats())["channels"]
    for channel in PURPOSE:
        stage.expect(stats[channel]["created"] > 0, f"nothing went by {channel}")
    if resends == "never" and stats["email"]["message_ids_repeated"]:
        tally.wrong(f"{stats['email']['message_ids_repeated']} e-mails arrived twice")
    for trouble in stage.load.trouble:
        tally.wrong(trouble)
    stage.figures.append(" ".join(f"{channel}:{stats[channel]['created']}" for channel in PURPOSE))
