#!/usr/bin/env python3
"""The steps of the test of the images, with their expected results. Started by run, in namespaces of its own."""
import argparse
import contextlib
import copy
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
from deployment import Compose, Kubernetes, known_settings  # noqa: E402
from image import LIMIT_MB, ROOT, USER, Container, Image, Wrong, expect, same  # noqa: E402

NUMBERS = (f"05012345{n:02d}" for n in range(100))
STEPS = []


def step(function):
    STEPS.append(function)
    return function


def until(what, condition, seconds=180):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Wrong(f"not within {seconds} s: {what}")
        time.sleep(0.05)
    return found


def psql(sql, database="app", role=None, secret=None):
    environment = dict(os.environ, PGDATABASE=database)
    if role:
        environment |= {"PGUSER": role, "PGPASSWORD": role}
    if secret:
        environment["PGOPTIONS"] = f"-c otp.secret={secret}"
    done = subprocess.run(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1"], input=sql, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    expect(done.returncode == 0, f"psql: {done.stderr}")
    return done.stdout.strip()


def ask(url, token=None, body=None):
    """The status and the body of an answer; 0 if there is none."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body and body.encode(), headers), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


class Stage:
    """The images, their files, and the containers that run."""

    def __init__(self, work):
        self.work = work
        self.images = {name: Image(name) for name in ("otpd", "twilio-simulator")}
        self.compose, self.kubernetes = Compose(), Kubernetes()
        self.roots, self.running, self.serial = {}, [], 0
        self.simulator_token = self.compose.environment("simulator")["TWILIO_SIMULATOR_TOKEN"]
        self.secret = self.compose.environment("backend")["OTPD_SECRET"]

    # --- Containers -----------------------------------------------------------------------------------------------------
    def root(self, name):
        """The image's files, as an engine mounts them: nothing in them can be written."""
        if name not in self.roots:
            folder = self.images[name].unpack(self.work / name)
            hosts = self.work / "hosts"
            hosts.write_text("127.0.0.1 localhost database simulator db.example.com\n")

            def mount(*arguments):
                subprocess.run(["mount", *arguments], check=True)

            mount("--bind", folder, folder)
            mount("-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", folder / "dev")
            for device in ("null", "zero", "urandom"):
                (folder / "dev" / device).touch()
                mount("--bind", f"/dev/{device}", folder / "dev" / device)
            mount("--bind", hosts, folder / "etc/hosts")
            (self.work / "secrets").mkdir(exist_ok=True)
            mount("--bind", self.work / "secrets", folder / "run/secrets/otpd")
            mount("-o", "remount,bind,ro,nosuid,nodev", folder)
            self.roots[name] = folder
        return self.roots[name]

    def start(self, name, *arguments, environment=None, entrypoint=None):
        self.serial += 1
        container = Container(
            self.images[name], self.root(name), self.work / f"{self.serial}.log", list(arguments) or None,
            environment, entrypoint)
        self.running.append(container)
        return container

    def command(self, *arguments, environment=None):
        container = self.start("otpd", *arguments, environment=environment)
        return container.wait(), container.log

    def stop(self, container, seconds=180):
        os.kill(container.pid, signal.SIGTERM)
        return container.wait(seconds)

    def end(self):
        for container in self.running:
            if container.process.poll() is None:
                container.process.kill()

    def logs(self):
        for container in self.running[-6:]:
            if container.log:
                yield f"--- {' '.join(map(str, container.process.args[12:]))}\n{container.log[-2000:]}"

    # --- The settings of compose.yaml, at this server's port -------------------------------------------------------------
    def settings(self, service):
        found = self.compose.environment(service)
        if "DATABASE_URL" in found:
            found["DATABASE_URL"] = found["DATABASE_URL"].replace("@database/", f"@database:{os.environ['PGPORT']}/")
        return found

    # --- A backend --------------------------------------------------------------------------------------------------------
    def request(self, subject):
        number = next(NUMBERS)
        psql(f"SELECT otp.request('{subject}', '{number}')", role="web", secret=self.secret)
        return "+966" + number[1:]

    def job(self, subject):
        return psql(f"SELECT job_state FROM otp.delivery_status WHERE subject = '{subject}'")

    def simulated(self, path, body=None):
        status, text = ask(f"http://127.0.0.1:4010/_sim/{path}", self.simulator_token, body)
        same(f"the answer of the simulator to {path}", status, 200)
        return json.loads(text)

    def inbox(self, number):
        return self.simulated(f"inbox?to=%2B{number[1:]}")["messages"]


# --- The steps ------------------------------------------------------------------------------------------------------------
@step
def both_images_keep_the_rules(stage):
    for image in stage.images.values():
        image.check()
    same("the version of the simulator", stage.images["twilio-simulator"].version, stage.images["otpd"].version)


@step
def the_deployments_agree_with_otpd(stage):
    code, table = stage.command("settings", "--format", "markdown")
    same("the exit code of otpd settings", code, 0)
    known, version = known_settings(table), stage.images["otpd"].version
    stage.known = known
    stage.compose.check(known, version)
    stage.kubernetes.check(known, version)
    code, text = stage.command("--version")
    expect(code == 0 and version in text, f"otpd --version prints {text!r}, and its image is {version}")


@step
def there_is_no_shell(stage):
    for name in stage.images:
        for path in ("/bin/sh", "/bin/bash", "/usr/bin/sh", "/busybox/sh"):
            container = stage.start(name, "-c", "true", entrypoint=[path])
            expect(container.wait() != 0, f"{path} runs in the image of {name}")


@step
def migrate_makes_the_schema_twice(stage):
    psql("CREATE DATABASE app", database="postgres")
    psql("ALTER ROLE postgres PASSWORD 'trial'")
    os.environ["PGPASSWORD"] = "trial"
    psql((ROOT / "deploy/image/roles.sql").read_text())
    for _ in range(2):
        code, text = stage.command(*stage.compose.services["migrate"]["command"], environment=stage.settings("migrate"))
        same(f"the exit code of migrate up ({text})", code, 0)
    expect(int(psql("SELECT count(*) FROM otp.countries")) > 0, "the schema has no countries")


@step
def the_probe_fails_before_otpd_runs(stage):
    code, text = stage.command("probe", environment=stage.settings("otpd"))
    same("the exit code of otpd probe", code, 69)
    expect("otpd is not alive: http://127.0.0.1:9464/healthz does not answer" in text, text)


@step
def both_containers_start(stage):
    stage.simulator = stage.start("twilio-simulator", environment=stage.settings("simulator"))
    until("the simulator listens", lambda: "listening on http://0.0.0.0:4010" in stage.simulator.log)
    stage.otpd = stage.start("otpd", environment=stage.settings("otpd"))
    for arguments in (["probe"], ["probe", "--ready"]):
        until(" ".join(["otpd", *arguments]),
              lambda: stage.command(*arguments, environment=stage.settings("otpd")) == (0, ""))
    warnings = re.findall("OTPD_PLAIN_HTTP_TO_TWILIO is yes: codes and credentials go to http://simulator:4010 ",
                          stage.otpd.log)
    same("the number of warnings of plain http", len(warnings), 1)


@step
def the_health_check_of_the_image_needs_no_setting(stage):
    """The image sets the address for it. Here the address is another's: only the default of the image is tried."""
    code, text = stage.command("probe")
    same(f"the exit code of otpd probe ({text})", code, 0)


@step
def neither_has_rights(stage):
    for container in (stage.otpd, stage.simulator):
        status = container.status()
        same("the user", status["Uid"], [str(USER)] * 4)
        same("the group", status["Gid"], [str(USER)] * 4)
        same("the list of further groups", status.get("Groups", []), [])
        same("the number in its own namespace", status["NSpid"][-1], "1")
        same("no_new_privs", status["NoNewPrivs"], ["1"])
        for kind in ("CapEff", "CapPrm", "CapAmb"):
            same(kind, int(status[kind][0], 16), 0)
        mounts = pathlib.Path(f"/proc/{container.pid}/mountinfo").read_text().splitlines()
        options = next(line.split()[5].split(",") for line in reversed(mounts) if line.split()[4] == "/")
        expect("ro" in options, f"the root of the container is mounted with {options}")
        with contextlib.suppress(OSError):
            (pathlib.Path(f"/proc/{container.pid}/root") / "written").write_text("")
            raise Wrong("a file was written into the root of the container")


@step
def a_code_arrives_and_is_verified(stage):
    number = stage.request("sara")
    [message] = until("the code is in the inbox", lambda: stage.inbox(number))
    code = re.search(r"\b(\d{6})\b", message["body"])[1]
    same("the answer of otp.verify", psql(f"SELECT otp.verify('sara', '{code}')", role="web", secret=stage.secret), "t")
    expect(code not in stage.otpd.log, "the code is in the log of otpd")
    status, _ = ask("http://127.0.0.1:4010/_sim/inbox")
    expect(status in (401, 403), f"the simulator shows its inbox without the token ({status})")


@step
def a_stop_waits_for_the_send_under_way(stage):
    stage.simulated("faults", '{"latency_ms": 3000}')
    number = stage.request("omar")
    until("the send is under way", lambda: stage.simulated("stats?limit=1")["concurrent"] > 0)
    expect(stage.job("omar") != "accepted", "the send had already ended")
    began = time.monotonic()
    same("the exit code of otpd after SIGTERM", stage.stop(stage.otpd), 0)
    expect(time.monotonic() - began > 0.5, "otpd did not wait for the send")
    same("the state of the job", stage.job("omar"), "accepted")
    same("the number of messages", len(stage.inbox(number)), 1)
    expect("draining" in stage.otpd.log and "stopped" in stage.otpd.log, "the log says nothing of a drain")
    same("the exit code of otpd probe after the stop", stage.command("probe")[0], 69)
    stage.simulated("faults", '{"latency_ms": 0}')


@step
def the_settings_of_kubernetes_work(stage):
    """With secrets in files, and probes without a token. Only addresses and marked values are changed."""
    kubernetes = stage.kubernetes
    values = {
        "database_url": stage.settings("otpd")["DATABASE_URL"], "otpd_secret": stage.secret,
        "twilio_auth_token": stage.compose.environment("otpd")["TWILIO_AUTH_TOKEN"], "dashboard_token": "dashboard-token-of-the-trial-000001"}
    same("the list of secrets", sorted(kubernetes.secrets()), sorted(values))
    folder = stage.work / "secrets"
    for name, value in values.items():
        (folder / name).write_text(value)
        (folder / name).chmod(0o444)
    changed = {name: stage.compose.environment("otpd")[name]
               for name in ("TWILIO_API_BASE_URL", "OTPD_PLAIN_HTTP_TO_TWILIO")}
    otpd = stage.start("otpd", environment=kubernetes.environment | changed)
    [port] = kubernetes.container["ports"]
    for probe in ("livenessProbe", "readinessProbe"):
        url = f"http://127.0.0.1:{port['containerPort']}{kubernetes.container[probe]['httpGet']['path']}"
        until(f"the answer to the {probe}", lambda: ask(url)[0] == 200)
    same("the answer to /metrics without the token", ask(f"http://127.0.0.1:{port['containerPort']}/metrics")[0], 401)
    number = stage.request("lina")
    until("the code is in the inbox", lambda: stage.inbox(number))
    expect(all(json.loads(line) for line in otpd.log.splitlines()), "the log is not JSON")
    same("the exit code of otpd after SIGTERM", stage.stop(otpd), 0)


@step
def the_simulator_stops(stage):
    same("the exit code of the simulator after SIGTERM", stage.stop(stage.simulator), 0)


# --- Each check must be able to fail ----------------------------------------------------------------------------------------
def breakages(stage):
    """A name, and a function that must raise Wrong."""
    known, version = stage.known, stage.images["otpd"].version

    def image(change):
        broken = copy.copy(stage.images["otpd"])
        broken.config = copy.deepcopy(broken.config)
        broken.files = dict(broken.files)
        change(broken)
        broken.check()

    def member(**changes):
        def change(broken):
            members = broken.members()
            for name, value in changes.items():
                setattr(members[-1], name, value)
            broken.members = lambda: members
            broken.check_digests = broken.check_size = lambda: None
        return change

    def config(name, value):
        return lambda broken: broken.config["config"].__setitem__(name, value)

    def layer(broken):
        broken.layer += b"\0"

    def blob(broken):
        name = next(name for name in broken.files if name.startswith("blobs/"))
        broken.files[name] += b" "

    def large(broken):
        broken.layer += bytes(LIMIT_MB * 1_000_000)
        broken.check_digests = lambda: None

    yield "a changed blob", lambda: image(blob)
    yield "a changed layer", lambda: image(layer)
    yield "a large layer", lambda: image(large)
    yield "a shell", lambda: image(member(name="usr/bin/sh", mode=0o755))
    yield "another owner", lambda: image(member(uid=1000))
    yield "a setuid file", lambda: image(member(mode=0o4644))
    yield "a file that everyone may write", lambda: image(member(mode=0o666))
    yield "a link", lambda: image(member(type=b"2"))
    yield "a missing bill of materials", lambda: image(member(name="usr/share/doc/otpd/other"))
    yield "root", lambda: image(config("User", "0"))
    yield "another program", lambda: image(config("Entrypoint", ["/bin/sh"]))
    yield "another command", lambda: image(config("Cmd", ["status"]))
    yield "another signal", lambda: image(config("StopSignal", "SIGKILL"))
    yield "no health check", lambda: image(config("Healthcheck", {"Test": ["NONE"]}))
    yield "a secret in the image", lambda: image(config("Env", ["OTPD_SECRET=x", "OTPD_DASHBOARD_LISTEN=127.0.0.1:9464"]))
    yield "no address for the health check", lambda: image(config("Env", ["OTPD_DASHBOARD_LISTEN=0.0.0.0:1"]))

    def text(kind, path, old, new):
        source = (ROOT / path).read_text()
        expect(old in source, f"{path} does not contain {old!r}, so it cannot be broken")
        try:
            kind(source.replace(old, new)).check(known, version)
        except (KeyError, TypeError, ValueError) as error:
            raise Wrong(f"{error}") from error

    for old, new in (
            ("OTPD_APP_NAME", "OTPD_APPNAME"), ("TWILIO_SIMULATOR_TOKEN", "TWILIO_SIM_TOKEN"), ("25s", "10s"),
            ("25s", "30s"), (f"image: otpd:{version}", "image: otpd:9"), ("read_only: true", "read_only: false"),
            (f"twilio-simulator:{version}\n", "twilio-simulator:9\n"), ("[ALL]", "[]"),
            ('"127.0.0.1:9464:9464"', '"9464:9464"'), ("no-new-privileges:true", "no-new-privileges:false"),
            ("OTPD_SECRET: trial-secret-0123456789-abcdefghijkl\n      OTPD_APP_NAME", "OTPD_SECRET: x\n      OTPD_APP_NAME"),
            ("TWILIO_AUTH_TOKEN: simulator-auth-token\n      TWILIO_SIM", "TWILIO_AUTH_TOKEN: x\n      TWILIO_SIM")):
        yield f"compose.yaml with {new!r}", lambda old=old, new=new: text(Compose, "deploy/compose.yaml", old, new)
    for old, new in (
            ("OTPD_APP_NAME", "OTPD_APPNAME"), ("{ name: DATABASE_URL,", "{ name: DATABASE_URI,"),
            ("GracePeriodSeconds: 25", "GracePeriodSeconds: 17"), ("GracePeriodSeconds: 25", "GracePeriodSeconds: 30"),
            (f"/otpd:{version}", "/otpd:9"), ("/healthz", "/health"), ("/readyz", "/ready"), ("[migrate, up]", "[migrate]"),
            ("defaultMode: 0444", "defaultMode: 0400"), ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
            ("runAsNonRoot: true", "runAsNonRoot: false"), ("drop: [ALL]", "drop: []"),
            ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"), ("containerPort: 9464", "containerPort: 1"),
            ("  otpd_secret:", "  secret:"), ("mountPath: /run/secrets/otpd", "mountPath: /run/secrets")):
        yield f"kubernetes.yaml with {new!r}", lambda old=old, new=new: text(
            Kubernetes, "deploy/kubernetes.yaml", old, new)


def self_test(stage):
    both_images_keep_the_rules(stage)
    the_deployments_agree_with_otpd(stage)
    count = 0
    for name, action in breakages(stage):
        count += 1
        try:
            action()
        except Wrong:
            continue
        raise Wrong(f"no check noticed {name}")
    print(f"each of {count} breakages was noticed")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--self-test", action="store_true")
    asked = parser.parse_args()
    stage = Stage(asked.work)
    try:
        if asked.self_test:
            return self_test(stage)
        for each in STEPS:
            began = time.monotonic()
            each(stage)
            print(f"ok  {each.__name__.replace('_', ' ')} ({time.monotonic() - began:.1f} s)", flush=True)
    except Wrong as error:
        print("\n".join(stage.logs()), file=sys.stderr)
        sys.exit(f"FAILED: {error}")
    finally:
        stage.end()


main()
