"""otpd behind its two links, and the simulator. Both run as their users run them."""
import asyncio
import json
import os
import signal
import time

from cluster import SECRET
from httplink import HttpLink
from maillink import MailLink
from pglink import PgLink
from process import Process

ACCOUNT, TOKEN = "AC00000000000000000000000000000000", "simulator-auth-token"


class Simulator:
    @classmethod
    async def start(cls, binaries, arguments=()):
        self = cls()
        environment = dict(os.environ, TWILIO_ACCOUNT_SID=ACCOUNT, TWILIO_AUTH_TOKEN=TOKEN)
        self.process = await Process.start(
            ["setpriv", "--pdeathsig", "KILL", f"{binaries}/twilio-simulator", "--port", "0", "--delays", "200,400,800",
             *arguments], environment)
        line = await self.process.says("listening on ")
        self.port = int(line.rsplit(":", 1)[1])
        self.mail_port = None
        if "--smtp-port" in arguments:
            self.mail_port = int((await self.process.says("listening on smtp://")).rsplit(":", 1)[1])
        return self

    async def call(self, method, path, body=b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 26)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                     + body)
        answer = await reader.read()
        writer.close()
        head, _, text = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise RuntimeError(f"{path}: {answer[:500]}")
        return json.loads(text)

    async def faults(self, **plan):
        await self.call("POST", "/_sim/faults", json.dumps(plan).encode())

    async def stats(self):
        return await self.call("GET", "/_sim/stats?limit=0")

    async def inbox(self):
        return (await self.call("GET", "/_sim/inbox?limit=100000"))["messages"]


class Worker:
    """A place for an otpd: its ports stay, its processes come and go, as under systemd."""

    def __init__(self, binaries, name, database, simulator, settings):
        self.binaries, self.name, self.settings = binaries, name, settings
        self.database = PgLink(("127.0.0.1", database.port), f"{name} database")
        self.twilio = HttpLink(("127.0.0.1", simulator.port), f"{name} twilio")
        self.mail = MailLink(("127.0.0.1", simulator.mail_port), f"{name} mail") if simulator.mail_port else None
        self.links = [link for link in (self.database, self.twilio, self.mail) if link]
        self.cluster = database
        self.prefix = []        # a command that runs otpd
        self.process = None
        self.deaths = []        # (the worker's number, when)
        self.processes = []

    async def open(self, narrow=False):
        await self.database.open()
        await self.twilio.open(narrow)
        if self.mail:
            await self.mail.open()

    async def start(self, waits=True):
        self._registered = len(self.database.registered)
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": self.cluster.url("chaos_worker", self.database.port),
            "OTPD_SECRET": SECRET, "OTPD_APP_NAME": "Mgask", "OTPD_LOG_LEVEL": "trace",
            "TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_PHONE_NUMBER": "+15005550006",
            "TWILIO_API_BASE_URL": f"http://127.0.0.1:{self.twilio.port}",
            **({"OTPD_SMTP_URL": f"smtp://127.0.0.1:{self.mail.port}", "OTPD_MAIL_FROM": "Mgask <codes@example.com>"}
               if self.mail else {}),
            **self.settings,
        }
        environment = {name: value for name, value in environment.items() if value is not None}
        self.process = await Process.start(
            ["setpriv", "--pdeathsig", "KILL", *self.prefix, f"{self.binaries}/otpd", "run"], environment)
        self.processes.append(self.process)
        if waits:
            await self.listens()

    @property
    def number(self):
        """The present process's number in the database. None before it has registered."""
        return self.database.registered[-1] if len(self.database.registered) > self._registered else None

    async def listens(self, seconds=40):
        await self.process.says("listening for jobs", seconds)

    async def kill(self, discards=True):
        """SIGKILL. `discards`: the links drop its held bytes too, like undelivered bytes of a reset connection."""
        self.deaths.append((self.number, time.time()))
        self.process.signal(signal.SIGKILL)
        await self.process.ended()
        if discards:
            for link in self.links:
                link.cut()

    def freeze(self):
        self.process.signal(signal.SIGSTOP)

    def thaw(self):
        self.process.signal(signal.SIGCONT)

    async def terminate(self):
        """SIGTERM. Waits for the end, and returns the exit code."""
        self.process.signal(signal.SIGTERM)
        return await self.process.ended()

    async def close(self):
        if self.process:
            self.thaw()
            await self.process.stop()
        for link in self.links:
            link.close()
