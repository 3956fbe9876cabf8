"""The files beside the image: each is read by the program that it is for, and names only what is there."""

import json
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from downloader.cli.app import make_app
from downloader.config.settings import Settings
from downloader.web.metrics import Metrics, Moment
from tests.container.image import read_locked
from tests.web.figures import status_of_everything

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"


def check(*command: str | Path) -> None:
    """The program has nothing to say against it."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.extras
@pytest.mark.needs("check_jsonschema")
def test_compose_and_its_profile_are_valid() -> None:
    """By the schema of the Compose specification."""
    check(Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", DOCKER / "compose.yaml")


@pytest.mark.promtool
@pytest.mark.needs("promtool")
def test_prometheus_accepts_its_configuration_and_the_alerts() -> None:
    """And each alert fires when it should, and only then."""
    check("promtool", "check", "config", "--syntax-only", DOCKER / "prometheus.yaml")
    check("promtool", "check", "rules", DOCKER / "alerts.yaml")
    check("promtool", "test", "rules", DOCKER / "alerts_test.yaml")


def alerts() -> list[dict[str, Any]]:
    """Every alert."""
    (group,) = yaml.safe_load((DOCKER / "alerts.yaml").read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def expressions() -> list[str]:
    """Every expression of alerts and dashboard."""
    panels = json.loads((DOCKER / "grafana" / "dashboard.json").read_text())["panels"]
    return [rule["expr"] for rule in alerts()] + [target["expr"] for panel in panels for target in panel["targets"]]


def test_alerts_and_dashboard_ask_for_what_is_told() -> None:
    """Every metric that they name is one of the service's."""
    told = set(Metrics().names())
    moment = Moment()
    moment.status, moment.manifests = status_of_everything()
    told |= {metric.name for metric in moment.collect()}
    named = {name for expression in expressions() for name in re.findall(r"tciad_\w+", expression)}
    assert {re.sub(r"_(total|bucket)$", "", name) for name in named} <= told


@pytest.mark.promtool
@pytest.mark.needs("promtool")
def test_every_expression_can_be_read(tmp_path: Path) -> None:
    """By Prometheus itself."""
    rules = [{"record": f"test:{number}", "expr": expression} for number, expression in enumerate(expressions())]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "test", "rules": rules}]}))
    check("promtool", "check", "rules", tmp_path / "rules.yaml")


@pytest.mark.parametrize("alert", [rule["alert"] for rule in alerts()])
def test_every_alert_says_what_to_do(alert: str) -> None:
    """In the runbook, under its name; and it is tested."""
    (rule,) = [rule for rule in alerts() if rule["alert"] == alert]
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor == alert.lower()
    assert alert in headings
    assert f"alertname: {alert}" in (DOCKER / "alerts_test.yaml").read_text()


def commands() -> list[list[str]]:
    """How each of the files starts tciad."""
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]["tciad"]["command"]
    kinds = list(yaml.safe_load_all((DOCKER / "kubernetes.yaml").read_text()))
    (deployment,) = [kind for kind in kinds if kind["kind"] == "Deployment"]
    (unit,) = re.findall(r"^ExecStart=\S+/tciad (.+)$", (DOCKER / "tciad.service").read_text(), re.MULTILINE)
    (image,) = re.findall(r"^CMD (\[.+\])$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    return [compose, deployment["spec"]["template"]["spec"]["containers"][0]["args"], unit.split(), json.loads(image)]


@pytest.mark.parametrize("command", commands())
def test_every_command_is_one_that_tciad_takes(command: list[str]) -> None:
    """With flags that it knows."""
    verb = get_command(make_app()).commands[command[0]]  # type: ignore[attr-defined]
    known = {flag for parameter in verb.params for flag in parameter.opts}
    assert {word for word in command if word.startswith("-")} <= known


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "kubernetes.yaml", "tciad.service"])
def test_every_variable_is_one_that_tciad_reads(name: str) -> None:
    """Those that compose itself fills in are named in it."""
    text = (DOCKER / name).read_text()
    own = set(re.findall(r"\$\{(TCIAD_\w+)", text))
    known = {f"TCIAD_{field.upper()}" for field in Settings.model_fields}
    assert set(re.findall(r"TCIAD_[A-Z_]+", text)) - own <= known


def test_the_unit_keeps_others_out_of_what_it_writes() -> None:
    """A library is for the service's user and group."""
    assert re.search(r"^UMask=0027$", (DOCKER / "tciad.service").read_text(), re.MULTILINE)


def test_everything_that_the_image_installs_has_a_hash() -> None:
    """The build back end and what it needs, as well as what runs; nothing is fetched past the locks."""
    text = (DOCKER / "Dockerfile").read_text()
    for command in re.findall(r"/pip (install|wheel)([^&]*?)(?=\\?\n &&|\n[A-Z#]|\n\n)", text):
        assert "--require-hashes" in command[1] or {"--no-index", "--no-deps"} <= set(command[1].split()), command
    locked = (ROOT / "requirements" / "build.txt").read_text()
    pinned = re.findall(r"^([a-z][\w.-]*)==", locked, re.MULTILINE)
    assert {"hatchling", *map(name_of, requires("hatchling") or ())} - {"tomli"} <= set(pinned)


def name_of(requirement: str) -> str:
    """The name in it."""
    return re.split(r"[^\w.-]", requirement)[0]


def test_every_stage_of_the_image_begins_with_a_digest() -> None:
    """Which the build asks for: no tag stands in the file."""
    text = (DOCKER / "Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]
    assert "*@sha256:*) ;;" in text


def test_the_bill_of_materials_is_of_what_is_locked(tmp_path: Path) -> None:
    """A package that the lock does not have, as those of this test's environment, is refused by name."""
    command = [sys.executable, str(DOCKER / "sbom.py"), str(ROOT / "requirements" / "runtime.txt")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.search(r"\bpytest \d", ended.stderr)
    locked = read_locked((ROOT / "requirements" / "test.txt").read_text(encoding="utf-8"))
    version, digests = locked["pytest"]
    assert version
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
    assert digests


@pytest.mark.needs("systemd-analyze")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """But for the program, which is not installed where it says."""
    unit = tmp_path / "tciad.service"
    unit.write_text((DOCKER / "tciad.service").read_text().replace("/opt/tciad/bin/tciad", "/bin/true"))
    check("systemd-analyze", "verify", unit)
