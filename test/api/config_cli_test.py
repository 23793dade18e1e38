"""The command line: help, versions, settings from flags, environment and file, their order."""

import os
import re
import resource
import subprocess

import pytest

from support import seen
from support.api import Api, new_name
from support.http import MEMCHECK, has_ipv6
from support.server import Server, binary, environment, run

CONTRACT_OPTIONS = ("--head-timeout-ms", "--body-timeout-ms", "--idle-timeout-ms",
                    "--max-body-bytes", "--max-message-bytes", "--password-cost",
                    "--cors-origins", "--rate-limits", "--signup-rate", "--login-rate", "--claim-rate",
                    "--typing-rate", "--send-rate", "--read-rate", "--trusted-proxies", "--client-address-field",
                    "--listen", "--port", "--db", "--user")
DEFAULTS = {"MIGCHAT_HEAD_TIMEOUT_MS": "10000", "MIGCHAT_BODY_TIMEOUT_MS": "15000",
            "MIGCHAT_IDLE_TIMEOUT_MS": "75000", "MIGCHAT_MAX_BODY_BYTES": "262144",
            "MIGCHAT_MAX_MESSAGE_BYTES": "65536", "MIGCHAT_PASSWORD_COST": "12",
            "MIGCHAT_CORS_ORIGINS": "*", "MIGCHAT_RATE_LIMITS": "on",
            "MIGCHAT_USER": "migchat", "MIGCHAT_LISTEN": "0.0.0.0", "MIGCHAT_PORT": "3000", "MIGCHAT_LOG": "info"}


def dumped(*flags, env=None, cwd=None):
    """`config dump` as {variable: value}; sources are comments."""
    done = run("config", "dump", *flags, env=env, cwd=cwd)
    assert done.returncode == 0, done.stderr
    values = {}
    for line in done.stdout.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            name, _, value = line.partition("=")
            values[name.strip()] = re.sub(r"\s+#.*$", "", value).strip().strip('"')
    return values


def test_help_names_every_option():
    done = run("--help")
    assert done.returncode == 0 and done.stderr == ""
    for option in CONTRACT_OPTIONS:
        assert option in done.stdout, option
    for variable in DEFAULTS:
        if variable != "MIGCHAT_LOG":
            assert variable in done.stdout or variable[8:].lower().replace("_", "-") in done.stdout


def test_version_names_the_libraries():
    done = run("--version")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("migchat-server ")
    for library in ("libuv", "llhttp", "SQLite", "cJSON", "libxcrypt"):
        assert re.search(rf"{library}\s+v?\d+\.\d+", done.stdout, re.IGNORECASE), \
            f"{library}\n{done.stdout}"


def test_what_cannot_be_printed_is_a_failure():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([binary(), "version"], env=environment(), stdout=full, stderr=subprocess.PIPE, text=True,
                              check=False)
    assert done.returncode == 1
    assert done.stderr == "migchat-server: stdout: No space left on device\n"


@pytest.mark.parametrize("flag,nearest", [
    ("--prot", "--port"), ("--pasword-cost", "--password-cost"), ("--lisen", "--listen"),
    ("--cors-origin", "--cors-origins"), ("--max-body-byte=5", "--max-body-bytes")])
def test_an_unknown_flag_tells_the_nearest(flag, nearest):
    done = run(flag, *([] if "=" in flag else ["1"]))
    assert done.returncode == 2 and done.stdout == ""
    assert nearest in done.stderr, done.stderr


def test_a_flag_like_no_other():
    done = run("--zzzzzzzzzzzz")
    assert done.returncode == 2 and "--zzzzzzzzzzzz" in done.stderr


@pytest.mark.parametrize("arguments", [
    ["--port"], ["--port", "x"], ["--port", "65536"], ["--port", "-1"], ["--port", ""],
    ["--password-cost", "3"], ["--password-cost", "17"], ["--rate-limits", "maybe"],
    ["--listen", "not an address"], ["--head-timeout-ms", "0"], ["--head-timeout-ms", "1e3"],
    ["--max-body-bytes", "99999999999999999999"], ["surve"], ["config"], ["config", "chek"],
    *(["--cors-origins", origins] for origins in (
        "example.org", "https:", "https://", "://a.example", "https:a.example", "https://A.example", "https://a b",
        "https://a.example/", "https://*", "https://u@a.example", "https://a.example?", "https://a.example#",
        ",".join(["http://a"] * 33), "https://" + "a" * 4096)),
    *(["--send-rate", rate] for rate in ("", "0/60", "3/0", "3", "3/60s", "1000001/1", "-1/1", "3/60/2", "on")),
    *(["--trusted-proxies", proxies] for proxies in ("", "127.0.0.1/33", "localhost", "10.0.0.0/8,",
                                                     ",".join(["10.0.0.1"] * 33)))], ids=" ".join)
def test_values_that_are_refused(arguments, tmp_path):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2, f"exit {done.returncode}\n{done.stderr}"
    assert done.stderr.strip() and done.stdout == ""
    assert not os.listdir(tmp_path), "it began to serve"


@pytest.mark.parametrize("variable,value", [("MIGCHAT_PORT", "x"), ("MIGCHAT_PASSWORD_COST", "99"),
                                            ("MIGCHAT_RATE_LIMITS", "")])
def test_variables_that_are_refused(variable, value):
    done = run("config", "check", env=environment(**{variable: value}))
    if value == "":
        assert done.returncode in (0, 2)  # an empty variable may count as none
    else:
        assert done.returncode == 2 and variable in done.stderr, done.stderr


def test_a_mistyped_variable_is_told():
    done = run("config", "check", env=environment(MIGCHAT_PASSWORD_COTS=4))
    assert "MIGCHAT_PASSWORD_COTS" in done.stderr, done.stderr


def test_config_check(tmp_path):
    good = run("config", "check", "--port", "1")
    assert good.returncode == 0 and good.stdout.strip()
    file = tmp_path / "bad.conf"
    file.write_text("MIGCHAT_PORT=3000\nport=\n")
    bad = run("config", "check", "--config", file)
    assert bad.returncode == 2 and "bad.conf" in bad.stderr, bad.stderr


def test_defaults():
    values = dumped()
    for variable, default in DEFAULTS.items():
        assert values.get(variable) == default, variable
    expected = "/data/migchat.db" if os.path.isdir("/data") else "./data/migchat.db"
    assert values["MIGCHAT_DB"] == expected


def test_flags_then_environment_then_file_then_default(tmp_path):
    file = tmp_path / "some.conf"
    file.write_text("# a comment\n\nMIGCHAT_PORT = 1001\npassword-cost=5\n"
                    "MIGCHAT_IDLE_TIMEOUT_MS=\"7000\"  # behind a value\n")
    use = ["--config", str(file)]
    assert dumped(*use)["MIGCHAT_PORT"] == "1001"
    assert dumped(*use)["MIGCHAT_PASSWORD_COST"] == "5"
    assert dumped(*use)["MIGCHAT_IDLE_TIMEOUT_MS"] == "7000"
    assert dumped(*use)["MIGCHAT_BODY_TIMEOUT_MS"] == DEFAULTS["MIGCHAT_BODY_TIMEOUT_MS"]
    by_variable = environment(MIGCHAT_PORT=1002, MIGCHAT_PASSWORD_COST=6)
    assert dumped(*use, env=by_variable)["MIGCHAT_PORT"] == "1002"
    assert dumped(*use, "--port", "1003", env=by_variable)["MIGCHAT_PORT"] == "1003"
    assert dumped(*use, "--port=1004", env=by_variable)["MIGCHAT_PORT"] == "1004"
    assert dumped(*use, "--port=1004", env=by_variable)["MIGCHAT_PASSWORD_COST"] == "6"
    # The file's path follows the same order.
    named = environment(MIGCHAT_CONFIG=str(file))
    assert dumped(env=named)["MIGCHAT_PORT"] == "1001"


def test_port_counts_below_migchat_port(tmp_path):
    file = tmp_path / "some.conf"
    file.write_text("MIGCHAT_PORT=1001\n")
    assert dumped(env=environment(PORT=1005))["MIGCHAT_PORT"] == "1005"
    assert dumped("--config", file, env=environment(PORT=1005))["MIGCHAT_PORT"] == "1005"
    assert dumped(env=environment(PORT=1005, MIGCHAT_PORT=1006))["MIGCHAT_PORT"] == "1006"
    assert dumped("--port", "1007", env=environment(PORT=1005))["MIGCHAT_PORT"] == "1007"


def test_the_log_level_of_before():
    """MIGCHAT_LOG, else RUST_LOG: a bare level or its migchat_server= directive."""
    for value, level in (("debug", "debug"), ("migchat_server=warn,tower_http=debug", "warn"),
                         ("tower_http=debug,migchat_server=error", "error"), ("WARN", "warn"),
                         ("tower_http=debug", DEFAULTS["MIGCHAT_LOG"]),
                         ("warn,hyper=trace", "warn")):
        assert dumped(env=environment(RUST_LOG=value))["MIGCHAT_LOG"].lower() == level, value
    assert dumped(env=environment(RUST_LOG="debug", MIGCHAT_LOG="error"))["MIGCHAT_LOG"] == "error"
    assert dumped("--log-level", "trace",
                  env=environment(MIGCHAT_LOG="error"))["MIGCHAT_LOG"] == "trace"


def test_the_dump_is_a_file_that_gives_the_same(tmp_path):
    flags = ["--port", "1234", "--cors-origins", "https://a.example,https://b.example:8443",
             "--password-cost", "7", "--db", str(tmp_path / "with space # and.db")]
    text = run("config", "dump", *flags).stdout
    file = tmp_path / "again.conf"
    file.write_text(text)
    again = run("config", "dump", "--config", file)
    assert again.returncode == 0, again.stderr

    def settings(dump):
        return [re.sub(r"\s+#[^\"]*$", "", line) for line in dump.splitlines()
                if not line.startswith("#")]

    assert settings(again.stdout) == settings(text)


def test_the_port_variable_is_listened_on(tmp_path):
    """PORT=0 takes any free port, so the default was not used."""
    with Server(tmp_path / "own", port=None, PORT=0) as server:
        assert server.port not in (0, 3000)
        server.api.get("/health").expect(200)


def test_the_default_database_is_made_below_the_working_directory(tmp_path):
    server = Server(tmp_path / "own")
    if os.path.isdir("/data"):
        pytest.skip("/data exists here, so that the default is in it")
    at = server.arguments.index("--db")
    del server.arguments[at:at + 2]
    seen.note_directory(server.directory / "data")
    with server:
        server.api.create()
        assert (server.directory / "data" / "migchat.db").is_file()


def test_all_addresses_by_default_and_ipv6(tmp_path):
    with Server(tmp_path / "all", listen="0.0.0.0") as server:
        server.api.get("/health").expect(200)
    if not has_ipv6():
        pytest.skip("no IPv6 on this machine")
    with Server(tmp_path / "six", listen="::1") as server:
        with pytest.raises(OSError):
            Api(server.port).connection()


def test_an_address_in_use_is_told(start, tmp_path):
    server = start()
    second = Server(tmp_path / "second", port=str(server.port)).spawn()
    second.wait_exit(None)
    assert str(server.port) in second.log(), second.log()


def test_a_minimum_of_passwords(start):
    api = start(flags=["--min-password-bytes", "10"]).api
    shortest = seen.PASSWORD_MARK + "12345"
    api.create_raw(new_name(), shortest[:9]).expect(400, "password_too_short")
    api.create_raw(new_name(), "").expect(400, "password_empty")
    account = api.create(None, shortest)
    account.password_raw(shortest, shortest[:5]).expect(400, "password_too_short")
    api.login_raw(account.username, shortest[:5]).expect(401, "credentials_wrong")


def test_the_log_tells_requests_by_id_but_no_secrets(start):
    server = start(MIGCHAT_LOG="trace")
    api = server.api
    account = api.create()
    api.get("/api/messages?with=secretquery", account.token,
            fields=[("X-Request-Id", "find-me-in-the-log")]).expect(200)
    api.login_raw(account.username, seen.new_password()).expect(401)
    account.send(account)
    account.send_raw("", seen.new_content()).expect(404)
    server.stop()
    log = (server.directory / "server.log").read_text()
    assert "find-me-in-the-log" in log
    for secret in (account.token, seen.PASSWORD_MARK, seen.CONTENT_MARK):
        assert secret not in log


def test_levels_are_kept(tmp_path):
    with Server(tmp_path / "own", MIGCHAT_LOG="trace") as server:
        server.api.get("/health").expect(200)
    # Stopped, so that its whole log is read: a request is logged after its answer is written.
    assert {event["level"] for event in server.events()} - {"info", "warn", "error"}, \
        "nothing below info at trace"
    with Server(tmp_path / "info") as server:
        server.api.get("/health").expect(200)
    assert {event["level"] for event in server.events()} <= {"info", "warn", "error"}


def limit_of(server, name):
    """(soft, hard)"""
    with open(f"/proc/{server.process.pid}/limits", encoding="ascii") as limits:
        (line,) = [line for line in limits if line.startswith(name)]
    return tuple(line[len(name):].split()[:2])


def test_the_limit_of_descriptors_is_raised_and_told(start):
    server = start()
    soft, hard = limit_of(server, "Max open files")
    assert soft == hard
    assert any("connections_max" in event for event in server.events()), server.log()


@pytest.mark.skipif(MEMCHECK, reason="valgrind keeps some of the descriptors that are counted")
@pytest.mark.parametrize("limit, allowed", ((400, 400 - 64), (120, 60)))
def test_more_connections_than_descriptors_are_told(start, limit, allowed):
    server = start(flags=["--max-connections", "5000"],
                   preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
    told, = server.events("descriptors_too_few")
    assert (told["max_connections"], told["allowed"]) == (5000, allowed)


def test_no_folders_are_made_above_the_database_s_own(tmp_path):
    server = Server(tmp_path / "own", db="no/folder/migchat.db", MIGCHAT_ADMIN_SOCKET="none").spawn()
    told = server.wait_event("database_folder_failed")
    server.wait_exit(1)
    assert told["folder"] == str(tmp_path / "own/no/folder") and not (tmp_path / "own/no").exists()


def test_no_core_is_dumped_unless_it_is_asked_for_while_it_runs(start):
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    server = start(preexec=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)))
    allowed = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    assert limit_of(server, "Max core file size") == ("0", allowed)
