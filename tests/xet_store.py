"""What huggingface_hub stores large files in, for one process: blocks of chunks (xorbs) and lists of them (shards).

As hf_xet 1 sends them; layouts after the project xet-core. Only chunks that are not compressed are read:
``HF_XET_XORB_COMPRESSION_POLICY=none`` makes them so.
"""

import hashlib
import struct

#: Ends each list of a shard.
_LAST = b"\xff" * 32
#: Flags of a file in a shard: hashes that prove its parts, and the file's SHA-256, stand behind its parts.
_PROOFS, _METADATA = 1 << 31, 1 << 30


def _turned(raw):
    """Turn each eight bytes around: a hash is written as four little-endian numbers."""
    return b"".join(raw[i : i + 8][::-1] for i in range(0, 32, 8)).hex()


def chunks_of(xorb):
    """Return a block's chunks: a header of eight bytes (version, length, kind of compression, length unpacked) each."""
    chunks, at = [], 0
    while at < len(xorb):
        version, length, kind = xorb[at], int.from_bytes(xorb[at + 1 : at + 4], "little"), xorb[at + 4]
        assert (version, kind) == (0, 0), "a block of another version, or a compressed one"
        chunks.append(xorb[at + 8 : at + 8 + length])
        at += 8 + length
    return chunks


def files_of(shard):
    """Yield each file of a shard: SHA-256 as a hexadecimal number, and its parts as (block, first chunk, end)."""
    assert shard.startswith(b"HFRepoMetaData\x00")
    at = 48
    while (hashed := shard[at : at + 32]) != _LAST:
        assert len(hashed) == 32
        flags, count = struct.unpack_from("<II", shard, at + 32)
        at += 48
        parts = []
        for _ in range(count):
            first, end = struct.unpack_from("<II", shard, at + 40)
            parts.append((_turned(shard[at : at + 32]), first, end))
            at += 48
        at += 48 * count * bool(flags & _PROOFS)
        assert flags & _METADATA
        yield _turned(shard[at : at + 32]), parts
        at += 48


class Store:
    """Blocks by their hash, and files by their SHA-256."""

    def __init__(self):
        self.blocks = {}
        self.files = {}

    def keep_block(self, name, xorb):
        self.blocks[name] = chunks_of(xorb)

    def keep_files(self, shard):
        """Put the files of a shard together; a file whose bytes are not what its SHA-256 says is an error."""
        for sha256, parts in files_of(shard):
            content = b"".join(b"".join(self.blocks[name][first:end]) for name, first, end in parts)
            assert hashlib.sha256(content).hexdigest() == sha256
            self.files[sha256] = content
