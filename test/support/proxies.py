"""deploy/nginx.conf and deploy/Caddyfile in Debian's nginx and Caddy, unpacked and not installed: only
ports and the certificate are others."""

import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import time

from support.http import ANSWER_DEADLINE_S, Connection
from support.server import ROOT

NAME = "chat.example.org"
DEADLINE_S = 30
UNPACKED = pathlib.Path(os.environ.get("MIGCHAT_TOOLS", ROOT / "build/test-unpack/usr/bin")).parent


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=DEADLINE_S, check=False, **more)
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def free_ports(count):
    """Free on every address, since Caddy listens on all: other tests' connections end slowly on some of them."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("0.0.0.0", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def replaced(text, pattern, with_what, count):
    changed, done = re.subn(pattern, with_what, text)
    assert done == count, f"{pattern}: {done} times"
    return changed


class TlsConnection(Connection):
    """Through the proxy, whose certificate nobody signed."""

    def __init__(self, port, address="127.0.0.1", receive_buffer=None):
        super().__init__(port, address, receive_buffer)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket, server_hostname=NAME)


class Proxy:
    """A program before a server, with a port for http and one for https."""

    def __init__(self, folder, server_port):
        self.folder = folder
        self.folder.mkdir()
        self.http, self.https = free_ports(2)
        self.server_port = server_port
        self.process = None

    def __enter__(self):
        program = UNPACKED / self.program
        assert program.exists(), f"{program} is not there: ./run test unpacks it"
        self.process = self.start(program)
        deadline = time.monotonic() + DEADLINE_S
        while True:
            assert self.process.poll() is None, f"the proxy ended\n{self.log()}"
            try:
                TlsConnection(self.https).close()
                return self
            except OSError:
                assert time.monotonic() < deadline, f"the proxy does not listen\n{self.log()}"
                time.sleep(0.02)  # polling a port another process opens; nothing to wait on

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(DEADLINE_S)

    def log(self):
        path = self.folder / "error.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""


class Nginx(Proxy):
    program = "sbin/nginx"

    def site(self):
        site = (ROOT / "deploy" / "nginx.conf").read_text()
        site = replaced(site, r"/etc/letsencrypt/live/\S+/fullchain.pem", str(self.folder / "chain.pem"), 1)
        site = replaced(site, r"/etc/letsencrypt/live/\S+/privkey.pem", str(self.folder / "key.pem"), 1)
        site = replaced(site, r"server 127\.0\.0\.1:3000;", f"server 127.0.0.1:{self.server_port};", 1)
        site = replaced(site, r"    listen \[::\]:\d+[\w ]*;\n", "", 2)
        site = replaced(site, r"listen 80;", f"listen 127.0.0.1:{self.http};", 1)
        return replaced(site, r"listen 443 ssl", f"listen 127.0.0.1:{self.https} ssl", 1)

    def start(self, program):
        folder = self.folder
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}",
            "-keyout", folder / "key.pem", "-out", folder / "chain.pem")
        temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};"
                              for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        # Its own user could not walk to the tests' folder; and who is not root cannot be another.
        user = "user root; " if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"{user}daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
            f"http {{ access_log off; {temporary}\n{self.site()}\n}}\n")
        told = run(program, "-t", "-e", folder / "error.log", "-c", folder / "nginx.conf")
        assert "test is successful" in told.stderr
        return subprocess.Popen([program, "-e", folder / "error.log", "-c", folder / "nginx.conf"])


class Caddy(Proxy):
    program = "bin/caddy"

    def start(self, program):
        folder = self.folder
        text = (ROOT / "deploy" / "Caddyfile").read_text()
        text = replaced(text, r"127\.0\.0\.1:3000", f"127.0.0.1:{self.server_port}", 1)
        # No authority is asked for a certificate: Caddy's own signs it.
        text = replaced(text, rf"(?m)^{re.escape(NAME)} \{{$", f"{NAME} {{\n\ttls internal", 1)
        (folder / "Caddyfile").write_text(
            f"{{\n\thttp_port {self.http}\n\thttps_port {self.https}\n\tadmin off\n\tskip_install_trust\n}}\n{text}")
        env = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        run(program, "validate", "--config", ROOT / "deploy" / "Caddyfile", "--adapter", "caddyfile", env=env)
        with open(folder / "error.log", "wb") as log:
            return subprocess.Popen([program, "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"],
                                    env=env, stderr=log)


def curl(proxy, *words, port=None, scheme="https"):
    """The last word is the path."""
    port = port or proxy.https
    return run("curl", "-sSk", "--max-time", str(ANSWER_DEADLINE_S), "--retry", "5", "--retry-all-errors",
               "--resolve", f"{NAME}:{port}:127.0.0.1", *words[:-1], f"{scheme}://{NAME}:{port}{words[-1]}").stdout
