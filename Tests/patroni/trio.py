"""The three nodes as one: which is the primary, whether all are well, and when each became the primary."""
import asyncio
import dataclasses
import json
import os
import time

from network import Network
from node import NUMBERS, Node
from process import output
from sql import Sql, SqlError

READY = "database system is ready to accept connections"
TROUBLE = (OSError, SqlError, asyncio.IncompleteReadError, asyncio.TimeoutError)


@dataclasses.dataclass
class Promotion:
    """A server that began to take writes: a standby that was promoted, or a primary that was started again."""
    node: Node
    at: float
    durable: float | None = None     # when it first confirmed a commit with its standby
    strike: int = 0                  # which of the faults came before


class Trio:
    @classmethod
    async def start(cls, house, folder: str, seed: int, clocks: list[int]) -> "Trio":
        self = cls()
        self.house, self.promotions, self.strike = house, [], 0
        self.repairs = 0
        self.tell = lambda number: None     # called with the number of each server that becomes the primary
        self.network = await Network.start(seed)
        await self.network.attach(10)
        self.nodes = [Node(number, folder, house.clock, self.network, house.synchronous) for number in NUMBERS]
        self._watching: list[asyncio.Task] = []
        await asyncio.gather(*[node.prepare(house.tree) for node in self.nodes])
        await asyncio.gather(*[node.start(clock) for node, clock in zip(self.nodes, clocks)])
        self._watching = [asyncio.ensure_future(self._watch(node)) for node in self.nodes]
        return self

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    async def ask(self, node: Node, query: str, database: str = "otp", seconds: float = 10) -> list[tuple]:
        """Asks a server by its Unix socket, so that no cut of the network matters."""
        sql = await Sql.connect(5432, database=database, host=node.sockets, seconds=seconds)
        try:
            return await asyncio.wait_for(sql(query), seconds)
        finally:
            sql.close()

    async def primaries(self) -> list[Node]:
        """All servers that take writes. Two of them, while an old primary is not fenced."""
        async def is_primary(node: Node) -> bool:
            try:
                return (await self.ask(node, "SELECT pg_is_in_recovery()", "postgres", 3))[0][0] == "f"
            except TROUBLE:
                return False
        found = await asyncio.gather(*[is_primary(node) for node in self.nodes])
        return [node for node, yes in zip(self.nodes, found) if yes]

    async def state(self) -> tuple[Node | None, str]:
        """The primary, and what is wrong. The text is empty if nothing is."""
        primaries = await self.primaries()
        if len(primaries) != 1:
            return None, f"{len(primaries)} primaries"
        primary = primaries[0]
        try:
            rows = await self.ask(primary, "SELECT application_name, state, sync_state FROM pg_stat_replication", "postgres", 5)
        except TROUBLE as failure:
            return primary, f"{primary.name} does not answer: {failure}"
        streaming = {name for name, state, _ in rows if state == "streaming"}
        missing = {node.name for node in self.nodes if node is not primary} - streaming
        if missing:
            return primary, f"{', '.join(sorted(missing))} does not follow {primary.name}"
        if self.house.synchronous and not any(sync in ("sync", "quorum") for _, _, sync in rows):
            return primary, "no standby is synchronous"
        return primary, ""

    async def whole(self, seconds: float = 300) -> Node:
        """Waits until there are one primary, two standbys and a synchronous one of them. A node that cannot come back by
        itself gets a new copy, as an operator would give it one."""
        began, repaired = time.monotonic(), set()
        while True:
            primary, wrong = await self.state()
            if not wrong:
                return primary
            passed = time.monotonic() - began
            if passed > seconds:
                raise RuntimeError(f"the cluster does not become whole: {wrong}")
            if passed > seconds / 3 and primary is not None:
                for node in self.nodes:
                    if node.name in wrong and node is not primary and node not in repaired:
                        repaired.add(node)
                        self.repairs += 1
                        self.house.say(f"{node.name} gets a new copy: {wrong}")
                        await node.kill()
                        await self.network.heal()
                        await node.wipe()
                        await node.start(node.clock)
            await asyncio.sleep(0.3)

    async def promoted(self, after: float, but: Node | None = None, seconds: float = 150) -> Promotion:
        """Waits for a promotion after a time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for promotion in self.promotions:
                if promotion.at >= after and promotion.node is not but:
                    return promotion
            await asyncio.sleep(0.1)
        raise RuntimeError(f"no server was promoted within {seconds} s")

    async def _watch(self, node: Node) -> None:
        """Reads a server's log, which has the exact time of each promotion by the node's clock."""
        at = 0
        while True:
            await asyncio.sleep(0.1)
            if not os.path.exists(node.log):
                continue
            with open(node.log, errors="replace") as file:
                file.seek(at)
                text = file.read()
            *lines, rest = text.split("\n")
            at += len(text.encode(errors="replace")) - len(rest.encode(errors="replace"))
            for line in lines:
                if line.endswith(READY):
                    promotion = Promotion(node, float(line.split()[0]) - node.clock, strike=self.strike)
                    self.promotions.append(promotion)
                    self.tell(node.number)
                    self.house.say(f"{node.name} takes writes")
                    self._watching.append(asyncio.ensure_future(self._durable(promotion)))

    async def _durable(self, promotion: Promotion) -> None:
        """When the first commit was confirmed by a standby, without otpd and without the network of the clients."""
        while time.time() < promotion.at + 300:
            try:
                await self.ask(promotion.node, "INSERT INTO chaos.beats DEFAULT VALUES", seconds=60)
                promotion.durable = time.time()
                return
            except TROUBLE:
                await asyncio.sleep(0.05)

    async def post(self, node: Node, path: str, **body) -> str:
        """Asks a Patroni."""
        text = json.dumps(body).encode()
        reader, writer = await asyncio.wait_for(asyncio.open_connection(node.address, 8008), 10)
        writer.write(f"POST {path} HTTP/1.0\r\nHost: {node.name}\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
        answer = (await asyncio.wait_for(reader.read(), 120)).decode(errors="replace")
        writer.close()
        return answer.split("\r\n")[0].split(" ", 1)[1] + ": " + answer.rsplit("\r\n", 1)[1]

    async def save_logs(self, folder: str) -> None:
        for node in self.nodes:
            await output(["cp", "-r", f"{node.state}/log", f"{folder}/{node.name}"])

    async def close(self) -> None:
        for task in self._watching:
            task.cancel()
        for node in self.nodes:
            await node.kill()
        self.network.close()
        for node in self.nodes:
            await output(["umount", "--recursive", "--lazy", node.root])
            await output(["umount", "--lazy", node.folder])
