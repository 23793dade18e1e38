"""deploy/README.md, followed: its commands in its order in a throw-away root. What needs a running systemd, a cloud or
an engine is held against the nearest real thing. A command that is in the README and not in LINES fails."""

import os
import pathlib
import re
import shutil
import sqlite3
import subprocess

import pytest
import yaml

from support.api import Api
from support.package import ROOT, Served, inside, later, run
from support.proxies import UNPACKED, Caddy, curl
from support.rust_database import RustDatabase, password_hash

README = ROOT / "deploy/README.md"
# What begins so in the prose is a command, too.
PROGRAMS = ("apt-get ", "systemctl ", "certbot ", "nginx -", "docker ", "fly ", "migchat-server ")
OLD_PASSWORD = "an old password"
# As documented by Fly (flyctl 0.4) and Docker (Compose 2).
FLY_FLAGS = {"--copy-config", "--name", "--no-deploy", "--remote-only", "--ha=false", "-C"}


def commands():
    """Every command of the README in its order: of the blocks for a shell, and those in the prose."""
    found = []
    for block, span in re.findall(r"^```sh\n(.*?)^```$|(?<!`)`([^`\n]+)`", README.read_text(), re.M | re.S):
        lines = block.splitlines() or [span] * (span.startswith(PROGRAMS) and span.count(" ") > 1)
        found += [command.partition("   #")[0].strip() for line in lines for command in line.split(" && ")]
    return found


class Machine:
    """A Debian where the README is followed. Its systemctl knows the files of units and starts nothing: that is done
    here, by what the unit says."""

    def __init__(self, root, deb, folder):
        self.root, self.deb, self.folder = root, deb, folder
        self.origin, self.clone = folder / "origin", root / "srv/server"
        self.served = self.api = self.account = None
        self.old = self.packaged = None

    # --- the ways to know a command -----------------------------------------------------------

    def real(self, command):
        """Run there as it stands."""
        return inside(self.root, "sh", "-ec", f"cd /srv/server && {command}")

    def offered(self, command):
        """The distribution has these packages; caddy and nginx have been unpacked from it."""
        for name in command.split()[2:]:
            if not name.startswith("-"):
                assert run("apt-cache", "show", name).startswith("Package: "), name

    def simulated(self, command):
        """Fetching is the archive's matter; apt understands the words."""
        run("chroot", self.root, *command.replace("apt-get", "apt-get --simulate").split())

    def fetched(self, command):
        run("chroot", self.root, *command.split(), "--print-uris")

    def unit(self, command):
        """systemctl: what is enabled and disabled is, in the root; what is started, runs."""
        _, verb, *words = command.split()
        (name,) = [word for word in words if word != "--now"]
        name = name if "." in name else f"{name}.service"
        assert self.unit_file(name).is_file(), name
        if verb in ("enable", "disable"):
            inside(self.root, "systemctl", verb, name)
            assert self.is_wanted(name) == (verb == "enable")
        if name == "migchat.service" and (verb in ("stop", "restart") or (verb == "disable" and "--now" in words)):
            self.stop()
        if name == "migchat.service" and (verb in ("start", "restart") or (verb == "enable" and "--now" in words)):
            self.start()
        if name == "migchat-server-backup.service" and verb == "start":
            self.run_unit(name)

    def is_wanted(self, name):
        """Started with the machine; outside of the root the link leads nowhere."""
        return any((folder / name).is_symlink() for folder in (self.root / "etc/systemd/system").glob("*.wants"))

    def unit_file(self, name):
        folders = (self.root / each for each in ("lib/systemd/system", "usr/lib/systemd/system"))
        return next((folder / name for folder in folders if (folder / name).exists()), self.root / "lib" / name)

    def run_unit(self, name):
        text = self.unit_file(name).read_text()
        keep = re.search(r"^Environment=KEEP=(\d+)$", text, re.MULTILINE)[1]
        words = re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)[1].replace("%S", "/var/lib").replace("$KEEP", keep)
        run("chroot", "--userspec=migchat:migchat", self.root, *words.split(),
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})

    def start(self):
        assert self.served is None, "it runs already"
        assert "\nExecStart=/usr/bin/migchat-server serve\n" in self.unit_file("migchat.service").read_text()
        self.served = Served(self.root)
        self.api = self.served.__enter__()

    def stop(self):
        if self.served is not None:
            self.served.__exit__()
            self.served = None

    def contents(self):
        return [message["content"] for message in self.account_again().messages()]

    def account_again(self):
        name, password = self.account.username, self.account.password
        return self.api.login(name, password)

    # --- from empty ---------------------------------------------------------------------------

    def cloned(self, command):
        url = command.split()[2]
        assert f'source="{url.removesuffix(".git")}"' in (ROOT / "Dockerfile").read_text(), "of another place"
        run("git", "init", "--quiet", "--initial-branch=main", self.origin)
        run("git", "-C", self.origin, "fetch", "--quiet", "--depth=1", f"file://{ROOT}", "HEAD")
        run("git", "-C", self.origin, "reset", "--quiet", "--hard", "FETCH_HEAD")
        run("git", "clone", "--quiet", f"file://{self.origin}", self.clone)

    def entered(self, command):
        assert (self.clone / "deploy/Caddyfile").is_file() and os.access(self.clone / "run", os.X_OK), command

    def built(self, _):
        """The package that ./run deb made here, in the folder where it leaves it."""
        shutil.rmtree(self.clone / "build", ignore_errors=True)
        (self.clone / "build/deb").mkdir(parents=True)
        package = self.deb if self.packaged is None else later(self.deb, self.folder)
        version = run("dpkg-deb", "-f", package, "Version").strip()
        name = re.sub(r"_.*_", f"_{version}_", self.deb.name)
        shutil.copy(package, self.clone / "build/deb" / name)

    def installed(self, command):
        """The first is started by the package, and the later one restarts it: postinst, where systemd runs."""
        was_there = self.packaged is not None
        self.stop()
        self.real(command)
        self.packaged = inside(self.root, "dpkg-query", "-W", "-f", "${Version}", "migchat-server")
        self.start()
        if not was_there:
            assert self.is_wanted("migchat.service")
            self.old = self.packaged
            self.account = self.api.create()
            self.account.send(self.account, "from the beginning")
        else:
            assert self.packaged != self.old
            assert "from the beginning" in self.contents()
            self.account_again().send(self.account, "after the upgrade")

    def proxied(self, command):
        (self.root / "etc/caddy").mkdir()
        self.real(command.replace("YOUR.NAME", "chat.test"))
        made = self.root / "etc/caddy/Caddyfile"
        assert re.search(r"^chat\.test \{$", made.read_text(), re.MULTILINE)
        run(UNPACKED / "bin/caddy", "validate", "--config", made, "--adapter", "caddyfile",
            env={"HOME": str(self.folder)})
        port = re.search(r"^MIGCHAT_PORT=(\d+)", inside(self.root, "migchat-server", "config", "dump"), re.M)[1]
        assert f"127.0.0.1:{port}" in made.read_text()

    def proxy_reloaded(self, _):
        places = (folder / "lib/systemd/system/caddy.service" for folder in (UNPACKED, UNPACKED.parent))
        (unit,) = (place for place in places if place.is_file())
        assert "\nExecReload=" in unit.read_text()

    def asked_through_the_proxy(self, command):
        with Caddy(self.folder / "proxy", self.api.port) as proxy:
            assert curl(proxy, command.partition("YOUR.NAME")[2]).strip() == '{"status":"ok"}'

    def logged(self, command):
        words = command.split()
        assert self.unit_file(f"{words[2]}.service").is_file()
        told = run("journalctl", "--help")
        assert all(f" {word}" in told for word in words[1:] if word.startswith("-"))

    def with_nginx(self, command):
        """The file passes nginx -t in test/deploy/proxies_test.py; certbot makes what it names."""
        made = "/etc/letsencrypt/live/chat.example.org/fullchain.pem"
        assert made in (ROOT / "deploy/nginx.conf").read_text() and (UNPACKED / "sbin/nginx").is_file(), command

    def socket_used(self, command):
        """Then back again: the rest is about the other unit."""
        self.unit(command)
        self.unit("systemctl disable --now migchat.socket")
        self.unit("systemctl enable --now migchat.service")

    # --- and the rest -------------------------------------------------------------------------

    def pulled(self, command):
        run("git", "-C", self.origin, "-c", "user.name=x", "-c", "user.email=x", "commit", "--quiet", "--allow-empty",
            "--message=later")
        run(*command.split(), "--quiet", cwd=self.clone)
        assert run("git", "rev-parse", "HEAD", cwd=self.clone) == run("git", "rev-parse", "HEAD", cwd=self.origin)

    def rolled_back(self, command):
        """To the old package; a file that the newer one has migrated is refused, and the backup put back."""
        shutil.copy(self.deb, self.clone / "migchat-server_OLD.deb")
        self.stop()
        self.real(command)
        assert inside(self.root, "dpkg-query", "-W", "-f", "${Version}", "migchat-server") == self.old
        self.start()
        assert "after the upgrade" in self.contents(), "an older server reads what needed no migration"
        self.stop()
        database = self.root / "var/lib/migchat/migchat.db"
        with sqlite3.connect(database) as opened:
            (version,) = opened.execute("PRAGMA user_version").fetchone()
            opened.execute(f"PRAGMA user_version = {version + 1}")
        opened.close()
        refused = subprocess.run(["chroot", "--userspec=migchat:migchat", self.root, "/usr/bin/migchat-server", "serve",
                                  "--port=0"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                                 check=False)
        assert refused.returncode != 0 and "newer" in refused.stderr, refused.stderr
        (backup,) = self.root.glob("var/lib/migchat/before-upgrade-*.db")
        inside(self.root, "migchat-server", "restore", f"/{backup.relative_to(self.root)}")
        self.start()
        assert self.contents() == ["from the beginning"]

    def named(self, command):
        """systemctl edit, status and reload: of a unit that is there."""
        name = command.split()[-1]
        name = name if "." in name else f"{name}.service"
        assert self.unit_file(name).is_file(), name
        assert command.split()[1] != "reload" or "\nExecReload=" in self.unit_file(name).read_text()

    def restored(self, command):
        folder = self.root / "var/lib/migchat/backups"
        names = sorted(path.name for path in folder.iterdir())
        shape = re.sub(r"\d", "0", pathlib.Path(command.split()[2]).name)
        assert names and {re.sub(r"\d", "0", name) for name in names} == {shape}, names
        self.real(f"{command.rpartition('/')[0]}/{names[-1]}")

    def set_in_file(self, command):
        with (self.root / "etc/migchat/migchat.conf").open("a") as file:
            file.write(f"{command}\n")
        inside(self.root, "migchat-server", "config", "check")
        (self.root / "etc/migchat/migchat.conf").write_text(
            (self.root / "etc/migchat/migchat.conf").read_text().removesuffix(f"{command}\n"))

    def of_the_old(self, command):
        """Its unit is not ours to know."""
        assert command.split()[1] in ("enable", "disable")
        if command.split()[1] == "disable":
            old = self.root / "path/to/old/data"
            old.mkdir(parents=True)
            rust = RustDatabase(old / "migchat.db")
            rust.add_user(1, "ada", password_hash(OLD_PASSWORD))
            rust.add_message(1, 1, 1, "of old", "2025-11-03T12:00:00+00:00")
            rust.close()
        else:
            with sqlite3.connect(self.root / "path/to/old/data/migchat.db") as opened:
                assert opened.execute("SELECT content FROM messages").fetchall() == [("of old",)]
            assert (self.root / "var/backups/rust.db.tokens").stat().st_mode & 0o777 == 0o600

    def started(self, command):
        """After a restore, and after the old server's file was put in place."""
        self.unit(command)
        if (self.root / "path/to/old/data").exists():
            assert [message["content"] for message in self.api.login("ada", OLD_PASSWORD).messages()] == ["of old"]
        else:
            assert self.contents() == ["from the beginning"]

    def composed(self, command):
        told = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["server"]
        words = command.split()
        assert words[2] in ("up", "logs", "exec", "cp")
        if words[2] in ("exec", "cp"):
            assert words[3].partition(":")[0] == "server" and told["volumes"][0].endswith(":/data")
        if words[2] == "exec":
            self.known(" ".join(words[4:]))

    def imaged(self, command):
        target = re.search(r"--target (\w+)", command)
        assert target is None or f" AS {target[1]}\n" in (ROOT / "Dockerfile").read_text()

    def flown(self, command):
        words = re.sub(r'"[^"]*"', "TEXT", command).split()
        assert {word for word in words if word.startswith("-")} <= FLY_FLAGS and (ROOT / "fly.toml").is_file()
        for text in re.findall(r'"([^"]*)"', command):
            self.known(text)

    def known(self, command):
        """A command of the server, and a path on the volume that containers have."""
        assert f"  {command.rpartition(' ')[0]} FILE" in inside(self.root, "migchat-server", "--help")
        assert command.rpartition(" ")[2].startswith("/data/")


LINES = {
    "apt-get update": Machine.fetched,
    "apt-get -y full-upgrade": Machine.simulated,
    "apt-get install -y git caddy": Machine.offered,
    "git clone https://github.com/migchat/server.git": Machine.cloned,
    "cd server": Machine.entered,
    "./run deb": Machine.built,
    "apt-get install -y ./build/deb/migchat-server_*.deb": Machine.installed,
    "sed 's/chat.example.org/YOUR.NAME/' deploy/Caddyfile >/etc/caddy/Caddyfile": Machine.proxied,
    "systemctl reload caddy": Machine.proxy_reloaded,
    "systemctl status migchat": Machine.named,
    "curl https://YOUR.NAME/readyz": Machine.asked_through_the_proxy,
    "journalctl -u migchat -f": Machine.logged,
    "journalctl -u migchat -n 20": Machine.logged,
    "migchat-server config check": Machine.real,
    "systemctl restart migchat": Machine.unit,
    "systemctl reload migchat": Machine.named,
    "apt-get install -y nginx certbot python3-certbot-nginx": Machine.offered,
    "certbot certonly --nginx -d YOUR.NAME": Machine.with_nginx,
    "nginx -t": Machine.with_nginx,
    "systemctl reload nginx": Machine.with_nginx,
    "systemctl disable --now migchat.service": Machine.unit,
    "systemctl enable --now migchat.socket": Machine.socket_used,
    "migchat-server backup /var/lib/migchat/before-upgrade-$(date +%F).db": Machine.real,
    "git pull": Machine.pulled,
    "apt-get install -y --allow-downgrades ./migchat-server_OLD.deb": Machine.rolled_back,
    "migchat-server backup /var/lib/migchat/migchat-$(date +%F).db": Machine.real,
    "migchat-server verify /var/lib/migchat/migchat-$(date +%F).db": Machine.real,
    "systemctl enable --now migchat-server-backup.timer": Machine.unit,
    "systemctl start migchat-server-backup.service": Machine.unit,
    "systemctl edit migchat-server-backup.service": Machine.named,
    "systemctl edit migchat-server-backup.timer": Machine.named,
    "systemctl stop migchat": Machine.unit,
    "migchat-server restore /var/lib/migchat/backups/migchat-20260101T031000Z.db": Machine.restored,
    "systemctl start migchat": Machine.started,
    "MIGCHAT_METRICS_LISTEN=127.0.0.1:9464": Machine.set_in_file,
    "apt-get install prometheus": Machine.offered,
    "systemctl disable --now OLD-UNIT": Machine.of_the_old,
    "install -m 0600 /path/to/old/data/migchat.db /var/lib/migchat/migchat.db": Machine.real,
    "chown -R --reference=/var/lib/migchat/. /var/lib/migchat/.": Machine.real,
    "systemctl disable --now migchat": Machine.unit,
    "migchat-server export --format=rust /var/backups/rust.db": Machine.real,
    "install -m 0600 /var/backups/rust.db /path/to/old/data/migchat.db": Machine.real,
    "systemctl enable --now OLD-UNIT": Machine.of_the_old,
    "docker compose up -d": Machine.composed,
    "docker compose logs -f": Machine.composed,
    "docker compose exec server migchat-server backup /data/backup.db": Machine.composed,
    "docker compose cp server:/data/backup.db .": Machine.composed,
    "docker build --target hardened .": Machine.imaged,
    "docker cp OLD:/app/data/migchat.db .": Machine.imaged,
    "fly launch --copy-config --name YOUR-APP --no-deploy": Machine.flown,
    "fly deploy --remote-only --ha=false": Machine.flown,
    "fly logs": Machine.flown,
    "fly tokens create deploy": Machine.flown,
    'fly ssh console -C "migchat-server backup /data/backup.db"': Machine.flown,
    "fly ssh sftp get /data/backup.db": Machine.flown,
}


def test_every_command_is_known_here_and_none_is_only_here():
    assert set(commands()) == set(LINES)


def test_the_readme_is_followed(root, deb, tmp_path):
    machine = Machine(root, deb, tmp_path)
    try:
        for command in commands():
            assert command in LINES, f"no test knows what this is: {command}"
            try:
                LINES[command](machine, command)
            except Exception as failure:
                raise AssertionError(f"deploy/README.md: {command}: {failure}") from failure
    finally:
        if machine.served is not None:
            machine.served.process.kill()
            machine.served.process.wait()
