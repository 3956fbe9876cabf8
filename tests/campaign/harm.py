"""Manual changes of a library: damage, removal, copies, another store."""

import shutil
from pathlib import Path

from tests.campaign.evidence import OWN, RECEIPT, Copy
from tests.campaign.scene import Scene

HARMS = ("flipped", "flipped", "truncated", "image gone", "receipt gone", "receipt damaged", "folder gone", "folder gone")


def harm_a_series(scene: Scene) -> str:
    """Damage one complete series of the store; returns a description."""
    found = _complete_copy(scene)
    if found is None:
        return "nothing to harm"
    uid, copy = found
    kind = scene.random.choice(HARMS)
    folder = scene.library / copy.folder
    images = sorted(path for path in folder.iterdir() if path.name != RECEIPT)
    image = scene.random.choice(images)
    match kind:
        case "flipped":
            content = bytearray(image.read_bytes())
            content[-1 - scene.random.randrange(min(400, len(content)))] ^= 4
            _rewrite(image, bytes(content))
        case "truncated":
            _rewrite(image, image.read_bytes()[:-7])
        case "image gone":
            image.unlink()
        case "receipt gone":
            (folder / RECEIPT).unlink()
        case "receipt damaged":
            _rewrite(folder / RECEIPT, (folder / RECEIPT).read_bytes()[:-50])
        case _:
            shutil.rmtree(folder)
    _note(scene, uid, kind)
    return f"{kind}: {scene.world.series[uid].number}"


def copy_and_harm(scene: Scene) -> str:
    """Copy a series to another folder of the library, and often damage the store's own copy."""
    found = _complete_copy(scene)
    if found is None:
        return "nothing to copy"
    uid, copy = found
    target = scene.library / f"by hand {scene.random.randint(1, 99)}" / copy.folder.name
    if target.exists():
        return "nothing to copy"
    shutil.copytree(scene.library / copy.folder, target)
    scene.ledger.copied.add(copy.folder)
    scene.ledger.copied.add(type(copy.folder)(target.relative_to(scene.library).as_posix()))
    told = f"copied by hand: {scene.world.series[uid].number}"
    if scene.random.random() < 0.7:
        image = next(path for path in sorted((scene.library / copy.folder).iterdir()) if path.name != RECEIPT)
        _rewrite(image, image.read_bytes()[:-9])
        _note(scene, uid, "truncated")
        told += ", and the first truncated"
    return told


def _complete_copy(scene: Scene) -> tuple[str, Copy] | None:
    evidence = scene.look()
    found = [
        (uid, copy)
        for uid, row in sorted(evidence.complete().items())
        if (copy := evidence.at(row.folder)) and copy.keeps_word and copy.folder.parts[:1] != (OWN,)
    ]
    return scene.random.choice(found) if found else None


def _rewrite(path: Path, content: bytes) -> None:
    """Replace the file by a new one, so that hard links to its content stay unchanged."""
    path.unlink()
    path.write_bytes(content)


def _note(scene: Scene, uid: str, kind: str) -> None:
    scene.ledger.harmed[uid] = kind
    scene.ledger.ever_harmed.add(uid)
    scene.ledger.kept.pop(uid, None)


def break_the_store(scene: Scene) -> str:
    """Delete the store, or overwrite its header."""
    if not scene.store.exists():
        return "no store"
    if scene.random.random() < 0.6:
        scene.remove_store()
        return "store deleted"
    content = scene.store.read_bytes()
    scene.remove_store()
    scene.store.write_bytes(b"\0" * 512 + content[512:])
    return "store damaged"
