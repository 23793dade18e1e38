"""deploy/grafana-dashboard.json and the Prometheus examples against a real scrape: every name in them is
told by the server, and everything the server tells is shown. promtool reads each expression."""

import json
import pathlib
import re

import pytest
import yaml

from support import metrics, server as program

ROOT = pathlib.Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "deploy" / "grafana-dashboard.json"
README = ROOT / "deploy" / "README.md"
NAME = re.compile(r"\b((?:migchat|process)_[a-z_]+)")
COLUMNS = 24


@pytest.fixture(scope="module", name="samples")
def fixture_samples(tmp_path_factory):
    """Of a server that did a bit of everything: name of the sample -> its labels."""
    with program.Server(tmp_path_factory.mktemp("shown"), flags=metrics.FLAGS) as running:
        alice = running.api.create()
        alice.send(alice)
        assert running.command("backup", running.directory / "copy.db").returncode == 0
        metrics.text_of(running)
        found = {}
        for family in metrics.families(metrics.text_of(running)):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def panels():
    return json.loads(DASHBOARD.read_text())["panels"]


def expressions():
    return [(panel["title"], target["expr"]) for panel in panels() for target in panel.get("targets", [])]


def test_every_name_is_told_by_the_server(samples):
    assert len(expressions()) > 40
    for title, expr in expressions():
        names = NAME.findall(expr)
        assert names and set(names) <= set(samples), (title, expr, set(names) - set(samples))


def test_labels_are_those_of_the_metric(samples):
    """`instance` is Prometheus' own."""
    for title, expr in expressions():
        for name, matchers in re.findall(r"((?:migchat|process)_[a-z_]+)\{([^}]*)\}", expr):
            used = set(re.findall(r"(\w+)=~?\"", matchers))
            assert "instance" in used and used - {"instance"} <= samples[name], (title, name, matchers)
        told = set().union(*(samples[name] for name in NAME.findall(expr)))
        for names in re.findall(r"\bby \(([^)]*)\)", expr):
            assert {each.strip() for each in names.split(",")} <= told, (title, expr)
    for panel in panels():
        for target in panel.get("targets", []):
            told = set().union({"instance"}, *(samples[name] for name in NAME.findall(target["expr"])))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= told, target


def test_everything_that_is_told_is_shown(samples):
    """Whoever adds a metric adds it to a panel."""
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for _, expr in expressions() for name in NAME.findall(expr)}
    told = {re.sub(r"_(bucket|sum|count)$", "", name) for name in samples}
    assert told - shown == set()


def alerts():
    """The expressions of the table in the README."""
    text = README.read_text().partition("What is worth an alert:")[2].partition("\n## ")[0]
    return re.findall(r"^\| .* \| `(.*)` \|$", text, re.MULTILINE)


def test_alerts_are_about_what_is_told(samples):
    assert len(alerts()) > 5
    for expr in alerts():
        assert expr.startswith("up{") or NAME.findall(expr), expr
        assert set(NAME.findall(expr)) <= set(samples), expr
        for name, matchers in re.findall(r"(migchat_[a-z_]+)\{([^}]*)\}", expr):
            assert set(re.findall(r"(\w+)=~?\"", matchers)) <= samples[name], expr


def test_promtool_reads_every_expression(tmp_path):
    exprs = [expr.replace("$__rate_interval", "5m").replace("$instance", ".*") for _, expr in expressions()]
    rules = [{"record": f"panel:{place}", "expr": expr} for place, expr in enumerate(exprs + alerts())]
    assert all("$" not in rule["expr"] for rule in rules)
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    status, said = metrics.promtool("check", "rules", file)
    assert status == 0 and f"{len(rules)} rules found" in said, said
    rules[0]["expr"] += " +"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert metrics.promtool("check", "rules", file)[0] != 0, "the check finds nothing"


def test_grafana_can_import_it():
    """What an import needs; the data source and the servers are chosen in the dashboard."""
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["title"] and dashboard["uid"] and "id" not in dashboard and dashboard["schemaVersion"] >= 36
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource" and variables["datasource"]["query"] == "prometheus"
    assert variables["instance"]["type"] == "query" and "migchat_build_info" in variables["instance"]["definition"]
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    taken = set()
    for panel in panels():
        assert panel["type"] in ("row", "stat", "timeseries") and panel["title"]
        for part in (panel, *panel.get("targets", [])):
            assert panel["type"] == "row" or part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        place = panel["gridPos"]
        cells = {(column, line) for column in range(place["x"], place["x"] + place["w"])
                 for line in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= COLUMNS and not cells & taken, panel["title"]
        taken |= cells
        refs = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(refs)) == len(refs)


def test_the_prometheus_example_is_one(tmp_path):
    (example,) = re.findall(r"^```yaml\n(scrape_configs:.*?)^```", README.read_text(),
                            re.MULTILINE | re.DOTALL)
    file = tmp_path / "prometheus.yml"
    file.write_text(example)
    status, said = metrics.promtool("check", "config", "--syntax-only", file)
    assert status == 0, said
    (job,) = yaml.safe_load(example)["scrape_configs"]
    assert job["static_configs"][0]["targets"] == ["127.0.0.1:9464"]
    # That is where the text before it has the server listen.
    assert "MIGCHAT_METRICS_LISTEN=127.0.0.1:9464" in README.read_text()
