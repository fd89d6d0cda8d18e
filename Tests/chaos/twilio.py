"""Scenarios: Twilio or the link to it fails."""
import asyncio

from callbacks import Backend
from database import break_path

FLOW = 40   # jobs per second
LONG = {"purpose": "chaos_long", "locale": "ar"}


async def twilio_path(stage):
    """The link to Twilio is reset, closed, frozen, half-open, slowed, refused, hanging; healed each time."""
    await stage.open()
    workers = await stage.crew(2)
    flow = stage.background(stage.load.flow(FLOW))
    blows = ["reset", "close", "freeze", "swallow", "slow", "refuse", "hide"]
    stage.random.shuffle(blows)

    async def strike(worker, blows):
        for blow in blows:
            caught = worker.twilio.trap("post:begun")
            # A worker that could not reach Twilio several times in a row pauses for some seconds.
            await caught.caught(40)
            caught.release()
            await break_path(stage, worker.twilio, blow, stage.random.uniform(1, 4))

    await asyncio.gather(strike(workers[0], blows[:4]), strike(workers[1], blows[4:]))
    stage.load.stop()
    await flow
    await stage.settle()


async def cut_unsent(stage):
    """The link to Twilio freezes while a text is half out of the process (a window of 1 KB, a text of 6 KB). One worker
    waits, one is killed, and one is stopped. The link is restored later (after a minute in the long form), and none of
    those texts may arrive."""
    frozen = stage.random.uniform(36, 40) if stage.house.short else stage.random.uniform(60, 65)
    await stage.open()
    names = ["waits", "dies", "stands still"]
    workers = await stage.crew(3, narrow=True, OTPD_MAX_IN_FLIGHT="4")
    for worker in workers:
        worker.twilio.freeze()
    traps = [worker.database.trap("otpd_claim:told", lambda context: context["rows"] > 0) for worker in workers]
    await stage.caught(*traps, batch=4, **LONG)
    for name, worker, caught in zip(names, workers, traps):
        caught.release()
        # Its POSTs now lie in its kernel: connected, and not read.
        for _ in range(200):
            if (stuck := unsent(worker.twilio)) > 1000:
                break
            await asyncio.sleep(0.02)
        stage.expect(stuck > 1000, f"only {stuck} bytes were stuck in the kernel")
        stage.note(f"{name}: {stuck} bytes have not left its kernel")
        if name == "dies":
            await worker.kill(discards=False)
        elif name == "stands still":
            worker.freeze()
    await asyncio.sleep(frozen)
    stage.expect((await stage.simulator.stats())["creates"] == 0, "something got through a frozen way")
    for worker in workers:
        worker.twilio.heal()
    await asyncio.sleep(1)
    # A repeated send uses a new connection.
    late = sum(age > 20 for worker in workers for age in worker.twilio.ages)
    workers[2].thaw()
    await workers[1].start()
    await stage.load.insert(6)
    await stage.settle()
    stage.expect(late == 0, f"{late} POSTs came out of the past, {frozen:.0f} s after the way was cut")


def unsent(link):
    """Bytes that the kernel holds on the workers' side of a link, neither delivered nor acknowledged."""
    total = 0
    with open("/proc/net/tcp") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            if int(fields[2].rsplit(":", 1)[1], 16) == link.port and fields[3] == "01":
                total += int(fields[4].split(":")[0], 16)
    return total


async def simulator_faults(stage):
    """Twilio answers late, never, by half, with garbage, with 5xx, not at all, each with and without a message."""
    await stage.open()
    await stage.crew(2)
    rates = {"slow": 0.04, "never": 0.02, "close_mid_answer": 0.04, "garbage": 0.04, "500": 0.04, "500_created": 0.04,
             "503": 0.04, "read_then_close": 0.04, "create_then_close": 0.04, "429": 0.05, "429_no_retry_after": 0.05}
    await stage.simulator.faults(rates=rates, slow_ms=12_000)
    await stage.load.flow(FLOW, 10)
    # Refusals slow the workers down. The faults that chance has left out come now, and more often.
    end = asyncio.get_running_loop().time() + 30
    while True:
        met = (await stage.simulator.stats())["faults"]
        missing = rates.keys() - met.keys()
        if not missing or asyncio.get_running_loop().time() > end:
            break
        await stage.simulator.faults(rates={kind: 0.5 / len(missing) for kind in missing})
        await stage.load.flow(FLOW, 1)
    await stage.simulator.faults(rates={})
    stage.expect(not missing, f"never met: {', '.join(missing)}")
    stage.note(f"met {sum(met.values())} faults of {len(met)} kinds")
    await stage.settle()


async def twice(stage):
    """Answers arrive twice. The second must not count as the answer for the next message."""
    await stage.open()
    workers = await stage.crew(2)
    for worker in workers:
        worker.twilio.echoes = 30
    await stage.load.flow(FLOW, 5)
    stage.expect(sum(worker.twilio.reached.get("echo", 0) for worker in workers) > 20, "no answer was given twice")
    await stage.settle()


async def storm_429(stage):
    """A storm of 429s, and limits on how much Twilio takes at a time."""
    await stage.open()
    await stage.crew(2)
    await stage.simulator.faults(rates={"429": 0.4, "429_no_retry_after": 0.4})
    flow = stage.background(stage.load.flow(FLOW, 12))
    await asyncio.sleep(6)
    await stage.simulator.faults(rates={}, max_concurrent=5)
    await flow
    await stage.simulator.faults(max_concurrent=0)
    stats = await stage.simulator.stats()
    refused = stats["too_many_requests"] + sum(stats["faults"].values())
    stage.note(f"{refused} answers of 429")
    # A worker that has learned the low limit asks for little.
    stage.expect(refused > 10, "there was no storm")
    await stage.settle()


async def list_lag(stage):
    """Outcomes are unknown while Twilio's list lags behind by seconds."""
    await stage.open(life=170)
    workers = await stage.crew(2)
    await stage.simulator.faults(list_lag_ms=stage.random.randrange(2000, 14000), rates={"create_then_close": 0.3, "read_then_close": 0.3})
    await stage.load.flow(FLOW, 3)
    await stage.simulator.faults(rates={})
    await stage.settle()
    stage.expect(any(worker.twilio.reached.get("list:begun") for worker in workers), "no worker asked for Twilio's list")


async def callbacks(stage):
    """Callbacks lost, duplicated and reversed, while answers get lost: the harness is the backend that receives them."""
    backend = await Backend.start(stage)
    await stage.open(simulator=["--faults", '{"callbacks": {"lost": 0.2, "duplicated": 0.3, "reversed": 0.3}}'])
    workers = await stage.crew(2, OTPD_CALLBACK_PUBLIC_URL=backend.url)
    await stage.simulator.faults(rates={"create_then_close": 0.15, "500_created": 0.15})
    flow = stage.background(stage.load.flow(FLOW, 8))
    await asyncio.sleep(3)
    victim = workers[0]
    caught = victim.twilio.trap("post:answered")
    await caught.caught()
    await victim.kill()
    await victim.start()
    await flow
    stage.expect(any(worker.twilio.callbacks_asked for worker in workers), "no request asked for callbacks")
    await stage.settle()
    stage.note(f"{backend.received} callbacks, {backend.known} of them known")
    stage.expect(backend.received > 20, "no callbacks came")
