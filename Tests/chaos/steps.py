"""Scenarios: a worker is killed or stopped at every step of a send."""
import asyncio

# (link, step, what it needs): the steps of a send, in order.
STEPS = [
    ("database", "otpd_claim:asked", "claim not begun"),
    ("database", "otpd_claim:executed", "claim done, not committed"),
    ("database", "otpd_claim:answered", "claim committed, not told"),
    ("database", "otpd_claim:told", "claim told, no connection to Twilio yet"),
    ("twilio", "post:begun", "POST under way, nothing delivered"),
    ("twilio", "post:half", "half of the POST delivered"),
    ("twilio", "post:sent", "POST delivered, not answered"),
    ("twilio", "post:answered", "answered, not told"),
    ("database", "otpd_finish_accepted:asked", "told, finish not begun"),
    ("database", "otpd_finish_accepted:executed", "finish done, not committed"),
    ("database", "otpd_finish_accepted:answered", "finish committed, not told"),
    ("database", "otpd_finish_accepted:told", "finish told"),
]


def trap(worker, link, step):
    match = (lambda context: context["rows"] > 0) if step in ("otpd_claim:answered", "otpd_claim:told") else None
    return getattr(worker, link).trap(step, match)


async def has_jobs(stage, step):
    """Whether the held claim has jobs to take, or has taken some. The other steps always have jobs."""
    if step not in ("otpd_claim:asked", "otpd_claim:executed"):
        return True
    sql = await stage.sql()
    queued, free = (await sql("""SELECT (SELECT count(*) FROM otp.send_jobs WHERE state = 'queued'),
        (SELECT count(*) FROM (SELECT FROM otp.send_jobs WHERE state = 'queued' FOR UPDATE SKIP LOCKED) f)"""))[0]
    sql.close()
    return int(queued) > 0 if step.endswith("asked") else int(free) < int(queued)


async def kill_steps(stage):
    """SIGKILL at each step of a send, one after the other, while a second worker continues."""
    await stage.open()
    victim, other = await stage.crew(2)
    for link, step, words in STEPS:
        if step == "otpd_claim:told":
            await victim.twilio.hide()
            victim.twilio.cut()
        if step in ("otpd_claim:asked", "otpd_claim:executed"):
            # Otherwise the other worker takes the due jobs, and the claim is empty.
            other.database.freeze()
        for _ in range(100):
            caught = trap(victim, link, step)
            await stage.caught(caught)
            if await has_jobs(stage, step):
                break
            caught.release()
        else:
            stage.expect(False, f"every claim caught at {step} was an empty one")
        await victim.kill()
        stage.note(f"SIGKILL: {words}")
        other.database.heal()
        victim.twilio.heal()
        await victim.start()
    await stage.settle()


async def stop_steps(stage):
    """SIGSTOP for longer than the lease at steps of a send, each with a worker of its own, then SIGCONT."""
    await stage.open(life=75 if stage.house.short else None)
    steps = [s for s in STEPS if s[1] in (
        "otpd_claim:answered", "otpd_claim:told", "post:begun", "post:half", "post:sent", "post:answered",
        "otpd_finish_accepted:asked", "otpd_finish_accepted:answered")]
    victims = await stage.crew(len(steps), OTPD_MAX_IN_FLIGHT="8")
    traps = []
    for victim, (link, step, _) in zip(victims, steps):
        if step == "otpd_claim:told":
            await victim.twilio.hide()
        traps.append(trap(victim, link, step))

    async def stop(victim, caught, words):
        await caught.caught(30)
        victim.freeze()
        stage.note(f"SIGSTOP: {words}")
        # The held bytes are passed on now, and the process finds them when it continues.
        caught.release()
        await asyncio.sleep(0.2)
        victim.twilio.heal()
        await asyncio.sleep(stage.random.uniform(32, 36))
        victim.thaw()

    stops = [stage.background(stop(victim, caught, words))
             for victim, caught, (_, _, words) in zip(victims, traps, steps)]
    await stage.caught(*traps, batch=12)
    # Another worker must sweep and continue meanwhile.
    await stage.worker()
    await asyncio.gather(*stops)
    stage.note("SIGCONT: all of them")
    await stage.load.insert(20)
    sql = await stage.sql()
    swept = int(await sql.value("SELECT count(*) FROM chaos.steps WHERE was = 'sending' AND became = 'unknown'"))
    stage.expect(swept > 0, "no lease lapsed: they did not stand still for long enough")
    sql.close()
    await stage.settle()
