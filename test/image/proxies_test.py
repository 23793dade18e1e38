"""deploy/nginx.conf and deploy/Caddyfile in Debian's nginx and Caddy, before a running server: only
ports and the certificate are others."""

import os
import re
import signal
import socket
import subprocess
import time

import pytest

from engine import ROOT, run
from support.server import Server

PROXIES = ROOT / "build" / "image" / "proxies"
NAME = "chat.example.org"
DEADLINE_S = 30


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def replaced(text, pattern, with_what, count):
    changed, done = re.subn(pattern, with_what, text)
    assert done == count, f"{pattern}: {done} times"
    return changed


def wait_for(port, process):
    deadline = time.monotonic() + DEADLINE_S
    while True:
        assert process.poll() is None, "the proxy ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "the proxy does not listen"
            time.sleep(0.02)  # polling a port another process opens; nothing to wait on


def start_nginx(folder, server_port, http, https):
    folder.chmod(0o755)
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}",
        "-keyout", folder / "key.pem", "-out", folder / "chain.pem")
    site = (ROOT / "deploy" / "nginx.conf").read_text()
    site = replaced(site, r"/etc/letsencrypt/live/\S+/fullchain.pem", str(folder / "chain.pem"), 1)
    site = replaced(site, r"/etc/letsencrypt/live/\S+/privkey.pem", str(folder / "key.pem"), 1)
    site = replaced(site, r"server 127\.0\.0\.1:3000;", f"server 127.0.0.1:{server_port};", 1)
    site = replaced(site, r"    listen \[::\]:\d+[\w ]*;\n", "", 2)
    site = replaced(site, r"listen 80;", f"listen 127.0.0.1:{http};", 1)
    site = replaced(site, r"listen 443 ssl", f"listen 127.0.0.1:{https} ssl", 1)
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};"
                          for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        # Its own user could not walk to pytest's folder.
        f"user root; daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{site}\n}}\n")
    nginx = PROXIES / "usr" / "sbin" / "nginx"
    told = run(nginx, "-t", "-e", folder / "error.log", "-c", folder / "nginx.conf")
    assert "test is successful" in told.stderr
    return subprocess.Popen([nginx, "-e", folder / "error.log", "-c", folder / "nginx.conf"])


def start_caddy(folder, server_port, http, https):
    text = (ROOT / "deploy" / "Caddyfile").read_text()
    text = replaced(text, r"127\.0\.0\.1:3000", f"127.0.0.1:{server_port}", 1)
    # No authority is asked for a certificate: Caddy's own signs it.
    text = replaced(text, rf"(?m)^{re.escape(NAME)} \{{$", f"{NAME} {{\n\ttls internal", 1)
    (folder / "Caddyfile").write_text(
        f"{{\n\thttp_port {http}\n\thttps_port {https}\n\tadmin off\n\tskip_install_trust\n}}\n{text}")
    caddy = PROXIES / "usr" / "bin" / "caddy"
    env = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    run(caddy, "validate", "--config", ROOT / "deploy" / "Caddyfile", "--adapter", "caddyfile", env=env)
    return subprocess.Popen([caddy, "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"],
                            env=env, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("start", [start_nginx, start_caddy], ids=["nginx", "caddy"])
def test_https_through_the_proxy(tmp_path, start):
    http, https = free_ports(2)
    with Server(tmp_path / "own") as server:
        process = start(tmp_path, server.port, http, https)
        try:
            wait_for(https, process)
            ada, grace = server.api.create(), server.api.create()

            def curl(*words, port=https, scheme="https"):
                resolve = f"{NAME}:{port}:127.0.0.1"
                return run("curl", "-sSk", "--max-time", "20", "--retry", "5", "--retry-all-errors",
                           "--resolve", resolve, *words[:-1], f"{scheme}://{NAME}:{port}{words[-1]}").stdout

            assert curl("/health") == "OK"
            sent = curl("-H", f"Authorization: Bearer {ada.token}", "-H", "Content-Type: application/json",
                        "-d", f'{{"to_username":"{grace.username}","content":"through TLS"}}',
                        "/api/messages/send")
            assert '"message_id"' in sent, sent
            assert "through TLS" in curl("-H", f"Authorization: Bearer {grace.token}", "/api/messages")
            # The server's own limit answers, not the proxy's.
            (tmp_path / "large").write_text('{"content":"' + "x" * 300_000 + '"}')
            large = curl("-H", f"Authorization: Bearer {ada.token}", "-H", "Content-Type: application/json",
                         "-d", f"@{tmp_path / 'large'}", "/api/messages/send")
            assert '"body_too_large"' in large, large
            moved = curl("-o", os.devnull, "-w", "%{http_code} %{redirect_url}", "/health",
                         port=http, scheme="http")
            assert moved.split()[0] in ("301", "308") and f"https://{NAME}" in moved, moved
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE_S)
