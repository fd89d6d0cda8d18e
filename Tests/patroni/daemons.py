"""What stands between the cluster and the simulator: two otpd, one with a multi-host URL and one behind HAProxy."""
import asyncio
import os
import signal

from cluster import SECRET
from network import address
from node import NUMBERS, overlay
from process import Process
from worker import ACCOUNT, TOKEN, Simulator

BALANCED = 5000
# As in Patroni's documentation, with shorter intervals. Without `redispatch`, a connection that meets a stopped server tries
# only that server again. Some of these hung until otpd gave up after 5 s.
HAPROXY = f"""
global
    maxconn 200
    log stdout format raw local0
defaults
    mode tcp
    log global
    option tcplog
    retries 3
    option redispatch 1
    timeout connect 4s
    timeout client 30m
    timeout server 30m
    timeout check 2s
listen primary
    bind 127.0.0.1:{BALANCED}
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server inter 1s fall 3 rise 1 on-marked-down shutdown-sessions
""" + "".join(f"    server n{number} {address(number)}:5432 maxconn 100 check port 8008\n" for number in NUMBERS)
HOSTS = ",".join(address(number) for number in NUMBERS)
# By database user, which tells the claims apart.
URLS = {
    "chaos_worker": f"postgresql://chaos_worker@{HOSTS}/otp?target_session_attrs=read-write&sslmode=disable&gssencmode=disable",
    "chaos_haproxy": f"postgresql://chaos_haproxy@127.0.0.1:{BALANCED}/otp?sslmode=disable&gssencmode=disable",
}


class HAProxy:
    @classmethod
    async def start(cls, tree: str, folder: str) -> "HAProxy":
        self = cls()
        root = await overlay(tree, f"{folder}/haproxy")
        with open(f"{root}/haproxy.cfg", "w") as file:
            file.write(HAPROXY)
        self.process = await Process.start(["chroot", root, "haproxy", "-db", "-f", "/haproxy.cfg"])
        return self

    async def close(self) -> None:
        await self.process.stop()


class Daemon:
    """A place for an otpd, which is started again whenever it ends."""

    def __init__(self, binaries: str, user: str, simulator: Simulator):
        self.binaries, self.user = binaries, user
        self.environment = {
            "PATH": os.environ["PATH"], "DATABASE_URL": URLS[user], "OTPD_SECRET": SECRET, "OTPD_APP_NAME": "Mgask",
            "OTPD_LOG_LEVEL": "debug", "TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_PHONE_NUMBER": "+15005550006", "TWILIO_API_BASE_URL": f"http://127.0.0.1:{simulator.port}",
        }
        self.process: Process | None = None
        self.processes: list[Process] = []

    async def start(self) -> None:
        self.process = await Process.start([f"{self.binaries}/otpd", "run"], self.environment)
        self.processes.append(self.process)

    async def listens(self, seconds: float = 120) -> None:
        await self.process.says("listening for jobs", seconds)

    async def kill(self) -> None:
        self.process.signal(signal.SIGKILL)
        await self.process.ended()

    @property
    def trouble(self) -> list[str]:
        """Ends that no signal explains."""
        return [f"otpd ({self.user}) ended with {process._process.returncode}: {process.tail(3)}" for process in self.processes
                if process.has_ended and process._process.returncode != -signal.SIGKILL]

    def save_log(self, folder: str) -> None:
        save(self.processes, f"{folder}/{self.user}.log")


def save(processes: list[Process], path: str) -> None:
    with open(path, "w") as file:
        for process in processes:
            file.write("\n".join([*process.lines, "--- ended", ""]))
