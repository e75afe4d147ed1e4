"""Unpack chosen files from an untrusted zip archive."""

from __future__ import annotations

import contextlib
import errno
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from .errors import explain_disk_full

MAX_MEMBERS = 1000
MAX_UNPACKED = 8 << 30  # bytes
MAX_RATIO = 200  # of unpacked to packed size, if the unpacked size is above RATIO_FROM
RATIO_FROM = 100 << 20  # bytes
CHUNK = 1 << 20

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    struct.error,
)


def extract(archive: Path, folder: Path, wanted: Callable[[str], bool]) -> list[Path]:
    """Unpack the chosen files of an archive.

    Parameters
    ----------
    archive : Path
        A zip; its files may be in one sub-folder.
    folder : Path
        An existing folder that has none of the files.
    wanted : callable
        Returns True for the name of a file to unpack.

    Returns
    -------
    list of Path
        In the archive's order; a refused archive leaves no files behind.

    Raises
    ------
    ValueError
        If the archive is damaged or hostile (encrypted, with paths outside the folder, links,
        absurd sizes or too many members), or has none of the files.
    OSError
        If the disk is full.
    """
    written = []
    try:
        with _Reader(archive) as file, zipfile.ZipFile(file) as source:
            members = source.infolist()
            _check(members, archive.stat().st_size)
            chosen = _choose(members, wanted)
            for name, member in chosen.items():
                written.append(folder / name)
                needed = sum(member.file_size for member in chosen.values())
                with explain_disk_full(folder, needed):
                    _write(source, member, written[-1])
    except BaseException as error:
        for path in written:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        if isinstance(error, (ValueError, *_DAMAGED)) or (
            isinstance(error, OSError) and error.errno == errno.EINVAL
        ):  # a position below 0
            name = archive.name[: -len('.part')] if archive.suffix == '.part' else archive.name
            raise ValueError(f'{name}: refused as an archive ({str(error)[:300]})') from None
        raise
    return written


class _Reader(io.BufferedReader):
    """Reader that refuses to load a directory of absurd size into memory."""

    def __init__(self, path):
        super().__init__(io.FileIO(path))

    def read(self, size=-1, /):
        if size > 4 * CHUNK:
            raise ValueError('its directory is too large')
        return super().read(size)


def _check(members, size):
    """Refuse an archive with members that no honest model archive has."""
    if len(members) > MAX_MEMBERS:
        raise ValueError(f'it has {len(members)} members, more than {MAX_MEMBERS}')
    for member in members:
        _check_member(member)
    packed = sum(member.compress_size for member in members)
    unpacked = sum(member.file_size for member in members)
    if packed > size:
        raise ValueError('its members overlap')
    if unpacked > MAX_UNPACKED or (unpacked > RATIO_FROM and unpacked > MAX_RATIO * packed):
        raise ValueError(f'{packed} bytes would unpack to {unpacked}')


def _check_member(member):
    name = member.orig_filename
    parts = name.rstrip('/').split('/')
    if (
        '\\' in name
        or '\0' in name
        or ':' in name
        or len(parts[-1].encode()) > 255
        or not {'', '.', '..'}.isdisjoint(parts)
    ):
        raise ValueError(f'a member is named {name[:100]!r}')
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ValueError(f'{name[:100]!r} is a link or a device')
    # For these two, zipfile bounds how much is unpacked at a time.
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f'{name[:100]!r} is packed by method {member.compress_type}')


def _choose(members, wanted):
    chosen = {}
    for member in members:
        folders, _, name = member.filename.rpartition('/')
        if member.is_dir() or '/' in folders or not wanted(name):
            continue
        if name in chosen:
            raise ValueError(f'it has {name[:100]!r} twice')
        chosen[name] = member
    if not chosen:
        raise ValueError('it has none of the files sought')
    return chosen


def _write(source, member, path: Path):
    # zipfile reads at most file_size bytes and compares their checksum at the end.
    with source.open(member) as packed, open(path, 'xb') as file:
        done = 0
        for block in iter(lambda: packed.read(CHUNK), b''):
            done += len(block)
            file.write(block)
    if done != member.file_size:
        raise ValueError(f'{member.filename[:100]!r} has {done} of {member.file_size} bytes')
