"""Processes that end with the harness, their output line by line."""
import asyncio
import collections
import signal
import time


async def output(command, environment=None):
    """Runs a command to its end, and returns its output. Raises if the command fails."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, cwd="/")
    text = (await process.communicate())[0].decode(errors="replace")
    if process.returncode != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}: {text[-2000:]}")
    return text


class Process:
    @classmethod
    async def start(cls, command, environment=None, log=False):
        self = cls()
        self.lines = collections.deque(maxlen=100_000)
        self._changed = asyncio.Event()
        self.started_at = time.time()
        self._process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, cwd="/")
        self.pid = self._process.pid
        self._reading = asyncio.ensure_future(self._read())
        return self

    async def _read(self):
        while line := await self._process.stdout.readline():
            self.lines.append(line.decode(errors="replace").rstrip("\n"))
            self._changed.set()
        self._changed.set()

    async def says(self, text, seconds=30):
        """The first line with that text, now or later."""
        async def wait():
            while True:
                for line in self.lines:
                    if text in line:
                        return line
                if self._reading.done():
                    raise RuntimeError(f"ended without saying {text!r}: {self.tail()}")
                self._changed.clear()
                await self._changed.wait()
        return await asyncio.wait_for(wait(), seconds)

    def tail(self, count=15):
        return "\n".join(list(self.lines)[-count:])

    @property
    def has_ended(self):
        return self._process.returncode is not None

    def signal(self, number):
        """Signals our own child. The child is not reaped before, so no other process can have its id."""
        if not self.has_ended:
            try:
                self._process.send_signal(number)
            except ProcessLookupError:
                pass

    async def ended(self, seconds=60):
        await asyncio.wait_for(self._process.wait(), seconds)
        return self._process.returncode

    async def stop(self):
        if not self.has_ended:
            self.signal(signal.SIGKILL)
            await self.ended()
