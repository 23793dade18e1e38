"""What ci.yml does on GitHub's machines, as far as it can be done here: its keys are judged by deploy_files_test.py."""

import os
import pathlib
import subprocess

import pytest
import yaml

CI = pathlib.Path(__file__).resolve().parents[2] / ".github/workflows/ci.yml"
ELSEWHERE_ID = 4242  # the runner's user, who makes the folder; in the container everything is root's


def jobs():
    return yaml.safe_load(CI.read_text())["jobs"]


def script(job, name):
    (step,) = [step for step in jobs()[job]["steps"] if step["name"] == name]
    return step["run"]


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
