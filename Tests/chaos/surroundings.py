"""Scenarios: what otpd lives on runs out or changes, under 100 jobs a second: disk, descriptors, memory, the clock, Twilio."""
import asyncio
import os
import signal
import struct
import time

from cluster import own
from operators import RATE, arrived, open_stage, patient, prepare, under_load
from process import Process, output
from sql import Sql
from users import Users
from worker import TOKEN

HOUR = 3600
DESCRIPTORS = 24
ADDRESS_SPACE = 330 << 20
NEW_TOKEN = "simulator-auth-token-of-tomorrow"


async def ended(stage, state, number, seconds=400):
    """Until so many jobs have ended in that state without a message."""
    sql = await stage.sql()
    for _ in range(seconds * 2):
        if int(await sql.value(f"SELECT count(*) FROM otp.unsent_jobs WHERE state = '{state}'")) >= number:
            sql.close()
            return
        await asyncio.sleep(0.5)
    sql.close()
    stage.expect(False, f"fewer than {number} jobs {state}")


async def wal_full(stage):
    """The disk of the WAL is full, because a slot holds everything. After a while somebody makes room, and drops the slot."""
    stage.expect(os.getuid() == 0, "only root can mount a small disk")
    await stage.open(life=60, simulator=["--latency-ms", "20"], load=Users)
    await stage.cluster.stop()
    disk = os.path.join(stage.folder, "small-disk")
    os.mkdir(disk)
    wal = os.path.join(stage.folder, "pg_wal")
    # The namespace, and with it the disk, lives as long as this process.
    holder = await Process.start([
        "setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-ec",
        f"mount -t tmpfs -o size=128m,mode=700 tmpfs {disk}; cp -a {wal}/. {disk}/; chown --reference={wal} {disk}; "
        f"mount --bind {disk} {wal}; echo mounted; exec sleep infinity"])
    stage.others.append(Holder(holder))
    await holder.says("mounted")
    enter = ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt"]
    stage.cluster.prefix = enter
    stage.cluster.settings += ["wal_keep_size=0", "min_wal_size=32MB", "max_wal_size=48MB"]
    await stage.cluster.start()
    await prepare(stage)
    await stage.crew(2, OTPD_LOG_FORMAT="json", OTPD_LOG_LEVEL="info")
    async with under_load(stage):
        await fill(stage)
        await output([*enter, "mount", "-o", "remount,size=1g", disk])
        await stage.cluster.ready()
        sql = await patient(stage)
        await sql("SELECT pg_drop_replication_slot('chaos')")
        sql.close()
    panics = sum("No space left on device" in line for process in stage.cluster.processes for line in process.lines)
    stage.expect(panics > 0, "the disk was never full")
    stage.figures.append(f"{panics} × no space left")


class Holder:
    """Keeps a mount namespace until the end of the scenario."""

    def __init__(self, process):
        self.process = process

    async def close(self):
        await self.process.stop()


async def fill(stage, seconds=10):
    """A slot holds the WAL, and the WAL grows until the server has failed again and again for a while."""
    sql = await patient(stage)
    await sql("SELECT pg_create_physical_replication_slot('chaos', true)")
    sql.close()
    began = None
    while began is None or asyncio.get_running_loop().time() < began + seconds:
        try:
            sql = await Sql.connect(stage.cluster.port)
            while True:
                await sql("SELECT pg_logical_emit_message(false, 'chaos', repeat('x', 500000))")
        except Exception:
            began = began or asyncio.get_running_loop().time()
            await asyncio.sleep(0.2)
    stage.note("the disk of the WAL is full")


async def limited(stage, limit, used):
    """One worker starts with the limit, and the other one gets it while it runs. Later both start without it. Twilio answers
    slowly, so that many requests are under way. `used`: what the worker needs of the limited resource."""
    await open_stage(stage, simulator=["--latency-ms", "300"])
    first, second = stage.workers
    async with under_load(stage):
        stage.expect(await first.terminate() == 0, "the worker did not leave")
        first.prefix = ["prlimit", limit]
        await first.start()
        await output(["prlimit", limit, "--pid", str(second.process.pid)])
        peaks = [0, 0]
        wanted = (await stage.simulator.stats())["creates"] + 10 * RATE
        while (await stage.simulator.stats())["creates"] < wanted:
            peaks = [max(peak, used(worker.process.pid)) for peak, worker in zip(peaks, stage.workers)]
            await asyncio.sleep(0.1)
        stage.figures.append(f"used up to {peaks[0]} and {peaks[1]}")
        for worker in stage.workers:
            worker.prefix = []
            await worker.terminate()
            await worker.start()


async def descriptors(stage):
    """24 descriptors: for one worker from its start, and for the other one while it runs."""
    await limited(stage, f"--nofile={DESCRIPTORS}", lambda pid: len(os.listdir(f"/proc/{pid}/fd")))


async def address_space(stage):
    """330 MB of address space: for one worker from its start, and for the other one while it runs."""
    await limited(stage, f"--as={ADDRESS_SPACE}", peak_of_memory)


def peak_of_memory(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmPeak:"))


async def database_clock(stage, off):
    """The clock of the database's host jumps, is wrong for a while, and is corrected."""
    await stage.open(life=60, simulator=["--latency-ms", "20"], load=Users)
    await stage.cluster.stop()
    here, library = os.path.dirname(os.path.abspath(__file__)), os.path.join(stage.house.folder, f"{stage.name}.so")
    await output(["c++", "-x", "c", "-shared", "-fPIC", "-O1", "-o", library, os.path.join(here, "clock.c"), "-ldl"])
    path = os.path.join(stage.folder, "clock")
    with open(path, "wb") as file:
        file.write(struct.pack("l", 0))
    own(path)
    stage.cluster.environment = dict(os.environ, LD_PRELOAD=library, CHAOS_CLOCK_FILE=path)
    await stage.cluster.start()
    await prepare(stage)
    await stage.crew(2, OTPD_LOG_FORMAT="json", OTPD_LOG_LEVEL="info")

    async def jump(seconds):
        # In place, because the server's processes have mapped the file.
        with open(path, "r+b") as file:
            file.write(struct.pack("l", seconds))
        sql = await stage.sql()
        error = float(await sql.value("SELECT extract(epoch FROM clock_timestamp())")) - time.time()
        sql.close()
        stage.expect(abs(error - seconds) < 60, f"the database's clock is off by {error:.0f} s")

    async with under_load(stage):
        await jump(off)
        await arrived(stage, (await stage.simulator.stats())["creates"] + 8 * RATE)
        await jump(0)
    # By the simulator's clock a code dies a life after its commit.
    stage.expiries = {verification: committed + stage.load.life for verification, (_, committed) in stage.load.times.items()}


async def clock_ahead(stage):
    """The database's clock jumps an hour ahead, and later back."""
    await database_clock(stage, HOUR)


async def clock_back(stage):
    """The database's clock jumps an hour back, and later ahead."""
    await database_clock(stage, -HOUR)


async def twilio_away(stage):
    """Twilio is away for so long that the codes of more than a life expire. A longer outage has no further effect: the queue
    never holds more than one life of codes (here 60 s), and the checks have reached their longest interval."""
    await open_stage(stage)
    async with under_load(stage):
        for worker in stage.workers:
            worker.twilio.refuse()
            worker.twilio.cut()
        await ended(stage, "expired", 60 * RATE)
        for worker in stage.workers:
            worker.twilio.heal()


async def wrong_token(stage):
    """The token was changed at Twilio, and otpd has the old one until codes of half a life (60 s) have expired. Then somebody
    writes the new one into otpd's file, and reloads it."""
    path = os.path.join(stage.house.folder, f"{stage.name}.token")
    with open(path, "w") as file:
        file.write(TOKEN)
    await open_stage(stage, TWILIO_AUTH_TOKEN=None, TWILIO_AUTH_TOKEN_FILE=path)
    async with under_load(stage):
        await stage.simulator.faults(auth_token=NEW_TOKEN)
        await ended(stage, "expired", 30 * RATE)
        with open(path, "w") as file:
            file.write(NEW_TOKEN)
        for worker in stage.workers:
            worker.process.signal(signal.SIGHUP)
