"""A Debian booted by systemd-nspawn, the simulator beside it, and a backend that asks for codes.

All of them share one network namespace, which has only loopback (see run).
"""
import collections
import json
import os
import pathlib
import subprocess
import threading
import time
import urllib.request


# The exit code of systemd-nspawn when the container wants to reboot. The caller starts it again.
REBOOT = 133


class Wrong(Exception):
    """A check of the scenario failed."""


# The time that any step may need on a busy machine. It only ends a test that hangs.
HANGS = 180


def until(what, condition, every=0.1):
    """The first true value of the condition. Raises Wrong if there is none before the test counts as hanging."""
    end = time.monotonic() + HANGS
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise Wrong(f"not within {HANGS} s: {what}")
        time.sleep(every)


class Machine:
    def __init__(self, base, work, debs):
        self.root = pathlib.Path(work) / "root"
        self._work, self._leader = pathlib.Path(work), None
        self._log = open(self._work / "console.log", "wb")
        for folder in ("root", "upper", "scratch", "packages"):
            (self._work / folder).mkdir()
        overlay = f"lowerdir={base},upperdir={work}/upper,workdir={work}/scratch"
        if subprocess.run(["mount", "-t", "overlay", "-o", overlay, "overlay", self.root]).returncode != 0:
            print("    (no overlay here: the base is copied)", flush=True)
            subprocess.run(["cp", "-a", f"{base}/.", self.root], check=True)
        # The log survives the reboot.
        (self.root / "var/log/journal").mkdir(exist_ok=True)
        self.packages = self._work / "packages"
        subprocess.run(["cp", *debs, self.packages], check=True)
        self._nspawn = None

    def boot(self):
        self._start()
        self.booted()

    def _start(self):
        self._nspawn = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", f"--directory={self.root}",
             "--machine=otpd-test", f"--bind-ro={self.packages}:/packages", "--console=pipe",
             # For the first process: newer than 255, it refuses the old control groups that this host may have.
             "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)

    def booted(self, other_than=None):
        """Waits until the container is up. After a reboot it has another first process."""
        def is_up():
            if self._nspawn.poll() == REBOOT and other_than:
                self._start()
            if self._nspawn.poll() is not None:
                raise Wrong(f"the container has ended with {self._nspawn.returncode}: {self.console()}")
            children = pathlib.Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
            if not children or children[0] == other_than:
                return False
            self._leader = children[0]
            state = self.sh("systemctl is-system-running", check=False)
            return state in ("running", "degraded") and state
        state = until("the container is up", is_up, every=0.2)
        if state != "running":
            raise Wrong("a unit has failed: " + self.sh("systemctl --failed --no-legend --plain"))

    def reboot(self):
        before = self._leader
        self.sh("systemctl --no-block reboot")
        self.booted(other_than=before)

    def off(self):
        self.sh("systemctl --no-block poweroff", check=False)
        try:
            self._nspawn.wait(30)
        except subprocess.TimeoutExpired:
            raise Wrong(f"the container does not end: {self.console()}") from None

    def console(self):
        self._log.flush()
        return (self._work / "console.log").read_text(errors="replace")[-2000:]

    def run(self, script, seconds=HANGS):
        """Runs a shell script in the container as root. Returns its exit code and output."""
        done = subprocess.run(
            ["nsenter", "--target", self._leader, "--all", "--root", "--wd", "/bin/sh", "-c", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive",
                 "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"})
        return done.returncode, done.stdout.decode(errors="replace").strip()

    def sh(self, script, check=True, seconds=HANGS):
        code, said = self.run(script, seconds)
        if check and code != 0:
            raise Wrong(f"{script!r} ended with {code}: {said[-1500:]}")
        return said

    def write(self, path, text, mode="0600", owner="root:root"):
        subprocess.run(["nsenter", "--target", self._leader, "--all", "--root", "--wd", "/bin/sh", "-c",
                        f"umask 077; cat >{path}; chown {owner} {path}; chmod {mode} {path}"],
                       input=text.encode(), check=True)

    def show(self, unit, name):
        return self.sh(f"systemctl show --property={name} --value {unit}")

    def sql(self, query):
        """One query as the superuser; its rows as psql prints them."""
        return self.sh(f"runuser -u postgres -- psql -qAtX -v ON_ERROR_STOP=1 app <<'SQL'\n{query}\nSQL")

    def files(self):
        """Every path, without those that the running system writes all the time."""
        found = self.sh(
            "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /packages"
            " -o -path /var/tmp -o -path /var/log -o -path /var/lib/postgresql -o -path /var/cache"
            " -o -path /var/lib/systemd/timers -o -path /var/lib/apt \\) -prune -o -print")
        return set(found.splitlines())

    def accounts(self):
        return self.sh("cat /etc/passwd /etc/group /etc/shadow /etc/gshadow")


class Simulator:
    def __init__(self, program, work, token):
        ready = pathlib.Path(work) / "simulator"
        self._process = subprocess.Popen(
            [program, "--port", "0", "--ready-file", ready],
            env={"TWILIO_AUTH_TOKEN": token, "PATH": os.environ["PATH"]}, stdout=subprocess.DEVNULL)
        self.url = until("the simulator listens", lambda: ready.exists() and ready.read_text().strip())

    def _ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data=data), timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def stats(self):
        return self._ask("/_sim/stats")

    def slow(self, milliseconds):
        """Sets the duration of every answer."""
        self._ask("/_sim/faults", {"rates": {"slow": 1} if milliseconds else {}, "slow_ms": milliseconds or 1})

    def counts(self):
        """Number → messages."""
        return collections.Counter(m["to"] for m in self._ask("/_sim/inbox?limit=1000000")["messages"])


class Backend:
    """Asks for codes by otp.request, one number each, and remembers the confirmed commits."""

    def __init__(self, secret, work):
        self._said = open(pathlib.Path(work) / "psql.log", "ab+")
        self._environment = os.environ | {"PGOPTIONS": f"-c otp.secret={secret}"}
        self.confirmed = set()
        self.lost_connections = 0
        self._next, self._stop, self._thread, self._psql = 0, threading.Event(), None, None

    def ask(self):
        """One code: its verification's id, or None without a confirmed commit."""
        number = f"05{10_000_000 + self._next:08}"
        self._next += 1
        try:
            if self._psql is None:
                self._psql = subprocess.Popen(
                    ["psql", "-qAtXw", "-v", "ON_ERROR_STOP=1", "postgresql://web@127.0.0.1/app?connect_timeout=2"],
                    env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True,
                    bufsize=1)
            self._psql.stdin.write(f"SELECT verification_id FROM otp.request('user {number}', '{number}');\n")
            answer = self._psql.stdout.readline().strip()
        except OSError:
            answer = ""
        if not answer.isdigit():
            self.lost_connections += 1
            if self._psql:
                self._psql.kill()
                self._psql.wait()
            self._psql = None
            return None
        self.confirmed.add(int(answer))
        return int(answer)

    def said(self):
        """The last error of psql."""
        self._said.seek(0)
        return self._said.read().decode(errors="replace")[-500:]

    def begin(self, per_second):
        self._stop.clear()

        def work():
            while not self._stop.wait(1 / per_second):
                if self.ask() is None:
                    self._stop.wait(0.2)
        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def end(self):
        if self._thread:
            self._stop.set()
            self._thread.join(15)
            self._thread = None
