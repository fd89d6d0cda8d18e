"""The stage of one scenario: a database, a simulator, workers and a load of its own. It ends with the scenario."""
import asyncio
import collections
import os
import random
import time

from cluster import Cluster
from count import count
from leaks import leaks
from link import Missed
from load import Load
from sql import Sql
from worker import Simulator, Worker


class Stage:
    def __init__(self, name, house, seed):
        self.name, self.house = name, house
        self.binaries = house.binaries      # of the workers that start from now on
        self.random = random.Random(f"{seed}:{name}")
        self.notes = []         # the attacks so far
        self.forgiven = False   # the failures were made on purpose, and were found
        self.repeatable = ()    # channels whose unknown outcomes may be sent again without a look
        self.figures = []       # measured figures
        self.expiries = {}      # verification → when its code died, if the database's clock is wrong
        self.forgotten = set()  # recipients that the database no longer knows
        self.seen = None        # what users saw of an operator's work
        self.checks = []        # further parts of the count: coroutines of (sql, inbox, tally)
        self.workers, self.others = [], []
        self.count_at = None    # the cluster to count, if it is not the first one
        self.load = self.simulator = self.cluster = None
        self._background = []

    async def open(self, life=None, simulator=(), load=Load, template=None):
        """`life` of the codes, in seconds: without, the shortest there is in the short form (no code lives until a lost
        send may be repeated), and in the long form enough for all that the reconciler does (a lease, a grace, two lookups).
        `template`: the database in place of the shared one."""
        life = life or (60 if self.house.short else 170)
        self.folder = os.path.join(self.house.folder, self.name)
        self.cluster = await Cluster.copy(template or self.house.template, self.folder, ["synchronous_commit=on"], self.house.programs)
        self.simulator = await Simulator.start(self.house.binaries, simulator)
        self.load = load([self.cluster.port], life)
        return self

    def note(self, text):
        self.notes.append(text)
        self.house.say(f"{self.name}: {text}")

    async def worker(self, narrow=False, waits=True, **settings):
        # Logs are searched for codes and numbers, so they have the lowest level and both formats.
        number = len(self.workers) + 1
        settings = {"OTPD_LOG_FORMAT": "json" if number % 2 else "text", **settings}
        worker = Worker(self.binaries, f"w{number}", self.cluster, self.simulator, settings)
        self.workers.append(worker)
        await worker.open(narrow)
        await worker.start(waits)
        return worker

    async def crew(self, number, **settings):
        return await asyncio.gather(*[self.worker(**settings) for _ in range(number)])

    async def sql(self):
        return await Sql.connect((self.count_at or self.cluster).port, options="-c statement_timeout=20s")

    def background(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self._background.append(task)
        return task

    async def caught(self, *traps, seconds=30, batch=6, **options):
        """Load until all traps have caught a flow."""
        await self.load.until(lambda: all(t.is_sprung for t in traps), batch=batch, seconds=seconds, **options)
        for trap in traps:
            await trap.caught(1)

    def expect(self, condition, text):
        if not condition:
            raise Missed(text)

    async def settle(self, mops=True):
        """Until every job has ended, or its time is over. `mops`: one more worker, once all codes have died, so that
        nobody has to wait for the idle sweep (every 20 s). A last lookup decides an unknown outcome: within 15 s of the
        code's expiry, and later if the worker of that lookup was killed."""
        limit = max(self.load.last_expiry, time.time()) + (75 if not mops else 50)
        mop = None
        while time.time() < limit:
            try:
                sql = await self.sql()
                left = int(await sql.value("SELECT count(*) FROM otp.send_jobs"))
                sql.close()
            except Exception:
                left = -1
            if left == 0:
                break
            if mops and mop is None and time.time() > self.load.last_expiry + 1:
                mop = await self.worker(waits=False)
            await asyncio.sleep(0.25)

    async def tally(self):
        sql = await self.sql()
        deaths = [death for worker in self.workers for death in worker.deaths]
        inbox = [message for message in await self.simulator.inbox() if message["to"] not in self.forgotten]
        handed_over = collections.defaultdict(list)
        for worker in self.workers:
            for place, times in worker.twilio.handed_over.items():
                handed_over[place] += times
        tally = await count(sql, inbox, self.load.committed, deaths, self.repeatable, self.expiries, handed_over)
        for check in self.checks:
            await check(sql, inbox, tally)
        sql.close()
        logs = {f"the log of {worker.name}": [line for process in worker.processes for line in process.lines]
                for worker in self.workers}
        logs["PostgreSQL's log"] = [line for process in self.cluster.processes for line in process.lines]
        for leak in leaks(logs, inbox):
            tally.wrong(leak)
        for link in [link for worker in self.workers for link in worker.links]:
            for trouble in link.trouble:
                tally.wrong(f"the harness itself: {trouble}")
        for worker in self.workers:
            for process in worker.processes:
                for line in process.lines:
                    if "Fatal error" in line or "Precondition failed" in line:
                        tally.wrong(f"otpd crashed: {line}")
                if process.has_ended and process._process.returncode not in (0, -9):
                    tally.wrong(f"otpd ended with {process._process.returncode}: {process.tail(3)}")
        stats = await self.simulator.stats()
        tally.max_concurrent = stats["max_concurrent"]
        return tally

    async def close(self):
        for task in self._background:
            task.cancel()
        for worker in self.workers:
            await worker.close()
        for other in self.others:
            closing = other.close()
            if closing is not None:
                await closing
        if self.load:
            self.load.close()
        if self.simulator:
            await self.simulator.process.stop()
        if self.cluster:
            await self.cluster.destroy()
