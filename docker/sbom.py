"""Writes what an installation of tciad consists of as a CycloneDX 1.5 document, to stdout.

Run it with the Python of the installation. Each package has the version that is installed, and the hashes that the locked
requirements allow. A package that is not locked, or has another version, is an error: then the document would be no proof.
The packages of the operating system are those of the base image, which is named with its digest.
"""

import argparse
import json
import re
import sys
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

OWN_NAME: Final = "tciad"
_PINNED: Final = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def main() -> int:
    """Write the document, or say what is not locked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("requirements", type=Path, help="the locked requirements")
    parser.add_argument("--base", default="", help="the base image, with its digest")
    arguments = parser.parse_args()
    locked = read_locked(arguments.requirements.read_text(encoding="utf-8"))
    installed = {_normal(found.metadata["Name"]): found for found in distributions()}
    unlocked = sorted(
        f"{name} {found.version}"
        for name, found in installed.items()
        if name != OWN_NAME and locked.get(name, ("", ()))[0] != found.version
    )
    if unlocked or OWN_NAME not in installed:
        print(f"not as {arguments.requirements} says: {', '.join(unlocked) or OWN_NAME}", file=sys.stderr)  # noqa: T201
        return 1
    print(json.dumps(document_of(installed, locked, arguments.base), indent=2))  # noqa: T201
    return 0


def read_locked(text: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Name of each package, with its version and the SHA-256 digests of the files that may be installed for it."""
    locked: dict[str, tuple[str, tuple[str, ...]]] = {}
    for entry in re.split(r"\n(?=\S)", text):
        pinned = _PINNED.match(entry)
        if pinned:
            locked[_normal(pinned[1])] = (pinned[2], tuple(_HASH.findall(entry)))
    return locked


def document_of(installed: dict[str, Distribution], locked: dict[str, tuple[str, tuple[str, ...]]], base: str) -> dict[str, Any]:
    """The document; see the specification of CycloneDX 1.5."""
    own = _component(OWN_NAME, installed[OWN_NAME], ())
    others = [_component(name, found, locked[name][1]) for name, found in sorted(installed.items()) if name != OWN_NAME]
    if base:
        others.append({"type": "container", "bom-ref": base, "name": base.partition("@")[0], "version": base.partition("@")[2]})
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid4()}",
        "version": 1,
        "metadata": {"timestamp": datetime.now(UTC).isoformat(timespec="seconds"), "component": own | {"type": "application"}},
        "components": others,
        "dependencies": [
            {"ref": own["bom-ref"], "dependsOn": [other["bom-ref"] for other in others]},
        ],
    }


def _component(name: str, found: Distribution, digests: tuple[str, ...]) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{found.version}"
    component: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "version": found.version, "purl": purl}
    licence = found.metadata.get("License-Expression")
    if licence:
        component["licenses"] = [{"expression": licence}]
    if digests:
        # one of these files was installed; which one depends on the machine, so that none is the component's own hash
        component["properties"] = [{"name": "tciad:locked-sha256", "value": digest} for digest in digests]
    return component


def _normal(name: str) -> str:
    """The one spelling of a name (PyPA, Names and normalization)."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
