"""fuzz.py and what test/fuzz/corpus has, without a harness: scripts stand in for them."""

import pytest

from fuzz import fuzz, seeds

EVERY_BYTE = bytes(range(256))
# Two folders of one merge, as libFuzzer writes it: 0 and 1 were found, 2 is a seed.
CONTROL = """3
0
found/a
found/b
seeds/c
STARTED 0 5
FT 0 1 2
COV 0 1
STARTED 1 5
FT 1 1 2 3 4 5
COV 1 2
STARTED 2 5
FT 2 4 5 6
COV 2 3
"""


def is_seed(path):
    return path.startswith("seeds/")


def test_each_harness_has_a_corpus_that_stays_small():
    names = {path.name[:-len("_fuzz.c")] for path in fuzz.HERE.glob("*_fuzz.c")}
    assert {path.name for path in fuzz.KEPT.iterdir()} == {f"{name}.txt" for name in names}
    for name in names:
        inputs = seeds.kept(name)
        assert 0 < len(inputs) <= fuzz.KEPT_MAX, name
        assert (fuzz.KEPT / f"{name}.txt").stat().st_size <= fuzz.KEPT_MAX_BYTES, name
        assert max(map(len, inputs)) <= fuzz.INPUT_MAX_BYTES.get(name, fuzz.INPUT_MAX_BYTES_ELSE), name


def test_every_byte_comes_back_from_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(seeds, "CORPUS", tmp_path)
    inputs = [EVERY_BYTE, b"\\x00", b" ends with a space "]
    (tmp_path / "json.txt").write_text("".join(fuzz.line_of(each) + "\n" for each in inputs))
    assert seeds.kept("json") == inputs
    assert seeds.kept("cursor") == []


def test_what_reaches_more_is_kept_and_what_reaches_nothing_new_is_not():
    assert list(fuzz.reach_most(CONTROL, is_seed)) == ["found/b"]
    assert list(fuzz.reach_most(CONTROL, lambda _: False)) == ["found/b", "seeds/c"]
    assert list(fuzz.reach_most(CONTROL.replace("FT 0 1", "FT 0 7"), is_seed)) == ["found/b", "found/a"]


@pytest.fixture(name="harness")
def fixture_harness(tmp_path, monkeypatch):
    """A function that makes a harness of a shell script; crashers and corpus are elsewhere."""
    monkeypatch.setattr(fuzz, "CRASHERS", tmp_path / "crashers")
    monkeypatch.setattr(fuzz, "KEPT", tmp_path / "corpus")

    def make(script):
        (tmp_path / "fuzz_bin").mkdir()
        (tmp_path / "fuzz_bin/json").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "fuzz_bin/json").chmod(0o755)
        return tmp_path

    return make


def test_a_run_that_its_time_ended_says_how_many_it_was_to_run(harness):
    folder = harness('echo "stat::number_of_executed_units: 1200"')
    assert fuzz.run(folder, "json", 60) == (True, "json: 1,200 inputs, 0 edges, nothing found")
    assert fuzz.run(folder, "json", 60, 1200) == (True, "json: 1,200 inputs, 0 edges, nothing found")
    assert fuzz.run(folder, "json", 60, 5000) == (True, "json: 1,200 inputs of 5,000 in 60 s, 0 edges, nothing found")


def test_what_was_kept_stays_where_a_merge_fails(harness):
    folder = harness("exit 1")
    (folder / "corpus").mkdir()
    (folder / "corpus/json.txt").write_text("{}\n")
    is_good, shown = fuzz.keep(folder, "json")
    assert not is_good and "the merge ended with 1" in shown
    assert (folder / "corpus/json.txt").read_text() == "{}\n"


def test_the_first_two_hundred_are_kept(harness):
    """A merge of 300 inputs, each of which reaches something of its own."""
    folder = harness("""for option; do case $option in -merge_control_file=*) control=${option#*=} ;; esac; done
{
    echo 300 && echo 0
    seq -f "$(dirname "$0")/../corpus/json/%g" 300
    seq -f 'FT %g' 0 299 | while read -r kind number; do echo "$kind $number $number"; done
} >$control""")
    (folder / "corpus/json").mkdir(parents=True)
    for number in range(1, 301):
        (folder / f"corpus/json/{number}").write_text(str(number))
    assert fuzz.keep(folder, "json")[0]
    kept = (folder / "corpus/json.txt").read_text().split()
    assert len(kept) == len(set(kept)) == fuzz.KEPT_MAX and set(kept) < set(map(str, range(1, 301)))
