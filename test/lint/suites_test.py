"""suites.py where nothing but the lint's own folder was built."""

import sys

import suites


def test_lint_needs_no_build_of_the_tests(tmp_path, monkeypatch):
    ran = []

    def run_pytest(name, *_):
        ran.append(name)
        return suites.Result(name, 1, 0), ""

    monkeypatch.setattr(suites, "run_pytest", run_pytest)
    monkeypatch.setattr(sys, "argv", ["suites.py", "--build", str(tmp_path), "lint"])
    assert suites.main() == 0 and ran == ["lint"]
