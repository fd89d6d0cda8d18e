"""The rules that deploy/compose.yaml and deploy/kubernetes.yaml must keep, so that they agree with otpd."""
import re

import yaml

from image import ROOT, Wrong, expect, same

DRAIN_AND_HEARTBEAT = 2  # seconds from the end of the drain to the exit
SIMULATOR_SETTINGS = {
    "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_API_KEY_SID", "TWILIO_API_KEY_SECRET", "TWILIO_SIMULATOR_TOKEN"}


def times():
    """The longest stop, and the lease, in seconds."""
    text = (ROOT / "Sources/Worker/Support/Times.swift").read_text()
    found = {name: int(re.search(rf"static let {name} = Instant\.Duration\.seconds\((\d+)\)", text)[1])
             for name in ("drain", "lease")}
    return found["drain"] + DRAIN_AND_HEARTBEAT, found["lease"]


def known_settings(markdown):
    """The names that otpd reads, from `otpd settings --format markdown`."""
    names = set()
    for name, secret in re.findall(r"^\| `([A-Z_]+)`( \(S\))?", markdown, re.MULTILINE):
        names |= {name, name + "_FILE"} if secret else {name}
    expect(len(names) > 20, f"otpd settings names only {sorted(names)}")
    return names


def check_names(place, names, known):
    strangers = sorted(set(names) - known)
    same(f"the list of settings in {place} that the program does not know", strangers, [])


def check_stop(place, seconds):
    shortest, lease = times()
    expect(shortest < seconds < lease,
           f"{place} gives otpd {seconds} s to stop, and must give more than {shortest} and less than {lease}")


class Compose:
    def __init__(self, text=None):
        self.services = yaml.safe_load(text or (ROOT / "deploy/compose.yaml").read_text())["services"]

    def environment(self, service):
        return {name: str(value) for name, value in self.services[service]["environment"].items()}

    def check(self, known, version):
        for service in ("otpd", "migrate"):
            each = self.services[service]
            same(f"the image of {service}", each["image"], f"otpd:{version}")
            check_names(f"compose.yaml, {service}", self.environment(service), known)
            same(f"read_only of {service}", each["read_only"], True)
            same(f"cap_drop of {service}", each["cap_drop"], ["ALL"])
            same(f"security_opt of {service}", each["security_opt"], ["no-new-privileges:true"])
        simulator = self.services["simulator"]
        same("the image of the simulator", simulator["image"], f"twilio-simulator:{version}")
        check_names("compose.yaml, simulator", self.environment("simulator"), SIMULATOR_SETTINGS)
        grace = self.services["otpd"]["stop_grace_period"]
        check_stop("compose.yaml", int(re.fullmatch(r"(\d+)s", grace)[1]))
        secrets = {service: self.environment(service)["OTPD_SECRET"] for service in ("otpd", "backend")}
        same("the backend's secret", secrets["backend"], secrets["otpd"])
        for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"):
            same(f"the simulator's {name}", self.environment("simulator")[name], self.environment("otpd")[name])
        for service, each in self.services.items():
            for port in each.get("ports", []):
                expect(port.startswith("127.0.0.1:"), f"{service} opens the port {port} to other machines")


class Kubernetes:
    def __init__(self, text=None):
        documents = list(yaml.safe_load_all(text or (ROOT / "deploy/kubernetes.yaml").read_text()))
        self.objects = {(each["kind"], each["metadata"]["name"]): each for each in documents}
        same("the number of objects", len(self.objects), len(documents))
        self.pod = self.objects["Deployment", "otpd"]["spec"]["template"]["spec"]
        [self.container] = self.pod["containers"]
        [self.job] = self.objects["Job", "otpd-migrate"]["spec"]["template"]["spec"]["containers"]
        self.settings = self.objects["ConfigMap", "otpd"]["data"]

    @staticmethod
    def variables(container):
        return {each["name"]: each["value"] for each in container.get("env", [])}

    @property
    def environment(self):
        return self.settings | self.variables(self.container)

    @property
    def secret_folder(self):
        [mount] = self.container["volumeMounts"]
        return mount["mountPath"]

    def secrets(self):
        """The files of the projected volume."""
        [volume] = self.pod["volumes"]
        found = {}
        for source in volume["projected"]["sources"]:
            found |= self.objects["Secret", source["secret"]["name"]]["stringData"]
        return found

    def check(self, known, version):
        check_names("kubernetes.yaml, Deployment", self.environment, known)
        check_names("kubernetes.yaml, Job", self.variables(self.job), known)
        check_stop("kubernetes.yaml", self.pod["terminationGracePeriodSeconds"])
        files = {f"{self.secret_folder}/{name}" for name in self.secrets()}
        named = {value for name, value in self.environment.items() if name.endswith("_FILE")}
        same("the list of secret files", sorted(files), sorted(named))
        [volume] = self.pod["volumes"]
        same("the mode of the secret files", volume["projected"]["defaultMode"], 0o444)
        for container in (self.container, self.job):
            expect(container["image"].endswith(f"/otpd:{version}"), f"{container['image']} is not the image of {version}")
            context = container["securityContext"]
            same("allowPrivilegeEscalation", context["allowPrivilegeEscalation"], False)
            same("readOnlyRootFilesystem", context["readOnlyRootFilesystem"], True)
            same("capabilities", context["capabilities"], {"drop": ["ALL"]})
        same("runAsNonRoot", (self.pod["securityContext"] | self.job["securityContext"])["runAsNonRoot"], True)
        [port] = self.container["ports"]
        same("the port of OTPD_DASHBOARD_LISTEN", self.settings["OTPD_DASHBOARD_LISTEN"].split(":")[-1],
             str(port["containerPort"]))
        for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
            same(probe, self.container[probe]["httpGet"], {"path": path, "port": port["name"]})
        same("the arguments of the Job", self.job["args"], ["migrate", "up"])


__all__ = ["Compose", "Kubernetes", "Wrong", "known_settings"]
