"""PostgreSQL servers in a temporary folder. The first is made once, and each scenario uses copies that it may kill."""
import asyncio
import glob
import os
import pwd
import random
import shutil
import signal
import socket

from process import Process, output
from sql import Sql

SECRET = "chaos-0123456789abcdef0123456789abcdef"
WEB = f"-c otp.secret={SECRET}"

# Records every step of a job in the queue with its time, without help from otpd.
WATCH = """
CREATE SCHEMA chaos;
CREATE TABLE chaos.steps (job bigint, verification bigint, was text, became text, worker bigint, attempt int,
    at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION chaos.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP <> 'UPDATE' OR (OLD.state, OLD.attempt, OLD.worker) IS DISTINCT FROM (NEW.state, NEW.attempt, NEW.worker) THEN
        INSERT INTO chaos.steps (job, verification, was, became, worker, attempt)
        VALUES (coalesce(NEW.id, OLD.id), coalesce(NEW.verification_id, OLD.verification_id), OLD.state, NEW.state, coalesce(NEW.worker, OLD.worker),
            coalesce(NEW.attempt, OLD.attempt));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER chaos AFTER INSERT OR UPDATE OR DELETE ON otp.send_jobs FOR EACH ROW EXECUTE FUNCTION chaos.note();
DELETE FROM otp.limits;
-- A text that is too long for the buffers of a network. Twilio's limit is 1,600 characters.
INSERT INTO otp.templates VALUES ('chaos_long', 'ar', '{code} ' || repeat('ر', 900));
CREATE ROLE chaos_worker LOGIN IN ROLE otp_worker;
CREATE ROLE chaos_web LOGIN IN ROLE otp_web;
"""


def binaries():
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[-2]))
    if folders:
        return folders[-1]
    found = shutil.which("postgres")
    if not found:
        raise SystemExit("PostgreSQL's server is not installed. Run make deps, or install the package postgresql.")
    return os.path.dirname(os.path.realpath(found))


def as_postgres():
    """The prefix for a command, because the server refuses to run as root."""
    if os.getuid() != 0:
        return []
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"]


def own(path):
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(path, user.pw_uid, user.pw_gid)


def free_port():
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


class Cluster:
    def __init__(self, folder, settings=(), programs=None):
        self.folder, self.settings = folder, list(settings)
        self.programs = programs or binaries()      # the folder of PostgreSQL's programs
        self.port = free_port()
        self.process = None
        self.processes = []     # all postmasters that were started
        self.prefix = []        # a command that runs the server
        self.environment = None

    @classmethod
    async def empty(cls, folder, programs=None, arguments=()):
        """A new cluster, not started."""
        cluster = cls(folder, programs=programs)
        await output(as_postgres() + [f"{cluster.programs}/initdb", "-D", folder, "-A", "trust", "-U", "postgres", "-E", "UTF8",
                                      "--locale", "C.UTF-8", "--no-sync", *arguments])
        with open(f"{folder}/postgresql.conf", "a") as file:
            file.write("listen_addresses = 'localhost'\nunix_socket_directories = ''\nfsync = off\nshared_buffers = 32MB\n"
                       "max_connections = 60\nautovacuum_naptime = 5s\ntimezone = UTC\nlog_timezone = UTC\n"
                       "max_wal_senders = 4\nwal_keep_size = 64MB\n")
        return cluster

    @classmethod
    async def template(cls, folder, otpd, programs=None):
        """A cluster with otpd's schema in a database `otp`, shut down. The other clusters are copies of it."""
        cluster = await cls.empty(folder, programs)
        await cluster.start()
        sql = await Sql.connect(cluster.port, database="postgres")
        await sql("CREATE DATABASE otp ENCODING 'UTF8' TEMPLATE template0")
        sql.close()
        environment = dict(os.environ, DATABASE_URL=cluster.url("postgres"))
        await output([otpd, "migrate", "up"], environment)
        sql = await Sql.connect(cluster.port)
        await sql(WATCH)
        sql.close()
        await cluster.stop()
        return folder

    @classmethod
    async def copy(cls, template, folder, settings=(), programs=None):
        await output(["cp", "-a", "--reflink=auto", template, folder])
        cluster = cls(folder, settings, programs)
        await cluster.start()
        return cluster

    def url(self, user, port=None):
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/otp?sslmode=disable&gssencmode=disable"

    async def launch(self):
        """Starts the server; does not wait until it takes connections."""
        command = [f"{self.programs}/postgres", "-D", self.folder, "-p", str(self.port)]
        for setting in self.settings:
            command += ["-c", setting]
        # If the harness dies, the server dies at once.
        self.process = await Process.start(
            self.prefix + as_postgres() + ["setpriv", "--pdeathsig", "QUIT"] + command, self.environment, log=True)
        self.processes.append(self.process)

    async def ready(self, seconds=60):
        for _ in range(int(seconds / 0.02)):
            try:
                sql = await Sql.connect(self.port, database="postgres")
                sql.close()
                return
            except Exception:
                if self.process.has_ended:
                    # After kill -9 the orphans hold the shared memory for a moment.
                    await self.launch()
                await asyncio.sleep(0.02)
        raise RuntimeError(f"PostgreSQL does not start: {self.process.tail()}")

    async def start(self):
        await self.launch()
        await self.ready()

    async def stop(self, how=signal.SIGINT):
        """SIGINT: fast, SIGQUIT: immediate, SIGKILL: only to the postmaster."""
        if self.process and not self.process.has_ended:
            self.process.signal(how)
            await self.process.ended()

    async def destroy(self):
        await self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    async def standby(self, folder, synchronous=True):
        """A standby of this one, streaming."""
        os.mkdir(folder, 0o700)
        own(folder)
        await output(as_postgres() + [f"{self.programs}/pg_basebackup", "-d", f"host=127.0.0.1 port={self.port} user=postgres",
                                      "-D", folder, "-R", "-X", "stream", "-c", "fast", "--no-sync"])
        with open(f"{folder}/postgresql.auto.conf", "a") as file:
            file.write(f"primary_conninfo = 'host=127.0.0.1 port={self.port} user=postgres application_name=standby'\n")
        other = Cluster(folder, programs=self.programs)
        await other.start()
        sql = await Sql.connect(self.port, database="postgres")
        if synchronous:
            await sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            await sql("SELECT pg_reload_conf()")
        state = "sync" if synchronous else "async"
        while await sql(f"SELECT count(*) FROM pg_stat_replication WHERE sync_state = '{state}' AND state = 'streaming'") \
                != [("1",)]:
            await asyncio.sleep(0.05)
        sql.close()
        return other

    async def caught_up(self, standby):
        """Until a standby has replayed all that this one has committed."""
        here = await Sql.connect(self.port, database="postgres")
        lsn = await here.value("SELECT pg_current_wal_flush_lsn()")
        here.close()
        there = await Sql.connect(standby.port, database="postgres")
        while await there.value(f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'") != "t":
            await asyncio.sleep(0.02)
        there.close()

    async def stop_receiving(self):
        """From now on this standby receives nothing from its primary."""
        sql = await Sql.connect(self.port, database="postgres")
        await sql("ALTER SYSTEM SET primary_conninfo = ''")
        await sql("SELECT pg_reload_conf()")
        while await sql.value("SELECT count(*) FROM pg_stat_wal_receiver") != "0":
            await asyncio.sleep(0.02)
        sql.close()

    def kill_all(self):
        """Kills the postmaster and all its children at the same moment, as if the machine were lost."""
        pid = self.process.pid
        self.process.signal(signal.SIGSTOP)
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            children = [int(child) for child in file.read().split()]
        for child in children + [pid]:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
