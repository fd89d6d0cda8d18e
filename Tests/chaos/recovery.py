"""Scenarios: the database goes back in time, by a point-in-time recovery or from a dump, as deploy/docs/backup.md says."""
import asyncio
import base64
import hashlib
import hmac
import os
import re
import urllib.parse

from cluster import WEB, Cluster, as_postgres, free_port, own
from failover import Standby
from process import output
from sql import Sql
from worker import TOKEN

FLOW = 30       # jobs per second
BURST = 60      # jobs that wait at the moment to which the database goes back
LATER = 120     # jobs that are sent after them in the forgotten time
AGAIN = 160     # jobs after it: as many as were forgotten, and the ids that the sequence skips by itself


async def recovery(stage):
    """A base backup and the archived WAL bring the database back to a moment under load. In the forgotten time all jobs were
    sent, and some codes were used. Later, receipts of that time arrive."""
    await play(stage, PointInTime(stage))


async def restore(stage):
    """A dump that was made under load is restored into another cluster, while the old one went on for a while."""
    await play(stage, Dump(stage))


async def play(stage, way):
    await stage.open(life=300, simulator=["--latency-ms", "50"])
    await way.prepare()
    port = free_port()
    url = f"http://127.0.0.1:{port}/twilio/status"
    workers = [await stage.worker(OTPD_MAX_IN_FLIGHT="4", OTPD_CALLBACK_LISTEN=f"127.0.0.1:{port}", OTPD_CALLBACK_PUBLIC_URL=url),
               await stage.worker(OTPD_MAX_IN_FLIGHT="4", OTPD_CALLBACK_PUBLIC_URL=url)]
    flow = stage.background(stage.load.flow(FLOW))
    await way.backup()
    while (await stage.simulator.stats())["creates"] < 2 * FLOW:
        await asyncio.sleep(0.1)
    stage.load.stop()
    await flow
    # What waits in the queue now is queued again later, although it will have been sent.
    for worker in workers:
        worker.freeze()
    burst = await stage.load.insert(BURST)
    await way.moment()
    for worker in workers:
        worker.thaw()
    # Nothing else is sent before: a busy worker serves the newest first.
    await sent(stage, burst)
    later = [job for _ in range(LATER // 20) for job in await stage.load.insert(20)]
    await sent(stage, later)
    used = await use_codes(stage, burst)
    # 1. Stop otpd on all hosts before the restored database takes connections.
    for worker in workers:
        stage.expect(await worker.terminate() == 0, f"SIGTERM: {worker.process.tail(5)}")
    sql = await stage.sql()
    attempts = await sql("SELECT message_sid, send_job_id, attempt, verification_id FROM otp.messages ORDER BY accepted_at")
    sql.close()
    old = await ids(stage)
    restored = await way.restored()
    stage.others.append(Standby(restored))
    stage.count_at = restored
    stage.load.close()
    stage.load.ports, stage.load._sql, stage.load._port = [restored.port], None, 0
    await look(stage, attempts)

    # 2. Before the backends request codes again.
    sql = await Sql.connect(restored.port)
    stage.note(f"otp.recover() returns {await sql('SELECT * FROM otp.recover()')}")
    for subject, code in used:
        stage.expect(await verified(stage, subject, code) == "f", f"the used code of {subject} could be used again")
    # 3. Start otpd.
    for worker in workers:
        worker.cluster, worker.database.target = restored, ("127.0.0.1", restored.port)
        await worker.start()
    new = [job for _ in range(AGAIN // 20) for job in await stage.load.insert(20)]
    receipts = [(sid, f"{job}.{attempt}") for sid, job, attempt, verification in attempts][-300:]
    # Some of the new jobs wait to be sent, and later all of them have been.
    for moment in ("under way", "sent"):
        for sid, reference in receipts:
            await late_receipt(url, port, sid, reference)
        await sent(stage, new)
    await stage.settle()
    first_job = await sql.value(f"SELECT min(send_job_id) FROM otp.messages WHERE verification_id IN ({','.join(map(str, new))})")
    sql.close()
    stage.expect(int(first_job) > old[0], "an id of a forgotten job was given out again")
    stage.expect(min(new) > old[1], "an id of a forgotten verification was given out again")


async def sent(stage, verifications, seconds=180):
    """Until Twilio has accepted the jobs of these verifications."""
    sql = await stage.sql()
    query = f"SELECT count(*) FROM otp.messages WHERE is_primary AND verification_id IN ({','.join(map(str, verifications))})"
    for _ in range(seconds * 5):
        if int(found := await sql.value(query)) == len(verifications):
            break
        await asyncio.sleep(0.2)
    else:
        stage.expect(False, f"only {found} of {len(verifications)} jobs were sent")
    sql.close()


async def ids(stage):
    """The last send job and the last verification of the old database."""
    sql = await Sql.connect(stage.cluster.port)
    rows = await sql("SELECT (SELECT last_value FROM otp.send_jobs_id_seq), (SELECT last_value FROM otp.verifications_id_seq)")
    sql.close()
    return int(rows[0][0]), int(rows[0][1])


async def use_codes(stage, verifications, count=5):
    """Users verify codes of these verifications. Returns (subject, code) of each."""
    sql = await stage.sql()
    subjects = dict(await sql("SELECT e164, subject FROM otp.verifications WHERE id IN "
                              f"({','.join(map(str, verifications))}) ORDER BY id LIMIT {count}"))
    sql.close()
    used = [(subjects[message["to"]], re.search(r"Zq[0-9a-f]{8}", message["body"]).group())
            for message in await stage.simulator.inbox() if message["to"] in subjects]
    for subject, code in used:
        stage.expect(await verified(stage, subject, code) == "t", f"the code of {subject} is not right")
    return used


async def verified(stage, subject, code):
    sql = await Sql.connect((stage.count_at or stage.cluster).port, user="chaos_web", options=WEB)
    answer = await sql.value(f"SELECT otp.verify('{subject}', '{code}')")
    sql.close()
    return answer


async def look(stage, attempts):
    """What the database has forgotten. The count leaves out the codes that it does not know at all."""
    sql = await stage.sql()
    known = {int(id): e164 for id, e164 in await sql("SELECT id, e164 FROM otp.verifications WHERE subject LIKE 'chaos:%'")}
    live = {int(row[0]) for row in await sql("SELECT verification_id FROM otp.send_jobs")}
    sql.close()
    lost = {int(verification) for _, _, _, verification in attempts} - known.keys()
    again = live & {int(verification) for _, _, _, verification in attempts}
    for verification in stage.load.committed.keys() - known.keys():
        del stage.load.committed[verification]
    stage.forgotten = {message["to"] for message in await stage.simulator.inbox()} - set(known.values())
    stage.figures.append(f"forgot {len(lost)} jobs, and that {len(again)} of {len(live)} live ones were sent")
    stage.note(stage.figures[-1])
    stage.expect(len(lost) >= LATER, f"only {len(lost)} jobs were forgotten")
    stage.expect(len(again) >= BURST, f"only {len(again)} jobs were sent and are live again")


async def late_receipt(url, port, sid, reference):
    """A receipt as Twilio sends and signs it."""
    fields = {"MessageSid": sid, "MessageStatus": "delivered", "AccountSid": "AC" + "0" * 32}
    target = f"{url}?reference={reference}"
    signed = target + "".join(name + fields[name] for name in sorted(fields))
    signature = base64.b64encode(hmac.new(TOKEN.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    body = urllib.parse.urlencode(fields).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = target.split(f":{port}", 1)[1]
    writer.write(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                 f"X-Twilio-Signature: {signature}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = await reader.read()
    writer.close()
    if b" 20" not in answer.split(b"\r\n", 1)[0]:
        raise RuntimeError(f"a receipt was refused: {answer[:300]}")


class PointInTime:
    """A base backup, the archived WAL, and recovery_target_time."""

    def __init__(self, stage):
        self.stage = stage

    async def prepare(self):
        self.archive = self.stage.folder + "-archive"
        self.base = self.stage.folder + "-base"
        for folder in (self.archive, self.base):
            os.mkdir(folder, 0o700)
            own(folder)
        cluster = self.stage.cluster
        await cluster.stop()
        cluster.settings += ["archive_mode=on", f"archive_command=cp %p {self.archive}/%f"]
        await cluster.start()

    async def backup(self):
        await output(as_postgres() + [
            f"{self.stage.cluster.programs}/pg_basebackup", "-d", f"host=127.0.0.1 port={self.stage.cluster.port} user=postgres",
            "-D", self.base, "-X", "fetch", "-c", "fast", "--no-sync"])

    async def moment(self):
        sql = await self.stage.sql()
        self.target = await sql.value("SELECT clock_timestamp()")
        sql.close()

    async def restored(self):
        sql = await self.stage.sql()
        await sql("SELECT pg_switch_wal()")
        sql.close()
        await self.stage.cluster.stop()
        with open(f"{self.base}/postgresql.auto.conf", "a") as file:
            file.write(f"restore_command = 'cp {self.archive}/%f %p'\nrecovery_target_time = '{self.target}'\n"
                       "recovery_target_action = 'promote'\n")
        open(f"{self.base}/recovery.signal", "w").close()
        restored = Cluster(self.base, programs=self.stage.cluster.programs)
        await restored.start()
        sql = await Sql.connect(restored.port)
        while await sql.value("SELECT pg_is_in_recovery()") == "t":
            await asyncio.sleep(0.1)
        sql.close()
        return restored


class Dump:
    """pg_dump and pg_restore into another cluster."""

    def __init__(self, stage):
        self.stage = stage

    async def prepare(self):
        self.dump = f"{self.stage.folder}/app.dump"
        self.roles = f"{self.stage.folder}/globals.sql"

    async def backup(self):
        pass

    def program(self, name, cluster, *arguments, database="otp"):
        return as_postgres() + [f"{cluster.programs}/{name}", *arguments,
                                f"--dbname=host=127.0.0.1 port={cluster.port} user=postgres dbname={database}"]

    async def moment(self):
        await output(self.program("pg_dump", self.stage.cluster, "-Fc", "-f", self.dump))

    async def restored(self):
        await output(self.program("pg_dumpall", self.stage.cluster, "--globals-only", "-f", self.roles))
        await self.stage.cluster.stop()
        restored = await Cluster.empty(self.stage.folder + "-restored", self.stage.cluster.programs)
        await restored.start()
        await output(self.program("psql", restored, "-f", self.roles, database="postgres"))
        sql = await Sql.connect(restored.port, database="postgres")
        await sql("CREATE DATABASE otp OWNER postgres TEMPLATE template0")
        sql.close()
        await output(self.program("pg_restore", restored, self.dump))
        sql = await Sql.connect(restored.port)
        self.stage.expect(await sql.value("SELECT otp.conceal_statements()") == "t", "statements are not kept out of the log")
        sql.close()
        await output([f"{self.stage.house.binaries}/otpd", "migrate", "check"],
                     dict(os.environ, DATABASE_URL=restored.url("postgres")))
        return restored
