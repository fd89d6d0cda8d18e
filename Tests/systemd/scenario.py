#!/usr/bin/env python3
"""The steps of the test on a booted Debian, with their expected results. Started by run."""
import argparse
import glob
import json
import os
import re
import signal
import subprocess
import sys
import time

from machine import Backend, Machine, Simulator, Wrong, until

SECRET = "0123456789abcdef" * 4
TOKEN = "the-right-token"
SETTINGS = """\
DATABASE_URL=postgresql:///app
OTPD_APP_NAME=Test
TWILIO_ACCOUNT_SID=AC00000000000000000000000000000000
TWILIO_PHONE_NUMBER=+15005550006
TWILIO_AUTH_TOKEN_FILE=/etc/otpd/credentials/twilio_auth_token
TWILIO_API_BASE_URL={url}
"""
PACKAGES = ("otpd", "otpd-simulator", "otpd-examples")
STEPS = []


def step(function):
    STEPS.append(function)
    return function


def expect(condition, what):
    if not condition:
        raise Wrong(what)


def same(what, got, wanted):
    expect(got == wanted, f"{what}: {got!r}, and must be {wanted!r}")


class Stage:
    """The data that the steps share."""

    def __init__(self, asked):
        self.asked = asked
        self.deb = self.package("otpd")
        self.machine = Machine(asked.base, asked.work, [self.package(name) for name in PACKAGES])
        self.simulator = Simulator(asked.simulator, asked.work, TOKEN)
        self.backend = Backend(SECRET, asked.work)
        self.machine.boot()

    def package(self, name):
        """The file of a package."""
        found = glob.glob(f"{self.asked.debs}/{name}_*.deb")
        expect(len(found) == 1, f"there is not one file of the package {name}: {found}")
        return found[0]

    def main_pid(self, unit="otpd"):
        return int(self.machine.show(unit, "MainPID"))

    def worker(self, unit="otpd"):
        """Its number in otp.worker_status."""
        return self.machine.sql(
            f"SELECT worker_id FROM otp.worker_status WHERE pid = {self.main_pid(unit)} AND state = 'running'"
            " ORDER BY heartbeat_at DESC LIMIT 1")

    def is_up(self, unit="otpd"):
        return self.machine.sh(f"systemctl is-active {unit}", check=False) == "active"

    def running(self, unit="otpd"):
        """Active, connected, and not paused."""
        until(f"{unit} is running", lambda: self.machine.show(unit, "StatusText").startswith("running"))
        expect(self.is_up(unit), f"{unit} is not active")

    def ask(self):
        """One request, which must be confirmed. A connection may have died since the last one."""
        verification = self.backend.ask() or self.backend.ask()
        expect(verification, f"the request was not confirmed: {self.backend.said()}")
        return verification

    def deliver(self):
        """One code, from request to verification."""
        verification = self.ask()
        until("the code is accepted", lambda: self.machine.sql(
            f"SELECT job_state FROM otp.delivery_status WHERE verification_id = {verification}") == "accepted")

    def journal(self, unit="otpd"):
        return self.machine.sh(f"journalctl --unit={unit} --output=cat --no-pager")


@step
def install(stage):
    """It installs, is enabled, and does not start before there are settings."""
    machine = stage.machine
    stage.files_before, stage.accounts_before = machine.files(), machine.accounts()
    same("a Swift runtime", machine.sh("find / -xdev -name 'libswift*' | wc -l"), "0")
    machine.sh("apt-get install --yes --no-install-recommends /packages/*.deb")
    expect(machine.sh("otpd --version").startswith("otpd "), "otpd does not run")
    expect(machine.sh("twilio-simulator --version"), "the simulator does not run")
    expect(machine.files() > {"/usr/share/doc/otpd-examples/django/manage.py", "/usr/share/man/man1/twilio-simulator.1.gz"},
           "files of the simulator or of the examples are missing")
    for package, program in (("otpd", "otpd"), ("otpd-simulator", "twilio-simulator")):
        bill = json.loads(machine.sh(f"cat /usr/share/doc/{package}/sbom.spdx.json"))["packages"][0]
        same(f"the hash in the bill of materials of {package}", bill["checksums"][0]["checksumValue"],
             machine.sh(f"sha256sum /usr/bin/{program}").split()[0])
    same("systemctl is-enabled", machine.sh("systemctl is-enabled otpd"), "enabled")
    same("systemctl is-active", machine.sh("systemctl is-active otpd", check=False), "inactive")
    same("its condition", machine.show("otpd", "ConditionResult"), "no")
    same("failed units", machine.sh("systemctl --failed --no-legend --plain"), "")
    same("the user", machine.sh("id --name --user otpd; id --name --groups otpd"), "otpd\notpd")
    same("the folder for secrets", machine.sh("stat --format='%A %U %G' /etc/otpd/credentials"), "drwxr-x--- root otpd")
    same("the unit's problems", machine.sh("systemd-analyze verify --man=no otpd.service otpd@2.service 2>&1"), "")


@step
def refuses_nonsense(stage):
    """An invalid configuration: exit code 78, a line for each problem, no second try."""
    machine = stage.machine
    machine.sh("install -m 0600 /usr/share/doc/otpd/examples/otpd.env /etc/otpd/otpd.env")
    expect(machine.run("systemctl start otpd")[0] != 0, "it started with the example's settings")
    same("its exit code", machine.show("otpd", "ExecMainStatus"), "78")
    # Wait twice RestartSec: within that time systemd would have restarted it.
    same("its state", machine.show("otpd", "SubState"), "failed")
    same("restarts", machine.show("otpd", "NRestarts"), "0")
    for name in ("OTPD_SECRET", "OTPD_APP_NAME", "TWILIO_ACCOUNT_SID"):
        expect(name in stage.journal(), f"the journal does not name {name}")


@step
def starts(stage):
    """Schema, settings, secrets as credentials: it starts in its sandbox and reports its status."""
    machine = stage.machine
    machine.sh("sed -i '1i host app web 127.0.0.1/32 trust' /etc/postgresql/*/main/pg_hba.conf"
               " && systemctl reload postgresql && runuser -u postgres -- createdb app")
    machine.sh("runuser -u postgres -- env DATABASE_URL=postgresql:///app otpd migrate up")
    # Peer authentication: the service's user is the role's name, and there is no password to keep.
    machine.sql("CREATE ROLE otpd LOGIN IN ROLE otp_worker; CREATE ROLE web LOGIN IN ROLE otp_web;"
                "DELETE FROM otp.limits;")
    machine.write("/etc/otpd/otpd.env", SETTINGS.format(url=stage.simulator.url))
    machine.write("/etc/otpd/credentials/otpd_secret", SECRET + "\n", "0400")
    machine.write("/etc/otpd/credentials/twilio_auth_token", "a-wrong-token\n", "0640", "root:otpd")
    machine.sh("systemctl reset-failed otpd; systemctl start otpd")
    expect(stage.is_up(), "it is not active")
    times = [int(machine.show("otpd", name)) for name in
             ("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")]
    stage.notes = f"READY {(times[1] - times[0]) / 1000:.0f} ms after exec"
    stage.running()
    pid = stage.main_pid()
    status = dict(line.split(":\t", 1) for line in machine.sh(f"cat /proc/{pid}/status").splitlines())
    same("capabilities", status["CapEff"] + status["CapBnd"], "0" * 32)
    same("no new privileges, system calls filtered", status["NoNewPrivs"] + status["Seccomp"], "12")
    same("its user", machine.sh(f"ps -o user= -p {pid}"), "otpd")
    same("the secret's file", machine.run("runuser -u otpd -- cat /etc/otpd/credentials/otpd_secret")[0], 1)
    expect(SECRET not in machine.sh(f"tr '\\0' '\\n' </proc/{pid}/environ"), "the secret is in the environment")
    same("core dumps", machine.sh(f"grep 'core file' /proc/{pid}/limits").split()[4:6], ["0", "0"])
    same("what it may execute", machine.run(f"nsenter --mount --target {pid} /bin/true")[0], 126)


@step
def reloads(stage):
    """Twilio refuses the token; the right one is written and `systemctl reload` takes it up: the same process sends."""
    machine, pid = stage.machine, stage.main_pid()
    verification = stage.ask()
    until("the worker pauses", lambda: machine.show("otpd", "StatusText").startswith("paused"))
    stage.notes = machine.show("otpd", "StatusText")
    same("messages", stage.simulator.stats()["created"], 0)
    machine.write("/etc/otpd/credentials/twilio_auth_token", TOKEN + "\n", "0640", "root:otpd")
    machine.sh("systemctl reload otpd")
    until("the code is accepted", lambda: machine.sql(
        f"SELECT job_state FROM otp.delivery_status WHERE verification_id = {verification}") == "accepted")
    same("messages", stage.simulator.stats()["created"], 1)
    stage.running()
    expect("thread priority" not in stage.journal(), "libdispatch complains of priorities")
    same("the process", stage.main_pid(), pid)
    same("its state", machine.show("otpd", "ActiveState"), "active")
    stage.deliver()


@step
def is_examined(stage):
    """otpd doctor, by the commands of its installed page: it has the service's user, settings and secrets."""
    machine = stage.machine
    page = machine.sh("cat /usr/share/doc/otpd/deploy/docs/doctor.md")

    def examine(first_word):
        command = re.search(rf"^sudo ({first_word} .*?)\n```", page, re.MULTILINE | re.DOTALL).group(1)
        said = machine.sh(command.replace("--pty", "--pipe").replace("otpd doctor", "otpd doctor --json"), check=False)
        expect(said.startswith("{"), f"the doctor printed no JSON: {said[-1500:]}")
        return {check["id"]: check["verdict"] for check in json.loads(said)["checks"]}

    # The command without secret files: the database knows its user, and the secret is missing.
    verdicts = examine("systemd-run")
    same("settings, without the secret files", verdicts["settings"], "fail")
    for name in ("database-connection", "login-role", "schema", "grants"):
        same(f"{name}, without the secret files", verdicts[name], "pass")
    verdicts = examine("sh -c")
    for name in ("settings", "secret-files", "database-connection", "login-role", "schema", "grants", "twilio-messages"):
        same(name, verdicts[name], "pass")
    stage.notes = f"{len(verdicts)} checks, {list(verdicts.values()).count('fail')} failed"


@step
def is_killed(stage):
    """kill -9 under load: systemd starts it again, by itself."""
    machine, pid, worker = stage.machine, stage.main_pid(), stage.worker()
    stage.simulator.slow(300)
    stage.backend.begin(per_second=20)
    until("sends are under way", lambda: stage.simulator.stats()["concurrent"] >= 3)
    machine.sh(f"kill -KILL {pid}")
    begin = time.monotonic()
    until("it is back", lambda: stage.main_pid() not in (0, pid) and stage.is_up())
    stage.notes = f"back after {time.monotonic() - begin:.1f} s"
    left = machine.sql(f"SELECT count(*) FROM otp.send_jobs WHERE worker = {worker} AND state IN ('sending', 'unknown')")
    expect(left != "0", "it had nothing in hand")
    stage.notes += f"; {left} sends were left in doubt"
    same("restarts", machine.show("otpd", "NRestarts"), "1")
    stage.running()
    stage.deliver()
    stage.backend.end()
    stage.simulator.slow(0)


@step
def is_stuck(stage):
    """A process that hangs misses its watchdog and is replaced. (WatchdogSec is 5 s here.)"""
    machine = stage.machine
    machine.sh("mkdir -p /run/systemd/system/otpd.service.d"
               " && printf '[Service]\\nWatchdogSec=5\\n' >/run/systemd/system/otpd.service.d/test.conf"
               " && systemctl daemon-reload && systemctl restart otpd")
    stage.running()
    pid, begin = stage.main_pid(), time.monotonic()
    # Several beats: the loop feeds it, though nothing is to be sent.
    until("beats", lambda: time.monotonic() - begin > 12)
    same("the process after 12 s", stage.main_pid(), pid)
    machine.sh(f"kill -STOP {pid}")
    begin = time.monotonic()
    until("it is replaced", lambda: stage.main_pid() not in (0, pid) and stage.is_up())
    stage.notes = f"replaced after {time.monotonic() - begin:.1f} s"
    expect("Watchdog timeout" in stage.journal(), "the journal does not tell of the watchdog")
    same("core dumps", machine.sh("find / -xdev -name 'core*' -newer /etc/otpd/otpd.env -type f -path '*otpd*'"), "")
    machine.sh("rm -r /run/systemd/system/otpd.service.d && systemctl daemon-reload && systemctl restart otpd")
    stage.running()
    stage.deliver()


@step
def loses_its_database(stage):
    """No database: it says so in its status, waits, and is not restarted."""
    machine, pid = stage.machine, stage.main_pid()
    machine.sh("systemctl stop postgresql")
    until("its status says so", lambda: "database" in machine.show("otpd", "StatusText"))
    stage.notes = machine.show("otpd", "StatusText")
    expect(stage.is_up(), "it is not active")
    machine.sh("systemctl start postgresql")
    stage.running()
    same("the process", stage.main_pid(), pid)
    stage.deliver()


@step
def stops(stage):
    """`systemctl stop` under load: requests already sent to Twilio are finished and written, and the other jobs are given back."""
    machine = stage.machine
    worker = stage.worker()
    stage.simulator.slow(2000)
    stage.backend.begin(per_second=20)
    until("sends are under way", lambda: stage.simulator.stats()["concurrent"] >= 10)
    begin = time.monotonic()
    machine.sh("systemctl stop otpd")
    took = time.monotonic() - begin
    stage.notes = f"drained in {took:.1f} s"
    # systemd kills what takes longer than TimeoutStopSec, and the result is then no success.
    expect(took > 1, f"it took {took:.1f} s, and requests were under way for 2 s")
    same("its result", machine.show("otpd", "Result"), "success")
    same("its exit code", machine.show("otpd", "ExecMainStatus"), "0")
    same("what it left in hand", machine.sql(
        f"SELECT count(*) FROM otp.send_jobs WHERE worker = {worker} AND state <> 'queued'"), "0")
    same("its last state", machine.sql(f"SELECT state FROM otp.worker_status WHERE worker_id = {worker}"), "stopped")
    stage.backend.end()
    stage.simulator.slow(0)
    machine.sh("systemctl start otpd")
    stage.running()


@step
def has_company(stage):
    """A second worker on the host, with settings of its own."""
    machine = stage.machine
    machine.write("/etc/otpd/otpd@2.env", "OTPD_MAX_IN_FLIGHT=7\n")
    machine.sh("systemctl enable --now otpd@2 2>&1")
    stage.running("otpd@2")
    stage.running()
    expect("OTPD_MAX_IN_FLIGHT=7" in machine.sh(f"tr '\\0' '\\n' </proc/{stage.main_pid('otpd@2')}/environ"),
           "its own settings do not reach it")
    expect(stage.worker("otpd@2") != stage.worker(), "they are one worker")
    stage.deliver()


@step
def is_upgraded(stage):
    """A higher version is installed under load: both workers drain and are the new one's."""
    machine = stage.machine
    version = machine.sh("dpkg-query --show --showformat='${Version}' otpd")
    higher = version + "+test1"
    folder = f"{stage.asked.work}/higher"
    subprocess.run(["dpkg-deb", "--raw-extract", stage.deb, folder], check=True)
    control = open(f"{folder}/DEBIAN/control").read().replace(f"Version: {version}\n", f"Version: {higher}\n")
    open(f"{folder}/DEBIAN/control", "w").write(control)
    subprocess.run(["dpkg-deb", "--build", "-Znone", folder, f"{machine.packages}/higher.deb"], check=True,
                   stdout=subprocess.DEVNULL)
    pids = [stage.main_pid(), stage.main_pid("otpd@2")]
    stage.simulator.slow(300)
    stage.backend.begin(per_second=30)
    until("sends are under way", lambda: stage.simulator.stats()["concurrent"] >= 5)
    machine.sh("apt-get install --yes /packages/higher.deb")
    same("the version", machine.sh("dpkg-query --show --showformat='${Version}' otpd"), higher)
    for unit, pid in zip(("otpd", "otpd@2"), pids):
        stage.running(unit)
        expect(stage.main_pid(unit) != pid, f"{unit} was not restarted")
    expect(stage.machine.sh("cat /etc/otpd/otpd.env").startswith("DATABASE_URL"), "its settings were changed")
    stage.deliver()
    stage.backend.end()


@step
def is_rebooted(stage):
    """The whole machine reboots under load, its database too; both workers return by themselves."""
    stage.backend.begin(per_second=30)
    until("sends are under way", lambda: stage.simulator.stats()["concurrent"] >= 5)
    begin = time.monotonic()
    stage.machine.reboot()
    for unit in ("otpd", "otpd@2"):
        stage.running(unit)
    stage.notes = f"back after {time.monotonic() - begin:.1f} s"
    expect(stage.backend.lost_connections > 0, "the load has noticed no reboot")
    stage.deliver()
    stage.backend.end()
    stage.simulator.slow(0)


@step
def has_lost_nothing(stage):
    """Counted at both ends: every committed code was sent exactly once."""
    machine = stage.machine
    until("every job has ended", lambda: machine.sql("SELECT count(*) FROM otp.send_jobs") == "0", every=1)
    rows = [row.split("|") for row in machine.sql(
        "SELECT v.id, v.e164, d.job_state FROM otp.verifications v JOIN otp.delivery_status d ON d.verification_id = v.id"
    ).splitlines()]
    there = {int(row[0]) for row in rows}
    same("confirmed and not there", len(stage.backend.confirmed - there), 0)
    same("jobs that ended otherwise than accepted", [row for row in rows if row[2] != "accepted"], [])
    counts = stage.simulator.counts()
    same("sent more than once", {n: c for n, c in counts.items() if c != 1}, {})
    same("numbers at both ends", set(counts) ^ {row[1] for row in rows}, set())
    expect(len(rows) > 300, f"only {len(rows)} jobs: that was no load")
    same("second messages", machine.sql("SELECT count(*) FROM otp.messages WHERE NOT is_primary"), "0")
    stage.notes = f"{len(rows)} codes, {sum(counts.values())} messages, {stage.backend.lost_connections} commits unconfirmed"


@step
def is_purged(stage):
    """Removed, its settings stay; purged, nothing is left of it."""
    machine = stage.machine
    machine.sh("apt-get remove --yes otpd")
    same("processes", machine.sh("pgrep -x otpd", check=False), "")
    same("settings after a removal", machine.sh("ls /etc/otpd"), "credentials\notpd.env\notpd@2.env")
    machine.sh("apt-get purge --yes otpd otpd-simulator otpd-examples")
    same("files", sorted(machine.files() - stage.files_before), [])
    same("accounts", machine.accounts(), stage.accounts_before)
    same("units", machine.sh("systemctl list-unit-files --no-legend 'otpd*';"
                             " systemctl list-units --all --no-legend --plain 'otpd*'", check=False), "")
    same("packages", machine.sh("dpkg-query --list 'otpd*' 2>/dev/null | grep '^..  otpd'", check=False), "")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("base", "work", "debs", "simulator"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--verbose", action="store_true", help="print the services' journal at the end")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # systemd-nspawn leaves folders in there, which the namespace's end must remove.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    begin = time.monotonic()
    print("==> Booting Debian", flush=True)
    stage = Stage(asked)
    failed = False
    for function in STEPS:
        at, stage.notes = time.monotonic(), ""
        print(f"==> {function.__doc__.splitlines()[0]}", flush=True)
        try:
            function(stage)
        except (Wrong, subprocess.SubprocessError, OSError) as error:
            print(f"    WRONG in {function.__name__}: {error}", flush=True)
            failed = True
            break
        print(f"    {time.monotonic() - at:.1f} s{'; ' * bool(stage.notes)}{stage.notes}", flush=True)
    stage.backend.end()
    if failed or asked.verbose:
        print("--- the journal:\n" + stage.machine.sh(
            "journalctl --no-pager --lines=200 --unit='otpd*' --output=short-precise", check=False), flush=True)
    if not failed:
        stage.machine.off()
    print(f"{'FAILED' if failed else 'Everything is as it must be.'} ({time.monotonic() - begin:.0f} s)", flush=True)
    sys.exit(1 if failed else 0)


main()
