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


REPORT = """<testsuites><testsuite name="pytest" errors="0" failures="0" skipped="2" tests="3"><testcase name="a"/>
<testcase name="b"><skipped type="pytest.skip" message="no mounts here">where</skipped></testcase>
<testcase name="c"><skipped type="pytest.skip" message="no mounts here">where</skipped></testcase></testsuite>
</testsuites>"""


def test_what_was_skipped_is_told_in_the_end(tmp_path, monkeypatch, capsys):
    """Thousands of lines above it is read by nobody."""
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    monkeypatch.setattr(suites, "run_pytest", lambda name, *_: (suites.pytest_counts(name, 0, report), ""))
    monkeypatch.setattr(sys, "argv", ["suites.py", "--build", str(tmp_path), "lint"])
    assert suites.main() == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-2:] == ["NOT TRIED lint: 2 skipped: no mounts here", "1 passed, 0 failed"]


def test_what_the_thread_sanitizer_is_to_run_is_there():
    assert suites.TSAN_FILES == {str(path.relative_to(suites.TEST)) for _, path in suites.pytest_files("tsan")}


def test_the_thread_sanitizer_runs_all_of_the_api_where_that_is_asked(tmp_path):
    def files(wanted):
        folder = {build: tmp_path / build for build in ("asan", "release", "tsan")}
        for (name, paths, _, env, *_), _ in suites.python_suites(folder, tmp_path, wanted):
            assert env["MIGCHAT_SERVER"] == str(tmp_path / "tsan/migchat-server"), name
            yield from paths

    there = set((suites.TEST / "api").glob("*_test.py"))
    by_themselves = list(files("tsan-all"))
    assert len(there - set(by_themselves)) == len(suites.LOOK_BACK) and len(by_themselves) == len(set(by_themselves))
    assert list(files("tsan-all:api/keys")) == [suites.TEST / "api/keys_test.py"]
    assert len(list(files("tsan:api"))) < len(by_themselves)


C_OUTPUT = """[==========] Running 2 test(s).
[ RUN      ] it_listens_on_ipv6
this machine has no ::1: IPv6 was not tried
[  SKIPPED ] it_listens_on_ipv6
[ RUN      ] it_listens
[       OK ] it_listens
[==========] 2 test(s) run.
[  PASSED  ] 1 test(s).
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] it_listens_on_ipv6

 1 SKIPPED TEST(S)
"""


def test_a_skipped_c_test_is_told_by_its_name():
    result = suites.c_test_result("asan:unit/x", 0, C_OUTPUT)
    assert (result.passed, result.failed, result.skipped) == (1, 0, 1)
    assert result.untried == {"it_listens_on_ipv6": 1}
