"""Scenarios: the primary dies, a standby is promoted."""
import asyncio
import time

from cluster import as_postgres, binaries
from process import output
from sql import Sql


async def failover(stage):
    """A primary with a synchronous standby, and a URL that names both: the primary is killed under load, the standby is
    promoted, the workers carry on by themselves within 5 s."""
    await stage.open()
    primary = stage.cluster
    standby = await primary.standby(stage.folder + "-standby")
    stage.others.append(Standby(standby))
    stage.load.ports.append(standby.port)
    url = (f"postgresql://chaos_worker@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/otp"
           "?sslmode=disable&gssencmode=disable&target_session_attrs=read-write")
    workers = await stage.crew(3, DATABASE_URL=url)
    flow = stage.background(stage.load.flow(60, 16 if stage.house.short else 36))
    await asyncio.sleep(stage.random.uniform(3, 5))
    primary.kill_all()
    await primary.process.ended()
    # However long there was no server to write to.
    away = stage.random.uniform(0.5, 2 if stage.house.short else 20)
    await asyncio.sleep(away)
    stage.count_at = standby
    promoted = await promote(standby)
    stage.note("the primary is dead, the standby is promoted")
    sql = await Sql.connect(standby.port)
    numbers = {}
    while len(numbers) < len(workers) and time.time() - promoted < 30:
        rows = await sql("""SELECT worker, extract(epoch FROM min(at)) FROM chaos.steps
            WHERE became = 'sending' AND at > to_timestamp(%f) GROUP BY 1""" % promoted)
        numbers = {worker: float(at) - promoted for worker, at in rows}
        await asyncio.sleep(0.1)
    sql.close()
    slowest = max(numbers.values(), default=99)
    stage.figures.append(f"first claims {', '.join(f'{t:.1f}' for t in sorted(numbers.values()))} s after the promotion, "
                         f"{away:.1f} s after the primary's death")
    stage.note(stage.figures[-1])
    await flow
    await stage.settle()
    stage.expect(len(numbers) == len(workers), f"only {len(numbers)} of {len(workers)} workers carried on within 30 s")
    stage.expect(slowest < 5, f"the slowest worker took {slowest:.1f} s to carry on")


async def forgetful(stage):
    """An asynchronous standby misses the last commits of its primary, and is promoted. It has lost the ends of some jobs
    and the claims of others. Their worker knows both, and sends nothing twice."""
    await stage.open()
    primary = stage.cluster
    standby = await primary.standby(stage.folder + "-standby", synchronous=False)
    stage.others.append(Standby(standby))
    stage.load.ports.append(standby.port)
    url = (f"postgresql://chaos_worker@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/otp"
           "?sslmode=disable&gssencmode=disable&target_session_attrs=read-write")
    worker, other = await stage.crew(2, DATABASE_URL=url)
    # The other worker waits until the first has written the results that it knows.
    other.freeze()

    async def state():
        sql = await Sql.connect(standby.port)
        rows = await sql("""SELECT coalesce(string_agg(n || ' ' || state, ', ' ORDER BY state), '') || ', '
            || (SELECT count(*) FROM otp.messages) || ' messages'
            FROM (SELECT state, count(*) AS n FROM otp.send_jobs GROUP BY 1) s""")
        sql.close()
        return rows[0][0]

    # Claimed while the standby receives the primary's commits, and ended when it no longer does.
    held = [worker.twilio.trap("post:answered") for _ in range(4)]
    await stage.load.insert(4)
    for caught in held:
        await caught.caught(20)
    # Not even claimed.
    worker.freeze()
    await stage.load.insert(4)
    await primary.caught_up(standby)
    await standby.stop_receiving()
    stage.expect(await state() == "4 queued, 4 sending, 0 messages", f"the standby has {await state()}")
    # One of these is under way when the primary dies.
    first = {caught.context["number"] for caught in held}
    late = worker.twilio.trap("post:answered", lambda context: context["number"] not in first)
    worker.thaw()
    for caught in held:
        caught.release()
    await late.caught(20)
    sql = await Sql.connect(primary.port)
    while await sql.value("SELECT count(*) FROM otp.messages") != "7":
        await asyncio.sleep(0.02)
    # A claim whose answer is lost with the primary: it waits for a lock.
    await sql("BEGIN; LOCK TABLE otp.send_jobs; SELECT pg_notify('otp_send_jobs', '')")
    await sql("COMMIT; BEGIN; LOCK TABLE otp.send_jobs")
    while await sql.value("""SELECT count(*) FROM pg_stat_activity WHERE usename = 'chaos_worker'
            AND wait_event_type = 'Lock' AND query LIKE '%q.due_at <= now()%'""") == "0":
        await asyncio.sleep(0.02)
    sql.close()
    primary.kill_all()
    await primary.process.ended()
    stage.count_at = standby
    await promote(standby)
    await worker.process.says("recorded them again")
    late.release()
    other.thaw()
    while not await stage.load.insert(4):
        pass
    await stage.settle()
    sql = await stage.sql()
    accepted = await sql.value("SELECT count(*) FROM otp.messages WHERE is_primary")
    sql.close()
    stage.expect(accepted == "12", f"{accepted} of 12 jobs ended as accepted")


async def unfenced(stage):
    """An old primary continues to run. It accepts connections and claims to accept writes, but its commits hang, because
    its synchronous standby has been promoted. The workers leave it by themselves, although the URL names it first."""
    await stage.open()
    primary = stage.cluster
    standby = await primary.standby(stage.folder + "-standby")
    stage.others.append(Standby(standby))
    url = (f"postgresql://chaos_worker@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/otp"
           "?sslmode=disable&gssencmode=disable&target_session_attrs=read-write")
    workers = await stage.crew(2, DATABASE_URL=url)
    await stage.load.insert(6)
    sql = await stage.sql()
    while await sql.value("SELECT count(*) FROM otp.messages") != "6":
        await asyncio.sleep(0.02)
    sql.close()
    await primary.caught_up(standby)
    await standby.stop_receiving()
    stage.load.close()
    stage.load.ports, stage.load._sql, stage.load._port = [standby.port], None, 0
    promoted = await promote(standby)
    stage.count_at = standby
    sql = await Sql.connect(standby.port)
    numbers = {}
    while len(numbers) < len(workers) and time.time() - promoted < 40:
        await stage.load.insert(2)
        rows = await sql("""SELECT worker, extract(epoch FROM min(at)) FROM chaos.steps
            WHERE became = 'sending' AND at > to_timestamp(%f) GROUP BY 1""" % promoted)
        numbers = {worker: float(at) - promoted for worker, at in rows}
        await asyncio.sleep(0.2)
    sql.close()
    stage.figures.append(f"first claims {', '.join(f'{t:.1f}' for t in sorted(numbers.values()))} s after the promotion")
    stage.note(stage.figures[-1])
    stage.expect(not primary.process.has_ended, "the old primary ended")
    stage.expect(len(numbers) == len(workers), f"only {len(numbers)} of {len(workers)} workers left the old primary")
    await stage.settle()


async def promote(standby):
    await output(as_postgres() + [f"{binaries()}/pg_ctl", "promote", "-D", standby.folder, "-w"])
    return time.time()


class Standby:
    def __init__(self, cluster):
        self.cluster = cluster

    async def close(self):
        await self.cluster.destroy()
