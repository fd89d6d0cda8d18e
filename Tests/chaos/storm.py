"""Scenarios: many attacks at once, chosen by the seed, and the long forms, which give the figures."""
import asyncio
import signal
import statistics
import time

from database import break_path, restart
from link import Missed
from steps import STEPS, trap

KILLS = 1000


async def mix(stage):
    """Attacks of all kinds, chosen by the seed, on three workers under load."""
    await stage.open()
    workers = await stage.crew(3)
    flow = stage.background(stage.load.flow(40, 15))
    blows = ["kill", "kill", "stop", "term", "database", "database", "twilio", "twilio", "backends", "restart", "faults"]
    struck = 0
    while not flow.done():
        await asyncio.sleep(stage.random.uniform(0.3, 1))
        worker, blow = stage.random.choice(workers), stage.random.choice(blows)
        if blow == "kill":
            struck += await kill_somewhere(stage, worker)
        elif blow == "stop":
            worker.freeze()
            await asyncio.sleep(stage.random.uniform(0.5, 3))
            worker.thaw()
        elif blow == "term":
            await worker.terminate()
            await worker.start(waits=False)
        elif blow == "backends":
            sql = await stage.sql()
            await sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'chaos_worker'")
            sql.close()
        elif blow == "restart":
            await stage.cluster.stop(stage.random.choice([signal.SIGINT, signal.SIGQUIT, signal.SIGKILL]))
            await stage.cluster.start()
        elif blow == "faults":
            kinds = stage.random.sample(
                ["429", "500", "500_created", "503", "create_then_close", "read_then_close", "close_mid_answer", "garbage"], 3)
            await stage.simulator.faults(rates={kind: stage.random.uniform(0.05, 0.2) for kind in kinds})
            await asyncio.sleep(stage.random.uniform(0.5, 2))
            await stage.simulator.faults(rates={})
        else:
            kinds = ["reset", "close", "freeze", "swallow", "slow", "refuse"] + (["hide"] if blow == "twilio" else [])
            await break_path(stage, getattr(worker, blow), stage.random.choice(kinds), stage.random.uniform(0.3, 3))
        if blow not in ("database", "twilio"):
            stage.note(f"{worker.name}: {blow}")
        struck += blow != "kill"
    stage.expect(struck >= 4, f"only {struck} blows fell")
    await stage.settle()


async def kill_somewhere(stage, worker, seconds=5):
    """SIGKILL at a step chosen by the seed, and a new start. Returns whether a flow reached that step."""
    link, step, _ = stage.random.choice(STEPS)
    caught = trap(worker, link, step)
    hit = True
    try:
        await caught.caught(seconds)
    except Missed:
        hit = False
    if hit:
        await worker.kill()
        await worker.start(waits=False)
    return hit


async def kills(stage):
    """1,000 SIGKILLs at steps chosen by the seed, four workers under load, restarted each time."""
    await stage.open()
    workers = await stage.crew(4, OTPD_MAX_IN_FLIGHT="8")
    done, stops = 0, asyncio.Event()
    by_step = {}

    async def butcher(worker):
        nonlocal done
        while done < KILLS:
            # Time for some work: otherwise nearly every code meets a kill.
            await asyncio.sleep(stage.random.uniform(0.3, 1.2))
            link, step, words = stage.random.choice(STEPS)
            caught = trap(worker, link, step)
            try:
                await caught.caught(10)
            except Missed:
                if caught in getattr(worker, link).traps:
                    getattr(worker, link).traps.remove(caught)
                continue
            await worker.kill()
            done += 1
            by_step[words] = by_step.get(words, 0) + 1
            if done % 100 == 0:
                stage.note(f"{done} SIGKILLs")
            await worker.start(waits=False)

    async def trickle():
        while not stops.is_set():
            await stage.load.insert(6)
            await asyncio.sleep(0.1)

    flow = stage.background(trickle())
    await asyncio.gather(*[butcher(worker) for worker in workers])
    stops.set()
    await flow
    stage.figures.append(f"{done} SIGKILLs, of each kind {min(by_step.values())} or more")
    stage.expect(len(by_step) == len(STEPS), f"never killed at: {[w for _, _, w in STEPS if w not in by_step]}")
    await stage.settle(mops=False)


async def outage(stage):
    """Twilio is away for 60 s while 1,000 jobs wait. All live jobs are sent within 5 s after it returns, and never with more
    requests at once than allowed."""
    await stage.open(life=300, simulator=["--latency-ms", "50"])
    workers = await stage.crew(2, OTPD_MAX_IN_FLIGHT="32")
    for worker in workers:
        worker.twilio.refuse()
        worker.twilio.cut()
    for _ in range(10):
        await stage.load.insert(100)
    await asyncio.sleep(60)
    stage.expect((await stage.simulator.stats())["creates"] == 0, "Twilio was not away")
    for worker in workers:
        worker.twilio.heal()
    healed = time.time()
    await stage.settle()
    arrivals = sorted(message["received_at"] / 1e6 - healed for message in await stage.simulator.inbox())
    concurrent = (await stage.simulator.stats())["max_concurrent"]
    stage.figures.append(f"{len(arrivals)} out, p50 {statistics.median(arrivals):.1f} s, the last {arrivals[-1]:.1f} s "
                         f"after the outage; at most {concurrent} at once")
    stage.note(stage.figures[-1])
    stage.expect(concurrent <= 64, f"{concurrent} requests at once, and 2 × 32 are allowed")
    stage.expect(len(arrivals) == 1000, f"only {len(arrivals)} of 1,000 arrived")
    stage.expect(arrivals[-1] <= 5, stage.figures[-1])


async def poison(stage):
    """A job ends its worker each time before it is sent. It fails with a reason, and stops no other job."""
    await stage.open(life=360)
    workers = await stage.crew(2)
    number = "+966500000000"
    killed = 0
    over = asyncio.Event()

    async def poisoned(worker):
        nonlocal killed
        while not over.is_set():
            caught = worker.twilio.trap("post:begun", lambda context: context["number"] == number)
            waiting = [asyncio.ensure_future(caught.caught(600)), asyncio.ensure_future(over.wait())]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
            if over.is_set():
                return
            await worker.kill()
            killed += 1
            stage.note(f"the poisonous job took down {worker.name}")
            await worker.start(waits=False)

    tasks = [stage.background(poisoned(worker)) for worker in workers]
    began = time.time()
    await stage.load.insert(1)
    flow = stage.background(stage.load.flow(10, 30))
    await flow
    await stage.settle()
    over.set()
    await asyncio.gather(*tasks)
    sql = await stage.sql()
    error = await sql.value(
        "SELECT u.error FROM otp.unsent_jobs u JOIN otp.verifications v ON v.id = u.verification_id "
        f"WHERE v.e164 = '{number}'")
    accepted, slowest = (await sql("SELECT count(*), round(max(extract(epoch FROM accepted_at - requested_at))) "
                                   "FROM otp.messages WHERE is_primary"))[0]
    sql.close()
    stage.figures.append(f"{killed} workers taken down, failed after {time.time() - began:.0f} s; "
                         f"{accepted} others accepted, the slowest after {slowest} s")
    stage.expect(killed == 3, f"it took down {killed} workers")
    stage.expect("claimed 3 times" in (error or ""), f"it ended with: {error}")
    stage.expect(int(accepted) == len(stage.load.committed) - 1, "others did not arrive")


async def recoveries(stage):
    """PostgreSQL restarted ten times in each of three ways, for 0 to 20 s: how long until each worker works again."""
    await stage.open()
    workers = await stage.crew(3)
    stops = asyncio.Event()

    async def trickle():
        while not stops.is_set():
            await stage.load.insert(2)
            await asyncio.sleep(0.1)

    flow = stage.background(trickle())
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        times = []
        for _ in range(10):
            await asyncio.sleep(stage.random.uniform(0.5, 2))
            times += await restart(stage, workers, how, away=stage.random.choice([0, 0, 0.5, 2, 5, 20]))
        stage.figures.append(f"{how.name}: p50 {statistics.median(times):.1f} max {max(times):.1f} s")
    stops.set()
    await flow
    await stage.settle()
