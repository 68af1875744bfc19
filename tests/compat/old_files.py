"""Where the fixtures of version 0.1.0 lie, and what its reports say."""

import gzip
import json
from pathlib import Path

V0_1_0 = Path(__file__).parent.parent / "data" / "v0_1_0"

#: The folder's database, as commands name it.
URL = "sqlite:///study.db"


def report_of(kept):
    """Return the ``report.json`` that version 0.1.0 wrote of a study."""
    return json.loads(gzip.decompress((kept / "report.json.gz").read_bytes()))


def unpack_database(kept, path):
    """Write a fixture's database where ``path`` says."""
    path.write_bytes(gzip.decompress((kept / "study.db.gz").read_bytes()))
