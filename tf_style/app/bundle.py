"""A picture to download, with everything needed to make it again."""

import json
import zipfile
from pathlib import Path

from tf_style.jobs import manifest


def write(path, picture):
    """Writes a ZIP of a picture, its manifest and its inputs.

    The manifest in it names the inputs beside it, so that `--from_manifest` works in
    the folder where the ZIP is unpacked.

    Args:
        path: of the ZIP.
        picture: path of the picture.
    """
    manifest_path = manifest.path_of(picture)
    facts = json.loads(manifest_path.read_text("utf-8"))
    # Pictures are compressed already.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.write(picture, picture.name)
        for name, entry in facts["inputs"].items():
            source = entry["source"]
            entry["source"] = name + Path(source).suffix.lower()
            archive.write(source, entry["source"])
        archive.writestr(manifest_path.name, json.dumps(facts, indent=2) + "\n")
