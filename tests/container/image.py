"""The image, built and run by Podman, which needs no engine. Everything it keeps lies in a folder of the test run."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from runpy import run_path

from tests.acceptance.command import wait_until

ROOT = Path(__file__).parents[2]
BASE = "docker.io/library/python:3.12-slim-bookworm"
IMAGE = "localhost/tciad:test"
RESTRICTIONS = (
    "--read-only", "--tmpfs", "/tmp", "--cap-drop=all", "--security-opt", "no-new-privileges", "--memory", "256m",  # noqa: S108 - in the container
    "--pids-limit", "64", "--user", "10001:10001",
)  # fmt: skip


def read_locked(text: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Version and digests of each locked package, as the script beside the Dockerfile reads them."""
    read: dict[str, tuple[str, tuple[str, ...]]] = run_path(str(ROOT / "docker" / "sbom.py"))["read_locked"](text)
    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class Podman:
    """Podman with a storage of its own."""

    root: Path

    def __call__(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one command of it to its end."""
        environment = {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(self.root / "storage.conf"),
            "CONTAINERS_CONF": str(self.root / "containers.conf"),
        }
        ended = subprocess.run(["podman", *command], capture_output=True, text=True, check=False, env=environment)
        assert not check or ended.returncode == 0, ended.stdout + ended.stderr
        return ended

    def log(self, name: str) -> str:
        """Everything that the container wrote."""
        ended = self("logs", name, check=False)
        return ended.stdout + ended.stderr

    def wait_for_log(self, name: str, text: str) -> None:
        """Return once the container has written it."""
        wait_until(lambda: text in self.log(name), poll_seconds=0.2)


def open_podman(root: Path) -> Podman:
    """Podman that keeps to a folder."""
    (root / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\nrunroot = "{root}/run"\ngraphroot = "{root}/graph"\n', encoding="utf-8"
    )
    (root / "containers.conf").write_text(
        '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\nnetns = "host"\nlog_driver = "k8s-file"\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n',
        encoding="utf-8",
    )
    return Podman(root=root)


def build_image(podman: Podman) -> None:
    """The image of the Dockerfile, on a base made from Debian packages, since no registry can be asked."""
    base = podman.root / "base.tar"
    packages = "--include=python3,python3-venv,ca-certificates"
    subprocess.run(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", packages, "bookworm", base], check=True)
    podman("import", "-c", 'CMD ["python3"]', base, BASE)
    base.unlink()
    digest = podman("image", "inspect", "--format", "{{.Digest}}", BASE).stdout.strip()
    build(podman, f"{BASE.partition(':')[0]}@{digest}")


def build(podman: Podman, base: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Build the image on that one."""
    lent = _pip_of_this_machine(podman.root)
    of = (
        "--pull=never",
        "--format",
        "docker",
        "--isolation",
        "chroot",
        "--network",
        "host",
        "-f",
        ROOT / "docker" / "Dockerfile",
    )
    return podman("build", *of, "--build-arg", f"PYTHON_IMAGE={base}", *lent, "-t", IMAGE, ROOT, check=check)


def _pip_of_this_machine(folder: Path) -> list[str]:
    """How pip reaches packages here, lent to the build and not kept in the image."""
    told = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    settings = dict(line.partition(".")[2].split("=", 1) for line in told.splitlines())
    values = {name: ast.literal_eval(value).split() for name, value in settings.items()}
    lines = [f"{name} = {' '.join(words)}" for name, words in values.items()]
    (folder / "pip.conf").write_text("\n".join(["[global]", *lines, ""]), encoding="utf-8")
    lent = {str(folder / "pip.conf"): "/etc/pip.conf"}
    lent |= {word: word for words in values.values() for word in words if word.startswith("/") and Path(word).exists()}
    return [word for source, target in lent.items() for word in ("-v", f"{source}:{target}:ro")]


@contextmanager
def storage(root: Path) -> Iterator[Podman]:
    """Podman, and nothing left of it afterwards."""
    podman = open_podman(root)
    try:
        yield podman
    finally:
        podman("rm", "--all", "--force", "--time", "0", check=False)
        podman("pod", "rm", "--all", "--force", check=False)
        podman("rmi", "--all", "--force", check=False)
        shutil.rmtree(root, ignore_errors=True)
