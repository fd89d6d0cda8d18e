"""Scenarios: the database, and the way to it, fail."""
import asyncio
import signal
import time

FLOW = 40   # jobs per second


async def sigterm(stage):
    """SIGTERM in the middle of a batch: requests already sent to Twilio are finished and written, and the other jobs are given back."""
    await stage.open(simulator=["--latency-ms", "400"])
    workers = await stage.crew(3, OTPD_MAX_IN_FLIGHT="16")
    flow = stage.background(stage.load.flow(120))
    for worker in workers:
        caught = worker.twilio.trap("post:sent")
        await caught.caught()
        caught.release()
        await asyncio.sleep(stage.random.uniform(0.1, 0.5))
        patience = time.monotonic() + 30    # a busy machine is slow to begin the second request
        while len(worker.twilio.connections) < 2 and time.monotonic() < patience:
            await asyncio.sleep(0.05)
        busy = len(worker.twilio.connections)
        stage.expect(busy > 1, "it was not in the middle of a batch")
        began = time.monotonic()
        code = await worker.terminate()
        stage.note(f"SIGTERM with {busy} connections busy: left with {code} after {time.monotonic() - began:.1f} s")
        stage.expect(code == 0, f"SIGTERM ended otpd with {code}: {worker.process.tail(5)}")
        await worker.start()
    stage.load.stop()
    await flow
    await stage.settle()
    sql = await stage.sql()
    unknown = int(await sql.value("SELECT count(*) FROM chaos.steps WHERE became = 'unknown'"))
    sql.close()
    stage.expect(unknown == 0, f"a drain left {unknown} outcomes unknown")


async def backends(stage):
    """pg_terminate_backend of every session of otpd, again and again, under load."""
    await stage.open()
    await stage.crew(2)
    flow = stage.background(stage.load.flow(FLOW, 10))
    sql = await stage.sql()
    ended = 0
    while not flow.done():
        await asyncio.sleep(stage.random.uniform(0.2, 1.5))
        ended += int(await sql.value("""SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))
            FROM pg_stat_activity WHERE usename = 'chaos_worker'"""))
    sql.close()
    stage.note(f"{ended} backends terminated")
    stage.expect(ended >= 4, "no backend of otpd's was there to be terminated")
    await stage.settle()


async def database_restart(stage):
    """PostgreSQL stopped fast, stopped immediately, its postmaster killed with -9; started again each time, under load."""
    await stage.open()
    workers = await stage.crew(2)
    flow = stage.background(stage.load.flow(FLOW))
    recoveries = []
    for how in stage.random.sample([signal.SIGINT, signal.SIGQUIT, signal.SIGKILL], 3):
        await asyncio.sleep(stage.random.uniform(1, 2.5))
        recoveries += await restart(stage, workers, how)
    stage.figures.append(f"back at work {min(recoveries):.1f}–{max(recoveries):.1f} s after the server")
    stage.load.stop()
    await flow
    await stage.settle()


async def restart(stage, workers, how, away=0.5):
    """Stops and starts the server. Returns how long each worker needs to claim again after the server accepts connections."""
    await stage.cluster.stop(how)
    stage.expect(stage.cluster.process.has_ended, "the server did not stop")
    await asyncio.sleep(away)
    claims = [worker.database.reached.get("otpd_claim:told", 0) for worker in workers]
    await stage.cluster.start()
    back = time.monotonic()

    async def works(worker, before):
        while worker.database.reached.get("otpd_claim:told", 0) == before:
            await asyncio.sleep(0.02)
        return time.monotonic() - back

    times = await asyncio.wait_for(
        asyncio.gather(*[works(worker, before) for worker, before in zip(workers, claims)]), 40)
    stage.note(f"{how.name}: workers claim again after {', '.join(f'{t:.1f}' for t in times)} s")
    return times


async def database_path(stage):
    """The link to the database is reset, closed, frozen, half-open, slowed, refused; healed each time."""
    await stage.open()
    workers = await stage.crew(2)
    flow = stage.background(stage.load.flow(FLOW))
    blows = ["reset", "close", "freeze", "swallow", "slow", "refuse"]
    stage.random.shuffle(blows)

    async def strike(worker, blows):
        for blow in blows:
            # The deadline of a statement finds a half-open link after 10 s.
            await break_path(stage, worker.database, blow, 11 if blow == "swallow" else stage.random.uniform(1, 4))
            await asyncio.sleep(stage.random.uniform(0.5, 1.5))

    await asyncio.gather(strike(workers[0], blows[:3]), strike(workers[1], blows[3:]))
    stage.load.stop()
    await flow
    await stage.settle()


async def break_path(stage, link, blow, seconds):
    """Breaks one link for a while, and then restores it."""
    for _ in range(1000):
        if link.connections:
            break
        await asyncio.sleep(0.02)
    stage.expect(link.connections, f"{link.name}: there is no connection to {blow}")
    stage.note(f"{link.name}: {blow} for {seconds:.1f} s")
    if blow in ("reset", "close"):
        link.cut(reset=blow == "reset")
        return
    if blow == "freeze":
        link.freeze()
    elif blow == "swallow":
        link.swallow()
    elif blow == "slow":
        link.slow(stage.random.choice([50, 200, 1000]))
    elif blow == "refuse":
        link.refuse()
        link.cut()
    elif blow == "hide":
        await link.hide()
        link.cut()
    await asyncio.sleep(seconds)
    link.heal()
