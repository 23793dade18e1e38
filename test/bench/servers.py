"""Our server and its peers: how each is built, started on the server's core, and stopped."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import machine

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parents[1]
START_DEADLINE_S = 300  # a seed is adopted in it
ASK_AGAIN_S = 0.005
STOP_DEADLINE_S = 20
BUILD_DEADLINE_S = 600
NODE_MIN_MAJOR = 20  # Fastify 5
WARNINGS = ("-Wall -Wextra -Werror -Wpedantic -Wshadow -Wconversion -Wsign-conversion "
            "-Wstrict-prototypes -Wmissing-prototypes -Wformat=2").split()

MIGCHAT, RAW, UV, NGINX = "MigChat", "raw epoll", "libuv+llhttp", "nginx"
FASTIFY, TUNED = "Fastify", "Fastify tuned"
BARE = "bare loop"


class BenchError(Exception):
    """It cannot go on; the text says why."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(command, what, **options):
    try:
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors="replace", check=False,
                              timeout=options.pop("deadline_s", BUILD_DEADLINE_S), **options)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{what}: took too long") from None
    if done.returncode != 0:
        raise BenchError(f"{what} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


# --- building -------------------------------------------------------------------------------------

class Tools:
    """What is built for the bench, below build/bench."""

    def __init__(self, build, binary, say):
        self.build = build
        self.work = build / "bench"
        self.bin = self.work / "bin"
        self.bin.mkdir(parents=True, exist_ok=True)
        # A copy: what is measured stays the same while somebody builds.
        self.binary = self.bin / "migchat-server"
        shutil.copy2(binary, self.binary)
        self.say = say
        self.missing = {}  # server -> why it is left out

    def make(self):
        llhttp = self._llhttp()
        uv = run(["pkg-config", "--cflags", "--libs", "libuv"], "pkg-config").split()
        self.make_load()
        self._compile("raw_epoll", ["raw_epoll.c"])
        self._compile("uv_llhttp", ["uv_llhttp.c"], llhttp + uv)
        self._compile("bare_loop", ["bare_loop.c"], ["-lsqlite3"])
        self._compile("bare_bcrypt", ["bare_bcrypt.c"], ["-lcrypt"])
        self._compile("count_syncs.so", ["count_syncs.c"], ["-shared", "-fPIC", "-Wno-pedantic"])
        self._find_nginx()
        self._install_fastify()

    def make_load(self):
        self._compile("load", ["load.c", "load_answers.c", "load_tally.c", "load_start.c"])

    def _llhttp(self):
        fetched = self.build / "llhttp"
        if (fetched / "include" / "llhttp.h").exists():
            return ["-isystem", str(fetched / "include"), str(fetched / "lib" / "libllhttp.a")]
        return ["-l:libllhttp.a"]

    def _compile(self, name, sources, flags=()):
        target = self.bin / name
        paths = [BENCH / source for source in sources]
        newest = max(path.stat().st_mtime for path in [*paths, BENCH / "load.h"])
        if not target.exists() or target.stat().st_mtime < newest:
            run([os.environ.get("CC", "gcc"), "-std=c11", "-D_GNU_SOURCE", "-O2", *WARNINGS,
                 "-o", target, *paths, *flags], f"compiling {name}")

    def _find_nginx(self):
        unpacked = self.work / "nginx" / "usr" / "sbin" / "nginx"
        found = str(unpacked) if unpacked.exists() else shutil.which("nginx", path="/usr/sbin:/usr/bin")
        self.nginx = found
        if found is None:
            self.missing[NGINX] = "nginx is not there; ./run bench gets it"

    def _install_fastify(self):
        folder = self.work / "fastify"
        version = run(["node", "--version"], "node").strip() if shutil.which("node") else "none"
        if version == "none" or int(version[1:].partition(".")[0]) < NODE_MIN_MAJOR:
            why = f"Fastify 5 needs Node.js {NODE_MIN_MAJOR}, here is {version}"
            self.missing.update({FASTIFY: why, TUNED: why})
            return
        wanted = version + "".join((BENCH / "fastify" / name).read_text()
                                   for name in ("package.json", "package-lock.json"))
        stamp = folder / ".installed"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        self.say("installing Fastify and better-sqlite3 with npm")
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copyfile(BENCH / "fastify" / name, folder / name)
        # Where there is no binary of better-sqlite3 to be had it is compiled, with Debian's headers.
        headers = {"npm_config_nodedir": "/usr"} if os.path.exists("/usr/include/node/node.h") else {}
        run(["npm", "ci", "--no-audit", "--no-fund"], "npm ci", cwd=folder,
            env={**os.environ, **headers})
        stamp.write_text(wanted)


# --- running --------------------------------------------------------------------------------------

class Running:
    def __init__(self, process, port):
        self.process = process
        self.pid = process.pid
        self.port = port

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise BenchError(f"{self.process.args[0]} did not stop") from None

    def kill(self):
        self.process.kill()
        self.process.wait()


# All but the first.
REFUSES_LOG_INS = ("--login-rate", "1/3600", "--signup-rate", "1/3600")


class Servers:
    def __init__(self, tools):
        self.tools = tools
        self.work = tools.work
        (self.work / "logs").mkdir(parents=True, exist_ok=True)

    def command(self, name, port, database=None, body=None, refuses_log_ins=False, keeps_answers=True):
        """(command, environment, folder) of a server."""
        tools = self.tools
        env = {key: value for key, value in os.environ.items()
               if not key.startswith("MIGCHAT_") and key not in ("PORT", "RUST_LOG", "NODE_OPTIONS")}
        if name == MIGCHAT:
            # As its service starts it, which has no user to look for: that would load the system's
            # name services, half a megabyte where systemd's is installed.
            return ([tools.binary, "--user", "root", "--listen", "127.0.0.1", "--port", port, "--db", database,
                     *(REFUSES_LOG_INS if refuses_log_ins else ("--rate-limits", "off")),
                     *(() if keeps_answers else ("--kept-answers-bytes", "0"))], env, self.work)
        if name == RAW:
            return [tools.bin / "raw_epoll", port, *([body] if body else [])], env, self.work
        if name == UV:
            return [tools.bin / "uv_llhttp", port], env, self.work
        if name == NGINX:
            return [tools.nginx, "-c", self._nginx_conf(port, body), "-e", "stderr"], env, self.work
        if name in (FASTIFY, TUNED):
            return (["node", BENCH / "fastify" / "server.mjs", port, database,
                     "tuned" if name == TUNED else "idiomatic"],
                    {**env, "NODE_ENV": "production"}, self.work / "fastify")
        raise BenchError(f"no server {name}")

    def _nginx_conf(self, port, body):
        folder = self.work / "nginx-files"
        folder.mkdir(exist_ok=True)
        conf = folder / "nginx.conf"
        scratch = "".join(f"{kind}_temp_path {folder}/{kind};"
                          for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        place = (f"root {pathlib.Path(body).parent}; default_type application/json;"
                 f"location = /api/messages {{ try_files /{pathlib.Path(body).name} =404; }}" if body else "")
        conf.write_text(f"""daemon off; master_process off; pid {folder}/pid; error_log stderr;
            events {{ worker_connections 20000; multi_accept on; }}
            http {{ access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; {scratch}
                keepalive_requests 1000000000; keepalive_timeout 300s; open_file_cache max=100;
                server {{ listen 127.0.0.1:{port} backlog=4096; {place}
                    location = /health {{ default_type text/plain; return 200 OK; }} }} }}
            """)
        return conf

    def start(self, name, database=None, body=None, cores=(machine.SERVER_CORE,), preload=None, **options):
        port = free_port()
        command, env, folder = self.command(name, port, database, body, **options)
        with open(self.work / "logs" / (name.replace(" ", "-") + ".log"), "wb") as log:
            process = subprocess.Popen(list(map(str, command)), env={**env, **(preload or {})},
                                       cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       preexec_fn=machine.pin(*cores))
        server = Running(process, port)
        deadline = time.monotonic() + START_DEADLINE_S
        while not answers(port, ready_target(name)):
            if process.poll() is not None or time.monotonic() > deadline:
                server.kill()
                raise BenchError(f"{name} does not answer; see {log.name}")
        return server

    @contextlib.contextmanager
    def running(self, name, **options):
        server = self.start(name, **options)
        try:
            yield server
        except BaseException:
            server.kill()
            raise
        server.stop()


def ready_target(name):
    """What answers 200 once requests are served; ours is up before its database is open."""
    return "/readyz" if name == MIGCHAT else "/health"


def answers(port, target):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request("GET", target))
            if b" 200 " in connection.recv(4096)[:16]:
                return True
    except OSError:
        pass
    time.sleep(ASK_AGAIN_S)
    return False


# --- asking ---------------------------------------------------------------------------------------

def request(method, target, token=None, body=None, fields=()):
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *fields]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def write_requests(path, rows):
    """`rows` is [(request, class, status, body length or -1)]."""
    path.parent.mkdir(exist_ok=True)
    with open(path, "wb") as file:
        for asked, kind, status, length in rows:
            file.write(f"{len(asked)} {kind} {status} {length}\n".encode() + asked)
    return path


class Client:
    """One keep-alive connection, for looking at answers before they are measured."""

    def __init__(self, port):
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.file = self.connection.makefile("rb")

    def ask(self, asked):
        """(status, fields, body)"""
        self.connection.sendall(asked)
        return self.answer()

    def answer(self):
        status = int(self.file.readline().split()[1])
        fields = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        if fields.get("transfer-encoding") == "chunked":
            chunks = []
            while size := int(self.file.readline(), 16):
                chunks.append(self.file.read(size))
                self.file.readline()
            self.file.readline()
            body = b"".join(chunks)
        elif status == 304:
            body = b""
        else:
            body = self.file.read(int(fields.get("content-length", 0)))
        return status, fields, body

    def json(self, asked):
        status, _, body = self.ask(asked)
        if status != 200:
            raise BenchError(f"{asked[:80]!r}: {status} {body[:200]!r}")
        return json.loads(body)

    def close(self):
        self.file.close()
        self.connection.close()


def load(tools, *arguments, core=machine.LOAD_CORE, **options):
    """The load generator as a started process."""
    return subprocess.Popen([str(tools.bin / "load"), *map(str, arguments)], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            preexec_fn=machine.pin(core), **options)


def loaded(process, deadline_s=120):
    """Its figures when it has ended."""
    try:
        output, errors = process.communicate(timeout=deadline_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise BenchError("the load generator did not end") from None
    if process.returncode != 0:
        raise BenchError(f"a wrong answer, or none: {errors.strip()[-800:]}")
    return json.loads(output)
