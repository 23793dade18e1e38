"""The files that engines, clouds and proxies read: only keys that are documented, and values that fit
the server. Where the thing itself is not at hand these are what can be tried; the image is built and
run by `./run image`."""

import os
import pathlib
import re
import subprocess
import tomllib

import yaml

from support.server import binary, environment, run

ROOT = pathlib.Path(__file__).resolve().parents[2]

# --- the documented keys ---------------------------------------------------------------------------
# A dict is a table, a list a table that may come several times, a type a value of that type, a tuple
# the values there are. ANY takes keys of the user's own.
ANY = "*"

# Fly.io's "App configuration (fly.toml)", as of 2026-08; only sections that we might use.
FLY_VM = {"size": str, "memory": (str, int), "cpus": int, "cpu_kind": ("shared", "performance"),
          "kernel_args": str, "host_dedication_id": str, "persist_rootfs": ("never", "restart", "always"),
          "processes": list}
FLY_CHECK = {"grace_period": str, "interval": str, "timeout": str, "method": ("GET", "get", "HEAD", "head"),
             "path": str, "protocol": ("http", "https"), "tls_server_name": str, "tls_skip_verify": bool,
             "headers": {ANY: str}}
FLY = {
    "app": str, "primary_region": str, "kill_timeout": int, "console_command": str, "swap_size_mb": int,
    "kill_signal": ("SIGINT", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGSTOP"),
    "build": {"builder": str, "buildpacks": list, "image": str, "dockerfile": str, "ignorefile": str,
              "build-target": str, "args": {ANY: str}},
    "deploy": {"strategy": ("rolling", "immediate", "canary", "bluegreen"), "max_unavailable": (int, float),
               "wait_timeout": str, "release_command": str, "release_command_timeout": str,
               "release_command_vm": FLY_VM},
    "env": {ANY: str},
    "mounts": [{"source": str, "destination": str, "processes": list, "initial_size": (str, int),
                "snapshot_retention": int, "scheduled_snapshots": bool, "auto_extend_size_threshold": int,
                "auto_extend_size_increment": str, "auto_extend_size_limit": str}],
    "http_service": {
        "processes": list, "internal_port": int, "force_https": bool,
        "auto_stop_machines": ("off", "stop", "suspend"), "auto_start_machines": bool,
        "min_machines_running": int,
        "concurrency": {"type": ("connections", "requests"), "soft_limit": int, "hard_limit": int},
        "http_options": {"idle_timeout": int, "h2_backend": bool},
        "checks": [FLY_CHECK]},
    "vm": [FLY_VM],
    "restart": [{"policy": ("always", "never", "on-failure"), "retries": int, "processes": list}],
    "checks": {ANY: {**FLY_CHECK, "port": int, "type": ("http", "tcp"), "processes": list}},
    "metrics": [{"port": int, "path": str, "processes": list}],
}

# The Compose Specification: top level, services, volumes; only what we might use.
COMPOSE = {
    "name": str,
    "services": {ANY: {
        "build": str, "image": str, "ports": list, "volumes": list, "read_only": bool, "tmpfs": list,
        "cap_drop": list, "cap_add": list, "security_opt": list, "stop_grace_period": str,
        "stop_signal": str, "restart": ("no", "always", "on-failure", "unless-stopped"),
        "environment": {ANY: (str, int)}, "mem_limit": str, "user": str, "command": (str, list),
        "logging": {"driver": str, "options": {ANY: str}},
        "healthcheck": {"test": list, "interval": str, "timeout": str, "retries": int,
                        "start_period": str, "start_interval": str, "disable": bool}}},
    "volumes": {ANY: (None, {"name": str, "external": bool, "driver": str})},
}

# GitHub's "Workflow syntax for GitHub Actions".
STEP = {"name": str, "id": str, "if": str, "uses": str, "run": str, "with": {ANY: (str, int, float, bool)},
        "env": {ANY: str}, "shell": str, "working-directory": str, "timeout-minutes": int,
        "continue-on-error": bool}
WORKFLOW = {
    "name": str, "run-name": str,
    "on": {"push": {"branches": list, "tags": list, "paths": list}, "pull_request": (None, dict),
           "workflow_call": (None, dict), "workflow_dispatch": (None, dict), "schedule": list},
    "permissions": {ANY: ("read", "write", "none")}, "env": {ANY: str}, "defaults": dict,
    "concurrency": {"group": str, "cancel-in-progress": (bool, str)},
    "jobs": {ANY: {
        "name": str, "needs": (str, list), "if": str, "runs-on": str,
        "container": (str, {"image": str, "credentials": dict, "env": {ANY: str}, "ports": list, "volumes": list,
                            "options": str}),
        "permissions": {ANY: ("read", "write", "none")}, "timeout-minutes": int, "environment": (str, dict),
        "strategy": {"matrix": dict, "fail-fast": bool, "max-parallel": int}, "env": {ANY: str},
        "concurrency": (str, dict), "uses": str, "secrets": (str, dict), "with": dict, "outputs": dict,
        "services": dict, "steps": [STEP]}},
}


def fits(value, shape, where):
    """Yields what is not as documented."""
    if isinstance(shape, tuple):
        if not any(not list(fits(value, each, where)) for each in shape):
            yield f"{where}: {value!r} is not one of {shape}"
    elif isinstance(shape, list):
        for place, each in enumerate(value if isinstance(value, list) else [value]):
            yield from fits(each, shape[0], f"{where}[{place}]")
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is no table"
            return
        for key, each in value.items():
            if key not in shape and ANY not in shape:
                yield f"{where}.{key} is not documented"
            else:
                yield from fits(each, shape.get(key, shape.get(ANY)), f"{where}.{key}")
    elif shape is None or isinstance(shape, str):
        if value != shape:
            yield f"{where}: {value!r} is not {shape!r}"
    elif not isinstance(value, shape) or (shape is int and isinstance(value, bool)):
        yield f"{where}: {value!r} is no {shape.__name__}"


def read(name):
    return (ROOT / name).read_text()


def fly():
    return tomllib.loads(read("fly.toml"))


def workflow(name):
    told = yaml.safe_load(read(f".github/workflows/{name}"))
    # YAML 1.1 has `on` as a word for true.
    return {"on" if key is True else key: value for key, value in told.items()}


def options():
    """Every variable the server knows."""
    dump = run("config", "dump").stdout
    return {"PORT", "RUST_LOG"} | set(re.findall(r"^#?\s*(MIGCHAT_\w+)=", dump, re.MULTILINE)) | {"MIGCHAT_CONFIG"}


def routes():
    return run("routes").stdout.splitlines()


def test_the_check_of_keys_finds_what_is_wrong():
    for wrong in ({"max_machines_running": 1}, {"http_service": {"auto_stop_machines": "yes"}},
                  {"vm": [{"memory_mb": 256}]}, {"kill_timeout": "soon"}, {"mounts": {"sauce": "x"}},
                  {"http_service": {"checks": [{"path": 3}]}}, {"http_service": {"internal_port": True}}):
        assert list(fits(wrong, FLY, "fly")), wrong
    assert not list(fits({"mounts": {"source": "a", "destination": "/b"}, "vm": [{"cpus": 1}]}, FLY, "fly"))
    assert list(fits({"version": "3.8"}, COMPOSE, "compose"))
    assert list(fits({"jobs": {"x": {"step": []}}}, WORKFLOW, "workflow"))


# --- Fly.io ----------------------------------------------------------------------------------------

def test_fly_toml_has_only_documented_keys():
    assert not list(fits(fly(), FLY, "fly.toml"))


def test_fly_toml_fits_the_server():
    told = fly()
    service, (machine,) = told["http_service"], told["vm"]
    assert int(told["env"]["PORT"]) == service["internal_port"] == 3000
    assert set(told["env"]) <= options(), "an option that the server does not have"
    (check,) = service["checks"]
    assert check["path"] == "/readyz" and f"{check['method']} /readyz" in routes()
    assert (machine["memory"], machine["cpus"], machine["cpu_kind"]) == ("256mb", 1, "shared")
    assert told["mounts"]["destination"] == "/data"
    assert told["metrics"] == {"port": 9464, "path": "/metrics"}
    assert told["env"]["MIGCHAT_METRICS_LISTEN"] == "[::]:9464" and service["internal_port"] != 9464
    assert run("config", "check", env=environment(**told["env"])).returncode == 0
    assert service["auto_stop_machines"] == "stop" and service["auto_start_machines"]
    assert told["kill_signal"] == "SIGTERM"
    drain_ms = int(re.search(r"^MIGCHAT_DRAIN_TIMEOUT_MS=(\d+)", run("config", "dump").stdout,
                             re.MULTILINE).group(1))
    assert drain_ms / 1000 + 2 <= told["kill_timeout"] <= 300
    assert (ROOT / told["build"]["dockerfile"]).is_file()
    assert "release_command" not in told["deploy"], "it has no volume"


def test_the_deployment_workflow():
    told = workflow("fly-deploy.yml")
    assert not list(fits(told, WORKFLOW, "fly-deploy.yml"))
    assert told["on"] == {"push": {"branches": ["main"]}} and told["permissions"] == {}
    assert told["concurrency"]["cancel-in-progress"] is False
    deploy, test = told["jobs"]["deploy"], told["jobs"]["test"]
    assert deploy["needs"] == "test"
    called = pathlib.Path(test["uses"]).name
    assert "workflow_call" in workflow(called)["on"] and called == "ci.yml"  # what it runs: workflows_test.py
    (step,) = [step for step in deploy["steps"] if "flyctl deploy" in step.get("run", "")]
    assert "--remote-only" in step["run"]
    assert step["env"] == {"FLY_API_TOKEN": "${{ secrets.FLY_API_TOKEN }}"}
    # The secret is there for the one command that needs it.
    assert read(".github/workflows/fly-deploy.yml").count("secrets.") == 1
    (setup,) = [step for step in deploy["steps"] if "setup-flyctl" in step.get("uses", "")]
    assert re.fullmatch(r"\d+\.\d+\.\d+", setup["with"]["version"])


def test_workflows_have_documented_keys_and_pinned_actions():
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        assert not list(fits(workflow(path.name), WORKFLOW, path.name))
        for line in path.read_text().splitlines():
            used = re.search(r"uses:\s*(\S+)(.*)", line)
            if used and not used.group(1).startswith("./"):
                assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used.group(1)), line
                assert re.match(r"\s+# v?\d", used.group(2)), f"which version is that? {line}"


# --- containers ------------------------------------------------------------------------------------

INSTRUCTIONS = {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "LABEL", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL",
                "HEALTHCHECK", "ENTRYPOINT", "CMD", "ENV"}


def dockerfile():
    """[(stage, instruction, words)]; the stage before the first FROM is ''."""
    text = "\n".join(line for line in read("Dockerfile").splitlines() if not line.lstrip().startswith("#"))
    rows, stage = [], ""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip():
            instruction, _, words = line.strip().partition(" ")
            words = " ".join(words.split())
            stage = words.rpartition(" AS ")[2] if instruction == "FROM" else stage
            rows.append((stage, instruction, words))
    return rows


def of(stage, instruction):
    return [words for place, word, words in dockerfile() if (place, word) == (stage, instruction)]


def test_the_dockerfile():
    rows = dockerfile()
    assert {word for _, word, _ in rows} <= INSTRUCTIONS
    stages = [words for _, word, words in rows if word == "FROM"]
    assert [words.rpartition(" AS ")[2] for words in stages] == ["build", "base", "files", "hardened", "server"]
    assert of("", "ARG") == ["BASE=debian:trixie-slim"] and "scratch AS hardened" in stages
    assert [stage for stage, word, _ in rows if word == "USER"] == ["hardened"]
    for stage in ("hardened", "server"):
        assert of(stage, "STOPSIGNAL") == ["SIGTERM"] and of(stage, "EXPOSE") == ["3000"]
        (check,) = of(stage, "HEALTHCHECK")
        assert check.endswith('CMD ["/usr/bin/migchat-server", "healthcheck"]')
        assert of(stage, "ENTRYPOINT") == ['["/usr/bin/migchat-server"]'] and of(stage, "CMD") == ['["serve"]']
        assert of(stage, "VOLUME") == ["/data"]
        for label in ("title", "description", "licenses", "source"):
            assert f"org.opencontainers.image.{label}=" in of(stage, "LABEL")[0]
    for assignment in of("server", "ENV"):
        assert assignment.partition("=")[0] in options()


def test_the_dockerfile_names_no_package():
    """deps/packages.tsv is the one list, of what is built with and of what is loaded."""
    installs = [words for _, word, words in dockerfile() if word == "RUN" and "apt-get install" in words]
    assert len(installs) == 2
    for words, purpose in zip(installs, ("build", "runtime")):
        assert re.search(r"--no-install-recommends \$\(\S*run packages " + purpose + r"\)", words), words


def test_the_runtime_packages_are_those_of_the_binary():
    done = subprocess.run([ROOT / "run", "packages", "runtime"], capture_output=True, text=True, check=True)
    loaded = subprocess.run(["ldd", binary()], capture_output=True, text=True, check=True).stdout
    owners = set()
    for path in re.findall(r"(/\S+)", loaded):
        for name in (path, os.path.realpath(path), f"/usr{path}"):
            found = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True, check=False)
            owners |= {line.partition(":")[0] for line in found.stdout.splitlines()
                       if not line.startswith("diversion")}
    assert owners == set(done.stdout.split()), loaded


def test_compose():
    told = yaml.safe_load(read("compose.yaml"))
    assert not list(fits(told, COMPOSE, "compose.yaml"))
    server = told["services"]["server"]
    (volume,) = server["volumes"]
    assert volume.partition(":")[0] in told["volumes"] and volume.endswith(":/data")
    assert server["read_only"] is True and server["cap_drop"] == ["ALL"]
    assert set(server["cap_add"]) == {"CHOWN", "DAC_OVERRIDE", "SETGID", "SETUID"}
    assert server["security_opt"] == ["no-new-privileges:true"]
    assert all(port.endswith(":3000") for port in server["ports"])
    assert set(server.get("environment", {})) <= options()


def test_nothing_that_is_built_from_is_left_out_of_the_image():
    ignored = [line for line in read(".dockerignore").splitlines() if line and not line.startswith("#")]
    assert {".git", "build", "data", "test"} <= set(ignored)
    assert not {"src", "deps", "run", "CMakeLists.txt"} & set(ignored)
    for words in of("build", "COPY") + of("files", "COPY"):
        if not words.startswith("--from"):
            assert words.split()[0] not in ignored
