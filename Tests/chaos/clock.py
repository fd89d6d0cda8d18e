"""Scenario: a worker whose clock is wrong."""
import asyncio
import datetime
import os
import re

from process import output

HOUR = 3600


async def clock(stage):
    """One worker's clock is an hour ahead, and another's an hour behind: leases and expiry follow the database's clock."""
    await stage.open()
    library = os.path.join(stage.folder, "chaos-clock.so")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clock.c")
    await output(["c++", "-x", "c", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"])
    workers = await asyncio.gather(*[
        stage.worker(LD_PRELOAD=library, CHAOS_CLOCK=str(off)) for off in (HOUR, -HOUR)])
    for worker, off in zip(workers, (HOUR, -HOUR)):
        line = await worker.process.says("listening for jobs")
        stamp = re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", line)
        stage.expect(stamp, f"no time in the log: {line}")
        logged = datetime.datetime.fromisoformat(stamp.group() + "+00:00").timestamp()
        error = logged - datetime.datetime.now(datetime.timezone.utc).timestamp()
        stage.expect(abs(error - off) < 60, f"its clock is off by {error:.0f} s and not by {off}: {line}")
        stage.note(f"a worker logs {stamp.group()}")
    await stage.simulator.faults(rates={"429": 0.2, "503": 0.1})
    flow = stage.background(stage.load.flow(40, 8))
    await asyncio.sleep(4)
    caught = workers[0].twilio.trap("post:sent")
    await caught.caught()
    await workers[0].kill()
    await workers[0].start()
    await flow
    await stage.simulator.faults(rates={})
    await stage.settle()
