"""Scenarios: what operators do to the database, under 100 jobs a second. Each measures what users saw, and what otpd said."""
import asyncio
import contextlib
import signal
import time

from cluster import as_postgres
from database import restart
from process import output
from users import Seen, Users
from words import said

RATE = 100      # jobs per second
WARM = 3        # seconds of load before the attack, and after it
HISTORY = 200_000

# Old rows, without the triggers: so many messages and verifications, which are `age` old.
PAST = """
SET session_replication_role = replica;
INSERT INTO otp.verifications (subject, purpose, e164, country, created_at, expires_at)
SELECT 'past ' || n, 'phone_verification', '+96655' || lpad((n % 10000000)::text, 7, '0'), 'SA', at, at + interval '5 minutes'
FROM generate_series(1, {rows}) n, LATERAL (SELECT now() - interval '{age}' - n * interval '1 second' AS at) t;
INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, accepted_at, status, final_at)
SELECT 'SM' || lpad(n::text, 32, '0'), -n, id, 1, true, created_at, created_at, 'delivered', created_at
FROM (SELECT id, created_at, row_number() OVER () AS n FROM otp.verifications WHERE subject LIKE 'past %') v;
RESET session_replication_role"""


async def open_stage(stage, workers=2, history=0, age="1 day", life=60, simulator=(), template=None, **settings):
    """A stage with many users. The logs have the level that operators use."""
    await stage.open(life=life, simulator=["--latency-ms", "20", *simulator], load=Users, template=template)
    await prepare(stage, history, age)
    await stage.crew(workers, **{"OTPD_LOG_FORMAT": "json", "OTPD_LOG_LEVEL": "info", **settings})


async def prepare(stage, history=0, age="1 day"):
    sql = await patient(stage)
    # The harness writes codes as literals. Backends use bind parameters, which the server's log does not have.
    await sql("ALTER ROLE chaos_web SET log_min_error_statement = 'panic'")
    if history:
        await sql(PAST.format(rows=history, age=age))
        await sql("VACUUM ANALYZE")
    sql.close()


async def patient(stage):
    """A superuser's session without a limit on time."""
    sql = await stage.sql()
    await sql("SET statement_timeout = 0")
    return sql


async def arrived(stage, count, seconds=180):
    """Until so many messages have arrived, of all times."""
    end = time.monotonic() + seconds
    while (await stage.simulator.stats())["creates"] < count:
        stage.expect(time.monotonic() < end, f"only {(await stage.simulator.stats())['creates']} of {count} messages arrived")
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def under_load(stage, rate=RATE):
    """The attack is the body. It begins when codes arrive, and the load goes on until codes arrive again after it."""
    flow = stage.background(stage.load.flow(rate))
    await arrived(stage, WARM * rate)
    stage.seen = seen = Seen(time.time(), None)
    stage.house.say(f"{stage.name}: begins")
    yield seen
    seen.ended = time.time()
    stage.note(f"over after {seen.ended - seen.began:.1f} s")
    await arrived(stage, (await stage.simulator.stats())["creates"] + WARM * rate)
    stage.load.stop()
    await flow
    await stage.settle()
    await conclude(stage, seen)


async def conclude(stage, seen):
    """Collects what users saw, and what otpd said."""
    sql = await stage.sql()
    numbers = {e164: int(id) for id, e164 in await sql("SELECT id, e164 FROM otp.verifications WHERE subject LIKE 'chaos:%'")}
    sql.close()
    arrivals = {}
    for message in await stage.simulator.inbox():
        at, verification = message["received_at"] / 1e6, numbers.get(message["to"])
        arrivals[verification] = min(at, arrivals.get(verification, at))
    seen.count(stage.load.times, arrivals)
    seen.refused, seen.refusals = stage.load.refused, stage.load.refusals
    seen.said = said([line for worker in stage.workers for process in worker.processes for line in process.lines])


async def repeated(sql, statements, seconds=8):
    """The statements again and again for a while, and at least once. Returns how often."""
    rounds, end = 0, time.monotonic() + seconds
    while rounds == 0 or time.monotonic() < end:
        for statement in statements:
            await sql(statement)
        rounds += 1
    return rounds


async def pg_dump(stage):
    """pg_dump of the database, again and again."""
    await open_stage(stage, history=HISTORY)
    async with under_load(stage) as seen:
        dumps = 0
        while dumps < 2 or time.time() < seen.began + 8:
            await output(as_postgres() + [f"{stage.cluster.programs}/pg_dump", "-Fc", "-f", f"{stage.folder}/dump",
                                          f"host=127.0.0.1 port={stage.cluster.port} user=postgres dbname=otp"])
            dumps += 1
    stage.figures.append(f"{dumps} dumps")


async def statements(stage, words, made):
    """Statements of a superuser under load, with a history."""
    await open_stage(stage, history=HISTORY)
    sql = await patient(stage)
    async with under_load(stage):
        rounds = await repeated(sql, made)
    sql.close()
    stage.figures.append(f"{rounds} × {words}")


async def vacuum_full(stage):
    """VACUUM FULL of the whole database, again and again."""
    await statements(stage, "VACUUM FULL", ["VACUUM FULL"])


async def reindex(stage):
    """REINDEX of the schema, again and again."""
    await statements(stage, "REINDEX", ["REINDEX SCHEMA otp"])


async def cluster(stage):
    """CLUSTER of the queue and the history, again and again."""
    await statements(stage, "CLUSTER", [
        "CLUSTER otp.send_jobs USING send_jobs_pkey", "CLUSTER otp.messages USING messages_pkey",
        "CLUSTER otp.verifications USING verifications_pkey"])


async def add_column(stage):
    """ADD COLUMN to each table that a send uses, with and without a value, and then DROP COLUMN, again and again."""
    tables = ["send_jobs", "messages", "verifications", "unsent_jobs", "worker_status", "settings", "pauses", "limits"]
    await statements(stage, "ADD COLUMN", [
        statement.format(table) for table in tables for statement in (
            "ALTER TABLE otp.{} ADD COLUMN chaos_1 int", "ALTER TABLE otp.{} ADD COLUMN chaos_2 text DEFAULT md5(random()::text)",
            "ALTER TABLE otp.{} DROP COLUMN chaos_1, DROP COLUMN chaos_2")])


async def lock_table(stage):
    """LOCK TABLE of the queue for 30 s."""
    await open_stage(stage)
    sql = await patient(stage)
    async with under_load(stage):
        await sql("BEGIN")
        await sql("LOCK TABLE otp.send_jobs")
        await asyncio.sleep(30)
        waiting = await sql.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'otp.send_jobs'::regclass")
        await sql("COMMIT")
    sql.close()
    stage.expect(int(waiting) > 0, "no session waited for the lock")
    stage.figures.append(f"{waiting} sessions waited at the end")


async def prune_million(stage):
    """A million rows, half of them messages, are pruned: by a worker, and in larger batches."""
    await open_stage(stage, history=500_000, age="91 days")
    sql = await patient(stage)
    rows = "(SELECT count(*) FROM otp.messages WHERE send_job_id < 0) + (SELECT count(*) FROM otp.verifications WHERE subject LIKE 'past %')"
    async with under_load(stage) as seen:
        batches = 0
        while (await sql("SELECT more FROM otp.prune(10000, '-1 second')"))[0][0] != "f":
            batches += 1
        left = await sql.value(f"SELECT {rows}")
    sql.close()
    stage.expect(left == "0", f"{left} old rows are left")
    stage.figures.append(f"{1_000_000 / (seen.ended - seen.began):.0f} rows/s in {batches} batches")


async def no_statistics(stage):
    """The statistics are dropped, autovacuum is off, and every session plans anew: with 200,000 messages and a backlog."""
    await open_stage(stage, history=HISTORY)
    sql = await patient(stage)
    async with under_load(stage):
        await sql("ALTER SYSTEM SET autovacuum = off")
        await sql("SELECT pg_reload_conf()")
        await sql("DELETE FROM pg_statistic")
        await sql("UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE relnamespace = 'otp'::regnamespace AND relkind IN ('r', 'i')")
        await sql("SELECT pg_stat_reset()")
        await sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ('chaos_worker', 'chaos_web')")
        # With new plans, so many codes more.
        await arrived(stage, (await stage.simulator.stats())["creates"] + 10 * RATE)
    stage.expect(await sql.value("SELECT count(*) FROM pg_stats WHERE schemaname = 'otp'") == "0", "there are statistics again")
    sql.close()


async def immediate(stage):
    """PostgreSQL is stopped with `immediate`, and started again."""
    await open_stage(stage)
    async with under_load(stage):
        times = await restart(stage, stage.workers, signal.SIGQUIT)
    stage.figures.append(f"back at work {min(times):.1f}–{max(times):.1f} s after the server")
