"""The place of one fault: a new cluster, a simulator, both otpd and the load. It counts at the end."""
import asyncio
import os
import random
import shutil
import time

from backend import Backend
from cluster import WATCH
from count import count
from daemons import HOSTS, URLS, Daemon, HAProxy, save
from link import Missed
from process import output
from proof import prove
from sql import Sql
from tally import Result, arrivals, first_sends
from trio import Trio
from worker import Simulator

# The harness's own: who claimed, on which server; a table for commits that are not otpd's.
SCHEMA = WATCH + """
ALTER TABLE chaos.steps ADD node inet DEFAULT inet_server_addr(), ADD login name DEFAULT session_user;
CREATE TABLE chaos.beats (at timestamptz DEFAULT clock_timestamp());
CREATE ROLE chaos_haproxy LOGIN IN ROLE otp_worker;
"""


# Milliseconds of an answer of Twilio: so there are always some requests under way when a fault strikes.
LATENCY = "200"


class Arena:
    def __init__(self, name: str, house, seed: int):
        self.name, self.house, self.seed = name, house, seed
        self.random = random.Random(f"{seed}:{name}")
        self.folder = os.path.join(house.folder, name)
        self.result = Result(name)
        self.trio: Trio = None
        self.simulator = self.backend = self.haproxy = None
        self.daemons: list[Daemon] = []
        self._forms = None
        self.final = None

    def say(self, text: str) -> None:
        self.house.say(f"{self.name}: {text}")

    def expect(self, condition: bool, text: str) -> None:
        if not condition:
            raise Missed(text)

    async def open(self, clocks: list[int]) -> None:
        os.makedirs(self.folder)
        self.trio = await Trio.start(self.house, self.folder, self.seed, clocks)
        primary = await self.first_primary()
        await self.trio.ask(primary, "CREATE DATABASE otp ENCODING 'UTF8' TEMPLATE template0", "postgres", 60)
        url = f"postgresql://postgres@{HOSTS}/otp?target_session_attrs=read-write&sslmode=disable&gssencmode=disable"
        await output([f"{self.house.binaries}/otpd", "migrate", "up"], dict(os.environ, DATABASE_URL=url))
        await self.trio.ask(primary, SCHEMA, seconds=60)
        await self.trio.whole()
        self.simulator = await Simulator.start(self.house.binaries, ["--latency-ms", LATENCY])
        self.haproxy = await HAProxy.start(self.house.tree, self.folder)
        self.daemons = [Daemon(self.house.binaries, user, self.simulator) for user in URLS]
        for daemon in self.daemons:
            await daemon.start()
        for daemon in self.daemons:
            await daemon.listens()
        self.backend = Backend(self.house.rate, random.Random(f"{self.seed}:{self.name}:load"))
        self.trio.tell = self.backend.lead
        self.say("the cluster is whole, and the load begins")

    async def first_primary(self):
        """Waits for the cluster's first primary, which has no database of ours yet."""
        for _ in range(1200):
            primaries = await self.trio.primaries()
            if primaries:
                return primaries[0]
            await asyncio.sleep(0.1)
        raise RuntimeError("Patroni has made no primary within two minutes")

    async def flows(self, seconds: float = 120) -> None:
        """Waits until codes are acknowledged and sent again."""
        codes = len(self.backend.times)
        creates = (await self.simulator.stats())["creates"]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if len(self.backend.times) >= codes + 20 and (await self.simulator.stats())["creates"] >= creates + 20:
                return
            await asyncio.sleep(0.2)
        raise RuntimeError(f"{len(self.backend.times) - codes} codes were acknowledged within {seconds:.0f} s, and "
                           f"{(await self.simulator.stats())['creates'] - creates} messages were sent")

    async def claimed_by_all(self, seconds: float = 90) -> None:
        """Waits until each otpd has claimed on the present primary. The time that each needed is counted at the end."""
        promotion = max(self.trio.promotions, key=lambda promotion: promotion.at)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            rows = await self.trio.ask(promotion.node, f"""SELECT DISTINCT login FROM chaos.steps WHERE became = 'sending'
                AND node = '{promotion.node.address}' AND at > to_timestamp({promotion.at + promotion.node.clock})""")
            missing = {daemon.user for daemon in self.daemons} - {login for login, in rows}
            if not missing:
                return
            await asyncio.sleep(0.3)
        raise RuntimeError(f"{missing} claimed nothing within {seconds:.0f} s on {promotion.node.name}")

    def turn(self, *forms):
        """The form of this strike: the seed chooses their order, and each comes before one comes again."""
        if not self._forms:
            self._forms = random.Random(f"{self.seed}:{self.name}:forms").sample(forms, len(forms))
        return self._forms[(self.trio.strike - 1) % len(forms)]

    async def pause(self, least: float, most: float) -> None:
        """Lets the load run for a time that the seed chooses."""
        await asyncio.sleep(self.random.uniform(least, most))

    async def until(self, condition, text: str, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not await condition():
            self.expect(time.monotonic() < end, f"{text} within {seconds:.0f} s")
            await asyncio.sleep(0.2)

    async def play(self, fault, times: int) -> None:
        """Strikes several times, and lets everything come back each time."""
        for number in range(1, times + 1):
            primary = await self.trio.whole()
            await self.flows()
            await self.pause(1, 3)
            self.trio.strike, self.backend.full = number, 0
            self.say(f"strike {number}: {primary.name} is the primary")
            await fault(self, primary)
            await self.trio.network.heal()
            await self.trio.whole()
            await self.flows()
            await self.claimed_by_all()
            self.result.times = number

    async def settle(self) -> None:
        """Ends the load, and waits until every job has ended, or its time is over."""
        await self.backend.stop()
        self.final = await self.trio.whole()
        self.say(f"{len(self.backend.acknowledged)} acknowledged; waiting for the ends of all jobs")
        # A cluster that came back late still has to settle what was under way: a lease, a grace and two lookups.
        limit = max(self.backend.last_expiry + 60, time.time() + 150)
        while time.time() < limit:
            rows = await self.trio.ask(self.final, "SELECT count(*) FROM otp.send_jobs")
            if rows == [("0",)]:
                return
            await asyncio.sleep(0.5)

    async def judge(self) -> None:
        """The count."""
        result, trio, backend = self.result, self.trio, self.backend
        inbox = await self.simulator.inbox()
        sql = await Sql.connect(5432, host=self.final.sockets)
        # A new primary may give the number of a lost row to another one.
        rows = {int(verification): e164 for verification, e164 in await sql(
            "SELECT v.id, v.e164 FROM otp.verifications v JOIN chaos.steps s ON s.verification = v.id GROUP BY 1, 2")}
        result.forgotten = [f"verification {verification} (…{number[-5:]}): acknowledged, and not in the new primary"
                            for verification, number in backend.acknowledged.items() if rows.get(verification) != number]
        known = {verification: 0 for verification, number in backend.acknowledged.items() if rows.get(verification) == number}
        claims = [(e164, login, node, float(at)) for e164, login, node, at in await sql("""
            SELECT v.e164, s.login, host(s.node), extract(epoch FROM s.at)
            FROM chaos.steps s JOIN otp.verifications v ON v.id = s.verification
            WHERE s.became = 'sending' AND s.node IS NOT NULL ORDER BY s.at""")]
        clocks = {node.address: node for node in trio.nodes}
        claims = [(e164, login, node, at - clocks[node].clock_at(at)) for e164, login, node, at in claims]
        # A code dies by the clock of the server that its job was claimed at.
        judged = {e164: clocks[node].clock_at(at) for e164, _, node, at in claims}
        shifted = [dict(message, received_at=message["received_at"] + 1_000_000 * judged.get(message["to"], 0))
                   for message in inbox]
        result.tally = await count(sql, shifted, known, [])
        await prove(sql, shifted, known, result)
        arrived = arrivals(inbox)
        result.messages.update(min(2, len(arrived.get(number, []))) for number in backend.acknowledged.values())
        result.acknowledged = len(backend.acknowledged)
        result.unacknowledged = backend.refused
        sql.close()
        result.problems += result.tally.problems + backend.trouble[:5]
        for daemon in self.daemons:
            result.problems += daemon.trouble
        result.repairs = trio.repairs
        first_sends(result, trio.promotions, claims, arrived)

    async def close(self) -> None:
        if self.house.logs:
            folder = os.path.join(self.house.logs, self.name)
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            for daemon in self.daemons:
                daemon.save_log(folder)
            if self.haproxy:
                save([self.haproxy.process], f"{folder}/haproxy.log")
            if self.trio:
                await self.trio.save_logs(folder)
        if self.backend:
            self.backend.close()
        for daemon in self.daemons:
            if daemon.process:
                await daemon.process.stop()
        if self.haproxy:
            await self.haproxy.close()
        if self.simulator:
            await self.simulator.process.stop()
        if self.trio:
            await self.trio.close()
