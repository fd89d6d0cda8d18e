"""An OCI image: what is in its archive, and the rules that it must keep."""
import gzip
import hashlib
import io
import json
import pathlib
import re
import stat
import subprocess
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
USER = 65532
LIMIT_MB = 60
# Loading a program needs these. Everything else that may be executed is a program too much.
LIBRARY = re.compile(r"(lib|lib64|usr/lib)/(.*/)?[^/]+\.so(\.[0-9]+)*$")


class Wrong(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Wrong(what)


def same(what, got, wanted):
    expect(got == wanted, f"{what} is {got!r}, and must be {wanted!r}")


class Image:
    """An image as its archive describes it. `read` takes the archive's files; `layer` is the layer's tar archive."""

    def __init__(self, name):
        self.name = name
        paths = sorted((ROOT / ".build/image").glob(f"{name}_*.oci.tar"), key=lambda path: path.stat().st_mtime)
        self.path = paths[-1]
        with tarfile.open(self.path) as archive:
            files = {each.name: archive.extractfile(each).read() for each in archive if each.isfile()}
        self.files = files
        self.index = json.loads(files["index.json"])
        manifest = json.loads(self.blob(self.index["manifests"][0]))
        self.config = json.loads(self.blob(manifest["config"]))
        self.layer = gzip.decompress(self.blob(manifest["layers"][0]))
        self.layers = len(manifest["layers"])

    def blob(self, descriptor):
        return self.files["blobs/" + descriptor["digest"].replace(":", "/")]

    @property
    def run(self):
        return self.config["config"]

    @property
    def version(self):
        return self.run["Labels"]["org.opencontainers.image.version"]

    @property
    def environment(self):
        return dict(each.split("=", 1) for each in self.run["Env"])

    def members(self):
        with tarfile.open(fileobj=io.BytesIO(self.layer)) as tar:
            return tar.getmembers()

    def content(self, path):
        with tarfile.open(fileobj=io.BytesIO(self.layer)) as tar:
            return tar.extractfile(path).read()

    def unpack(self, folder):
        """Writes the files as an engine does, with the folders and files that an engine mounts over."""
        folder.mkdir()
        with tarfile.open(fileobj=io.BytesIO(self.layer)) as tar:
            tar.extractall(folder)
        for mount_point in ("proc", "dev", "run/secrets/otpd"):
            (folder / mount_point).mkdir(parents=True, exist_ok=True)
        for file in ("hosts", "resolv.conf"):
            (folder / "etc" / file).touch()
        return folder

    # --- The rules ------------------------------------------------------------------------------------------------------
    def check(self):
        self.check_digests()
        self.check_size()
        self.check_programs()
        self.check_files()
        self.check_config()
        self.check_papers()

    def check_digests(self):
        for path, content in self.files.items():
            if path.startswith("blobs/sha256/"):
                same(f"the digest of {path}", hashlib.sha256(content).hexdigest(), path.split("/")[-1])
        same("the number of layers", self.layers, 1)
        same("the digest of the layer", self.config["rootfs"]["diff_ids"],
             [f"sha256:{hashlib.sha256(self.layer).hexdigest()}"])

    def check_size(self):
        size = len(self.layer) / 1e6
        expect(size < LIMIT_MB, f"{self.name} has {size:.1f} MB unpacked, and must have less than {LIMIT_MB}")

    def check_programs(self):
        found = sorted(each.name for each in self.members()
                       if not each.isdir() and each.mode & 0o111 and not LIBRARY.match(each.name))
        same(f"the list of programs in {self.name}", found, [f"usr/bin/{self.name}"])

    def check_files(self):
        for each in self.members():
            same(f"the owner of {each.name}", (each.uid, each.gid), (0, 0))
            expect(each.isdir() or each.isfile(), f"{each.name} is neither a file nor a folder")
            expect(not each.mode & (stat.S_ISUID | stat.S_ISGID | 0o022), f"{each.name} has the mode {each.mode:o}")

    def check_config(self):
        same("the user", self.run["User"], f"{USER}:{USER}")
        same("the program", self.run["Entrypoint"], [f"/usr/bin/{self.name}"])
        same("the signal that stops it", self.run["StopSignal"], "SIGTERM")
        secrets = [name for name in self.environment if re.search("TOKEN|SECRET|PASSWORD|DATABASE", name)]
        same("the list of secrets among the image's variables", secrets, [])
        if self.name == "otpd":
            same("the command", self.run["Cmd"], ["run"])
            same("the health check", self.run["Healthcheck"]["Test"], ["CMD", "/usr/bin/otpd", "probe"])
            same("the address for the health check", self.environment["OTPD_DASHBOARD_LISTEN"], "127.0.0.1:9464")

    def check_papers(self):
        names = {each.name for each in self.members()}
        for paper in ("LICENSE", "sbom.spdx.json"):
            expect(f"usr/share/doc/{self.name}/{paper}" in names, f"{self.name} has no {paper}")
        bill = json.loads(self.content(f"usr/share/doc/{self.name}/sbom.spdx.json"))
        listed = {each["name"] for each in bill["packages"]}
        expect(len(listed) > 5, f"the bill of materials of {self.name} names only {sorted(listed)}")


class Container:
    """One run of an image: its own processes and mounts, a root that nothing can write to, and no rights."""

    def __init__(self, image, root, log, arguments=None, environment=None, entrypoint=None):
        self.log_path = log
        words = (entrypoint or image.run["Entrypoint"]) + (image.run["Cmd"] if arguments is None else arguments)
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                ["/usr/bin/setpriv", "--no-new-privs", "/usr/bin/unshare", "--mount", "--pid", "--ipc", "--uts", "--fork",
                 "--kill-child", f"--root={root}", f"--wd={image.run['WorkingDir']}", "--mount-proc",
                 f"--setgid={USER}", f"--setuid={USER}", "--", *words],
                env=image.environment | (environment or {}), stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    @property
    def log(self):
        return pathlib.Path(self.log_path).read_text()

    @property
    def pid(self):
        """The program's process, seen from outside: the only child of unshare."""
        own = self.process.pid
        children = pathlib.Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return int(children[0])

    def status(self):
        """The lines of /proc/PID/status by their names."""
        lines = pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.split() for name, value in (line.split(":", 1) for line in lines)}

    def wait(self, seconds=180):
        return self.process.wait(seconds)
