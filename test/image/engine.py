"""What a container engine does, from its parts: buildah builds and unpacks, crun runs.

Docker builds with BuildKit and runs with runc; here the same Dockerfile is built by buildah in a
chroot, and the same image is run by another OCI runtime with what compose.yaml asks for. The network
is the machine's own, so a container's port is told by PORT instead of being mapped.
"""

import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEADLINE_S = 900
STOP_DEADLINE_S = 10
# Images are unpacked a dozen times over; in memory that takes minutes less, where there is enough.
MEMORY_KIB = 8 * 1024 * 1024
BASE = "localhost/migchat-base:trixie"
# What Docker leaves a container when nothing is dropped.
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID",
                "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE")


def run(*command, check=True, **more):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=DEADLINE_S, check=False, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout[-4000:]}\n"
                             f"{done.stderr[-6000:]}")
    return done


def memory_available_kib():
    text = pathlib.Path("/proc/meminfo").read_text(encoding="ascii")
    return int(re.search(r"^MemAvailable:\s+(\d+) kB$", text, re.MULTILINE).group(1))


def limits():
    """What there is: Debian 13's buildah asks for a million of each, which not every root may have."""
    for name in ("nofile", "nproc"):
        _, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))
        yield f"--ulimit={name}={hard}:{hard}"


class Engine:
    """Images and containers in a store of their own; `close` leaves nothing behind."""

    def __init__(self, folder):
        self.folder = folder
        self.store = folder / "store"
        self._clean()
        if memory_available_kib() >= MEMORY_KIB:
            run("mount", "-t", "tmpfs", "-o", "mode=755", "migchat-test", self.store)
        self.running = []
        self.roots = {}

    def buildah(self, *arguments, **more):
        return run("buildah", "--root", self.store, "--runroot", self.folder / "runroot",
                   "--storage-driver", "vfs", *arguments, **more).stdout.strip()

    def import_base(self, archive):
        container = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", container, archive, "/")
        self.buildah("commit", "--quiet", "--format", "docker", "--rm", container, BASE)

    def build(self, tag, *options):
        log = self.folder / f"build-{tag}.log"
        with open(log, "w", encoding="utf-8") as output:
            done = subprocess.run(
                ["buildah", "--root", self.store, "--runroot", self.folder / "runroot",
                 "--storage-driver", "vfs", "build", "--layers", "--isolation", "chroot",
                 *limits(),
                 "--format", "docker", "--build-arg", f"BASE={BASE}", "--tag", tag, *options, ROOT],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                timeout=DEADLINE_S, check=False)
        assert done.returncode == 0, log.read_text()[-8000:]

    def inspect(self, tag):
        """(the image's configuration, the size of each of its layers in bytes)."""
        told = json.loads(self.buildah("inspect", "--type", "image", tag))
        layers = [layer["size"] for layer in json.loads(told["Manifest"])["layers"]]
        return json.loads(told["Config"])["config"], layers

    def packed_bytes(self, tag):
        """What a registry would keep and a machine would fetch."""
        target = self.folder / "packed"
        shutil.rmtree(target, ignore_errors=True)
        self.buildah("push", "--quiet", tag, f"oci:{target}:image")
        size = sum(path.stat().st_size for path in (target / "blobs").rglob("*") if path.is_file())
        shutil.rmtree(target)
        return size

    def root_of(self, tag):
        """The image's files, unpacked once: containers are read-only on them."""
        if tag not in self.roots:
            container = self.buildah("from", "--pull-never", tag)
            self.roots[tag] = pathlib.Path(self.buildah("mount", container))
        return self.roots[tag]

    def start(self, tag, volume, service, **env):
        container = Container(self, tag, volume, service, env)
        self.running.append(container)
        return container.start()

    def close(self):
        for container in self.running:
            container.end()
        self.buildah("rm", "--all", check=False)
        self._clean()

    def _clean(self):
        run("umount", "--lazy", self.store, check=False)
        for name in ("store", "runroot", "containers", "packed"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self.store.mkdir(parents=True)


class Container:
    """One container of an image; `service` is what compose.yaml says of it."""

    count = 0

    def __init__(self, engine, tag, volume, service, env):
        Container.count += 1
        self.engine = engine
        self.name = f"migchat-test-{os.getpid()}-{Container.count}"
        self.bundle = engine.folder / "containers" / self.name
        self.bundle.mkdir(parents=True)
        self.log = self.bundle / "log"
        self.image, _ = engine.inspect(tag)
        self.stop_signal = self.image["StopSignal"]
        self.process = None
        (self.bundle / "config.json").write_text(json.dumps(
            self._specification(engine.root_of(tag), volume, service, env)))

    def _specification(self, root, volume, service, env):
        """The OCI configuration that Docker would make of the image and the service."""
        assert service["read_only"], "containers share their files here"
        uid, _, gid = (self.image.get("User") or "0:0").partition(":")
        given = set() if "ALL" in service.get("cap_drop", []) else set(CAPABILITIES)
        given = sorted(f"CAP_{name}" for name in given | set(service.get("cap_add", [])))
        held = given if uid == "0" else []
        mounts = [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/data", "type": "bind", "source": str(volume),
             "options": ["rbind", "rw"]},
        ]
        mounts += [{"destination": path, "type": "tmpfs", "source": "tmpfs",
                    "options": ["nosuid", "nodev", "mode=1777"]}
                   for path in service.get("tmpfs", [])]
        return {
            "ociVersion": "1.0.2",
            "root": {"path": str(root), "readonly": True},
            "hostname": "migchat",
            "process": {
                "user": {"uid": int(uid), "gid": int(gid or 0)},
                "args": self.image["Entrypoint"] + self.image["Cmd"],
                "env": self.image["Env"] + [f"{name}={value}" for name, value in env.items()],
                "cwd": self.image.get("WorkingDir") or "/",
                "noNewPrivileges": "no-new-privileges:true" in service.get("security_opt", []),
                "capabilities": {"bounding": given, "effective": held, "permitted": held},
            },
            "mounts": mounts,
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]},
        }

    def _crun(self, *arguments, **more):
        return run("crun", "--root", self.engine.folder / "crun", "--cgroup-manager=disabled",
                   *arguments, **more)

    def start(self):
        # crun wants one hierarchy of control groups; in a mount namespace of its own it has one.
        script = ("mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null; "
                  "exec crun --root \"$0\" --cgroup-manager=disabled run --bundle \"$1\" \"$2\"")
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", script, self.engine.folder / "crun",
                 self.bundle, self.name],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        return self

    def events(self, name=None):
        lines = self.log.read_text(errors="replace").splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in events if name is None or event["event"] == name]

    def wait_event(self, name, deadline_s=60):
        deadline = time.monotonic() + deadline_s
        while not self.events(name):
            assert self.process.poll() is None, f"it ended\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"no event {name}\n{self.log.read_text()}"
            time.sleep(0.01)  # polling a file another process writes; nothing to wait on
        return self.events(name)[0]

    def pid(self):
        return json.loads(self._crun("state", self.name).stdout)["pid"]

    def status(self):
        """/proc/PID/status of the server as {field: words}."""
        text = pathlib.Path(f"/proc/{self.pid()}/status").read_text(encoding="ascii")
        return {name: rest.split() for name, _, rest in
                (line.partition(":") for line in text.splitlines())}

    def execute(self, *command):
        """A further command in it, as `docker exec` or its HEALTHCHECK."""
        return self._crun("exec", self.name, *command, check=False)

    def stop(self):
        """As `docker stop`; (exit status, seconds it took)."""
        number = getattr(signal, self.stop_signal)
        begun = time.monotonic()
        os.kill(self.pid(), number)
        return self.wait(), time.monotonic() - begun

    def wait(self, deadline_s=STOP_DEADLINE_S):
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(f"it did not end\n{self.log.read_text()}") from None

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self._crun("kill", self.name, "KILL", check=False)
            self.process.wait(STOP_DEADLINE_S)
        self._crun("delete", "--force", self.name, check=False)
