"""What ci.yml does on GitHub's machines, as far as it can be done here: its keys are judged by deploy_files_test.py."""

import ast
import os
import pathlib
import re
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CI = ROOT / ".github/workflows/ci.yml"
ELSEWHERE_ID = 4242  # the runner's user, who makes the folder; in the container everything is root's


def jobs():
    return yaml.safe_load(CI.read_text())["jobs"]


def step_of(job, name):
    (step,) = [step for step in jobs()[job]["steps"] if step["name"] == name]
    return step


def script(job, name):
    return step_of(job, name)["run"]


def git(folder, *words):
    return subprocess.run(["git", "-C", folder, "-c", "user.name=x", "-c", "user.email=x", *words],
                          capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("job", jobs())
def test_the_container_may_do_what_the_tests_do(job):
    """Without this, mounts, networks of their own and setarch are refused, also to root."""
    assert jobs()[job]["container"]["options"] == "--privileged"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give the folder away")
@pytest.mark.parametrize("job", jobs())
def test_the_commit_is_checked_out_into_a_folder_of_anothers(tmp_path, job):
    origin, folder, programs = tmp_path / "of/server", tmp_path / "workspace", tmp_path / "bin"
    for each in (origin, folder, programs):
        each.mkdir(parents=True)
    git(origin, "init", "--quiet")
    (origin / "run").write_text("here\n")
    git(origin, "add", "run")
    git(origin, "commit", "--quiet", "-m", "x")
    (programs / "apt-get").symlink_to("/bin/true")
    os.chown(folder, ELSEWHERE_ID, ELSEWHERE_ID)
    env = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path), "GIT_CONFIG_SYSTEM": str(tmp_path / "gitconfig"),
           "GITHUB_SERVER_URL": f"file://{tmp_path}", "GITHUB_REPOSITORY": "of/server",
           "GITHUB_SHA": git(origin, "rev-parse", "HEAD")}
    done = subprocess.run(["bash", "-e", "-c", script(job, "Check out")], cwd=folder, env=env, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (folder / "run").read_text() == "here\n"
    # ./run test asks git for the files, and ./run deb for the commit.
    listed = subprocess.run(["git", "ls-files"], cwd=folder, env=env, capture_output=True, text=True, check=True)
    assert listed.stdout == "run\n"


def test_both_debians_run_every_test_that_is_no_matter_of_hours():
    (job,) = jobs().values()
    assert job["strategy"] == {"fail-fast": False, "matrix": {
        "debian": ["bookworm", "trixie"], "command": ["test", "test-deb", "image"]}}
    assert job["container"]["image"] == "debian:${{ matrix.debian }}"
    assert script("test", "Test") == "./run ${{ matrix.command }}"
    (fuzz_s,) = re.findall(r"^MIGCHAT_FUZZ_S=(\d+) exec ./run test$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert step_of("test", "Test")["env"] == {"MIGCHAT_FUZZ_S": fuzz_s}
    told = (ROOT / "README.md").read_text()
    assert all(f"./run {command}" in told for command in job["strategy"]["matrix"]["command"])


# Where the modules are that Python does not bring.
PACKAGES = {"pytest": "python3-pytest", "yaml": "python3-yaml", "jsonschema": "python3-jsonschema",
            "hypothesis": "python3-hypothesis", "websockets": "python3-websockets", "seccomp": "python3-seccomp",
            "prometheus_client": "python3-prometheus-client"}


def imported(paths):
    """The modules that files import, with those that our own modules among them do."""
    names, seen = set(), set()
    while paths:
        path = paths.pop()
        if path in seen:
            continue
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            told = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                told = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in told:
                places = [ROOT / "test" / f"{name.replace('.', '/')}.py", path.parent / f"{name}.py"]
                paths += [place for place in places if place.is_file()]
                names.add(name.partition(".")[0])
    return names


@pytest.mark.parametrize("folder, function", (("deb", "run_test_deb"), ("image", "run_image")))
def test_a_bare_machine_gets_the_modules_of(folder, function):
    """The job has nothing but what ./run installs for it."""
    installs = re.search(rf"^{function}\(\).*?packages_install ([\w -]+)$", (ROOT / "run").read_text(), re.M | re.S)[1]
    packages = subprocess.run([ROOT / "run", "packages", *installs.split()], capture_output=True, text=True,
                              check=True).stdout.split()
    wanted = {PACKAGES[name] for name in imported(list((ROOT / "test" / folder).glob("*.py"))) & set(PACKAGES)}
    assert "python3-jsonschema" in wanted and wanted <= set(packages)
