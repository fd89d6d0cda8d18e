"""Scenario: the primary dies, a synchronous standby is promoted."""
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
    # However long nobody was there to write to.
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


async def promote(standby):
    await output(as_postgres() + [f"{binaries()}/pg_ctl", "promote", "-D", standby.folder, "-w"])
    return time.time()


class Standby:
    def __init__(self, cluster):
        self.cluster = cluster

    async def close(self):
        await self.cluster.destroy()
