"""The network of a run: the switch, and a TAP device in the namespace of each node. 10.9.0.N is node N, and 10.9.0.10 is the
place of the clients: otpd, HAProxy and the backend."""
import asyncio
import json
import os
import sys

from process import output

CLIENTS = 10
# Large frames: the switch works for each frame, whatever its length.
MTU = 32000


def address(number: int) -> str:
    return f"10.9.0.{number}"


class Network:
    @classmethod
    async def start(cls, seed: int) -> "Network":
        self = cls()
        self._lock = asyncio.Lock()
        self._switch = await asyncio.create_subprocess_exec(
            sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "switch.py"),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        await self._order(seed=seed)
        return self

    async def _order(self, **order) -> None:
        async with self._lock:
            self._switch.stdin.write(json.dumps(order).encode() + b"\n")
            answer = await asyncio.wait_for(self._switch.stdout.readline(), 60)
        if answer != b"done\n":
            raise RuntimeError(f"the switch did not obey {order}")

    async def attach(self, number: int, pid: int | None = None) -> None:
        """Connects the network namespace of a process, or our own one."""
        name = f"port{number}"
        await self._order(open=name, number=number)
        await output(["ip", "link", "set", name, "address", f"02:00:00:00:00:{number:02x}", "mtu", str(MTU)])
        inside = []
        if pid is not None:
            await output(["ip", "link", "set", name, "netns", str(pid)])
            inside = ["nsenter", "--target", str(pid), "--net"]
        await output(inside + ["ip", "addr", "add", f"{address(number)}/24", "dev", name])
        await output(inside + ["ip", "link", "set", name, "up"])
        await output(inside + ["ip", "link", "set", "lo", "up"])

    async def rule(self, source: int, target: int, **rule) -> None:
        await self._order(**{"from": source, "to": target, **rule})

    async def cut(self, number: int, others: list[int], outward: bool = True, inward: bool = True) -> None:
        """Cuts a node from others: what it sends, what it would receive, or both."""
        for other in others:
            if outward:
                await self.rule(number, other, cut=True)
            if inward:
                await self.rule(other, number, cut=True)

    async def heal(self) -> None:
        await self._order(heal=True)

    def close(self) -> None:
        if self._switch.returncode is None:
            self._switch.kill()
