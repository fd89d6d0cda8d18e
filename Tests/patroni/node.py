"""One node: etcd, Patroni and PostgreSQL in a root, a network and processes of their own. Its disks are in memory and outlive
it, as the disks of a machine outlive a loss of power."""
import asyncio
import json
import os
import signal
import time

from network import Network, address
from process import Process, output

# The disk of PostgreSQL alone: etcd and the logs have another, so that a full one stops PostgreSQL only.
DISK = "1g"
NUMBERS = (1, 2, 3)
AS_POSTGRES = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"]


async def overlay(tree: str, folder: str) -> str:
    """A root of which the lower half is the Debian tree. The changes are in memory."""
    os.makedirs(folder)
    await output(["mount", "-t", "tmpfs", "tmpfs", folder])
    for name in ("upper", "work", "root"):
        os.mkdir(f"{folder}/{name}")
    root = f"{folder}/root"
    await output(["mount", "-t", "overlay", "overlay", "-o",
                  f"lowerdir={tree},upperdir={folder}/upper,workdir={folder}/work", root])
    await output(["mount", "--rbind", "/dev", f"{root}/dev"])
    await output(["mount", "-t", "tmpfs", "tmpfs", f"{root}/dev/shm"])
    return root


class Node:
    def __init__(self, number: int, folder: str, library: str, network: Network, synchronous: bool):
        self.number, self.name, self.address = number, f"n{number}", address(number)
        self.folder, self.library, self.network = f"{folder}/n{number}", library, network
        self.synchronous = synchronous
        self.clocks: list[tuple[float, int]] = [(0.0, 0)]    # (since when, how many seconds its clock is ahead)
        self.etcd: Process | None = None
        self.patroni: Process | None = None
        self._init: Process | None = None
        self._pid = 0           # of the first process inside

    async def prepare(self, tree: str) -> None:
        self.root = await overlay(tree, self.folder)
        for name, size in (("pg", DISK), ("node", "2g")):
            os.makedirs(f"{self.root}/{name}")
            await output(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", f"{self.root}/{name}"])
        self.disk, self.state = f"{self.root}/pg", f"{self.root}/node"
        self.sockets, self.log = f"{self.state}/run", f"{self.state}/log/postgresql.log"
        with open(f"{self.state}/patroni.yml", "w") as file:
            json.dump(self._configuration(), file, indent=1)
        await output(["cp", self.library, f"{self.state}/clock.so"])
        await output(["mkdir", "-p", self.sockets, f"{self.state}/log"])
        await output(["chroot", self.root, "chown", "-R", "postgres:", "/pg", "/node"])

    def _configuration(self) -> dict:
        """Patroni's. JSON is YAML, too."""
        return {
            "scope": "otp", "name": self.name,
            "restapi": {"listen": f"{self.address}:8008", "connect_address": f"{self.address}:8008"},
            "etcd3": {"hosts": [f"{address(number)}:2379" for number in NUMBERS]},
            "bootstrap": {
                # The shortest ttl that Patroni accepts.
                "dcs": {"ttl": 20, "loop_wait": 2, "retry_timeout": 9, "synchronous_mode": self.synchronous, "postgresql": {
                    "use_pg_rewind": True,
                    "parameters": {"max_connections": 80, "shared_buffers": "32MB", "max_wal_size": "256MB",
                                   "wal_keep_size": "128MB", "autovacuum_naptime": "5s", "synchronous_commit": "on"}}},
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"],
            },
            "postgresql": {
                "listen": f"{self.address}:5432", "connect_address": f"{self.address}:5432", "data_dir": "/pg/data",
                "bin_dir": "/usr/lib/postgresql/17/bin", "use_unix_socket": True, "use_unix_socket_repl": True,
                "pgpass": "/node/pgpass", "basebackup": [{"checkpoint": "fast"}],
                "authentication": {"superuser": {"username": "postgres"}, "replication": {"username": "postgres"}},
                "pg_hba": ["local all all trust", "local replication all trust", "host all all 10.9.0.0/24 trust",
                           "host replication all 10.9.0.0/24 trust"],
                "remove_data_directory_on_rewind_failure": True, "remove_data_directory_on_diverged_timelines": True,
                "parameters": {
                    "unix_socket_directories": "/node/run", "logging_collector": "on", "log_directory": "/node/log",
                    "log_filename": "postgresql.log", "log_rotation_age": 0, "log_rotation_size": 0,
                    "log_line_prefix": "%n [%p] ", "log_connections": "on", "log_disconnections": "on",
                    "timezone": "UTC", "log_timezone": "UTC"},
            },
        }

    @property
    def clock(self) -> int:
        return self.clocks[-1][1]

    def clock_at(self, moment: float) -> int:
        """How far its clock was ahead at a time of the harness."""
        return [off for since, off in self.clocks if since <= moment][-1]

    @property
    def runs(self) -> bool:
        return self._init is not None and not self._init.has_ended

    async def start(self, clock: int = 0) -> None:
        """Starts the machine and its services. All its processes have this clock."""
        if clock != self.clock:
            self.clocks.append((time.time(), clock))
        self._init = await Process.start(
            ["unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child",
             f"--mount-proc={self.root}/proc", "chroot", self.root,
             "bash", "-c", f"hostname {self.name}; echo ready; sleep infinity & wait"])
        await self._init.says("ready")
        self._pid = child(self._init.pid)
        await self.network.attach(self.number, self._pid)
        await self.start_etcd()
        await self.start_patroni()

    def _inside(self) -> list[str]:
        return ["nsenter", "--target", str(self._pid), "--net", "--mount", "--pid", "--uts", "--ipc", "--root",
                "/usr/bin/env", "--chdir=/"]

    async def _service(self, name: str, command: list[str]) -> Process:
        clock = ["LD_PRELOAD=/node/clock.so", f"CHAOS_CLOCK={self.clock}"] if self.clock else []
        return await Process.start(
            self._inside() + ["-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/node",
                              "GOMAXPROCS=1", *clock, *AS_POSTGRES,
                              "bash", "-c", f'exec "$@" >>/node/log/{name}.log 2>&1', name, *command])

    async def start_etcd(self) -> None:
        cluster = ",".join(f"n{number}=http://{address(number)}:2380" for number in NUMBERS)
        client, peer = f"http://{self.address}:2379", f"http://{self.address}:2380"
        self.etcd = await self._service("etcd", [
            "etcd", "--name", self.name, "--data-dir", "/node/etcd", "--listen-peer-urls", peer,
            "--initial-advertise-peer-urls", peer, "--listen-client-urls", client, "--advertise-client-urls", client,
            "--initial-cluster", cluster, "--initial-cluster-state", "new", "--heartbeat-interval", "200",
            "--election-timeout", "2000", "--logger", "zap", "--log-level", "warn"])

    async def start_patroni(self) -> None:
        self.patroni = await self._service("patroni", ["patroni", "/node/patroni.yml"])

    async def run(self, *command: str) -> str:
        """Runs a command inside to its end."""
        return await output(self._inside() + list(command))

    @property
    def postmaster(self) -> int | None:
        """The postmaster's id inside."""
        try:
            with open(f"{self.disk}/data/postmaster.pid") as file:
                return int(file.readline())
        except (OSError, ValueError):
            return None

    def signal(self, service: Process, number: signal.Signals) -> None:
        """Signals a service itself. Our child is the nsenter in front of it, which stops with it and must be continued, too."""
        try:
            os.kill(child(service.pid), number)
        except (ProcessLookupError, IndexError, FileNotFoundError):
            pass
        if number == signal.SIGCONT:
            service.signal(number)

    async def freeze(self) -> None:
        """Stops all its processes but the first."""
        await self.run("kill", "-STOP", "--", "-1")

    async def thaw(self) -> None:
        await self.run("kill", "-CONT", "--", "-1")
        for service in (self.etcd, self.patroni):
            self.signal(service, signal.SIGCONT)

    async def kill(self) -> None:
        """As if the power failed: all its processes are gone at the same moment, and none says good-bye."""
        await self.network.cut(self.number, [*NUMBERS, 10])
        if self.runs:
            os.kill(self._pid, signal.SIGKILL)
        for service in (self.etcd, self.patroni):
            if service is not None:
                service.signal(signal.SIGCONT)
        if self._init is not None:
            await self._init.ended()
        for service in (self.etcd, self.patroni):
            if service is not None:
                await service.ended()


    async def wipe(self) -> None:
        """Deletes PostgreSQL's data, and Patroni makes a new copy of the primary's."""
        await output(["rm", "-rf", f"{self.disk}/data"])


def child(pid: int) -> int:
    """The only child of a process of ours."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return int(file.read().split()[0])
