"""Unpacking an image layer into a directory that overlayfs can use as a lower one.

No entry may land outside: names with `..` are refused, links in a path are resolved inside the layer, and whatever
would climb out of it is refused. Whiteouts become overlay's: a character device 0:0, an opaque attribute. Without root
all files belong to us (in the user namespace: to root).
"""

import errno
import gzip
import hashlib
import io
import lzma
import os
import stat
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from moorage.node.images import trees
from moorage.node.runtimes.runtime import RuntimeFailure

CHUNK = 1 << 20
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
LINKS_MAX = 40
#: What broken or hostile archives make the standard library raise.
BROKEN = (
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    OverflowError,
    KeyError,
    RecursionError,
)

#: What the kernel says to entries that contradict each other, rather than to a full or broken disk.
_FAULTS_OF_THE_ARCHIVE = {
    errno.EEXIST,
    errno.EINVAL,
    errno.EISDIR,
    errno.ELOOP,
    errno.EMLINK,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENOTEMPTY,
}


def bad_layer(message: str) -> RuntimeFailure:
    """Return the failure for a layer that cannot be what it says."""
    return RuntimeFailure("InvalidImageLayer", message, temporary=False)


class _Hashing(io.RawIOBase):
    """Reads through and hashes what was read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        self.hash.update(data)
        return len(data)


def decompressed(source: IO[bytes]) -> IO[bytes]:
    """Return a stream of the plain bytes of a gzip, zstd or plain file, told apart by its first bytes."""
    magic = source.read(4)
    source.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=source)  # type: ignore[return-value]
    if magic == b"\x28\xb5\x2f\xfd":
        import zstandard

        reader: IO[bytes] = zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)
        return reader
    return source


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        raise bad_layer(f"the layer is not a readable archive: {error}") from error
    except Exception as error:
        if type(error).__module__.startswith(("zstandard", "compression.zstd")):
            raise bad_layer(f"the layer is not a readable archive: {error}") from error
        raise


def unpack_layer(blob: Path, target: Path, diff_id: str, *, rootless: bool) -> None:
    """Unpack `blob` into the new directory `target` and compare its digest with diff_id ("" for none).

    Raises RuntimeFailure("InvalidImageLayer") and leaves nothing. Blocking: run it in a worker thread.
    """
    target.mkdir(parents=True)
    try:
        with blob.open("rb") as source, _refusals():
            hashing = _Hashing(decompressed(source))
            reader = io.BufferedReader(hashing, CHUNK)
            _Unpacking(target, rootless=rootless).run(reader)
            while reader.read(CHUNK):
                pass
        found = f"sha256:{hashing.hash.hexdigest()}"
        _compare(diff_id, found)
    except BaseException:
        with suppress(OSError):
            trees.remove(target)
        raise


def _compare(said: str, found: str) -> None:
    if said and said != found:
        raise bad_layer(f"the layer's content has the digest {found}, its image says {said}")


class _Unpacking:
    """One layer on its way to disk."""

    def __init__(self, root: Path, *, rootless: bool) -> None:
        self.root = str(root)
        self.rootless = rootless
        self._prefix = "user.overlay." if rootless else "trusted.overlay."
        self._made = {self.root}
        self._directories: list[tuple[str, tarfile.TarInfo]] = []

    def run(self, reader: IO[bytes]) -> None:
        with tarfile.open(fileobj=reader, mode="r|", bufsize=CHUNK) as archive:
            for entry in archive:
                try:
                    self._put(archive, entry)
                except OSError as error:
                    if error.errno in _FAULTS_OF_THE_ARCHIVE:
                        raise bad_layer(f'the entry "{entry.name}" cannot be made: {error.strerror}') from error
                    raise
        for path, entry in reversed(self._directories):
            with suppress(OSError):
                os.utime(path, (entry.mtime, entry.mtime), follow_symlinks=False)

    def _put(self, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        parts = _parts_of(entry.name)
        if not parts:
            return
        parent = self._directory(parts[:-1])
        name = parts[-1]
        path = f"{parent}/{name}"
        if name == OPAQUE:
            os.setxattr(parent, self._prefix + "opaque", b"y")
        elif name.startswith(WHITEOUT):
            hidden = name[len(WHITEOUT) :]
            if hidden in ("", ".", ".."):
                raise bad_layer(f'the entry "{entry.name}" hides no file')
            self._clear(f"{parent}/{hidden}")
            os.mknod(f"{parent}/{hidden}", stat.S_IFCHR, 0)
        elif entry.isdir():
            self._put_directory(path, entry)
        else:
            self._clear(path)
            self._put_file(archive, entry, path)

    def _put_directory(self, path: str, entry: tarfile.TarInfo) -> None:
        try:
            os.mkdir(path)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                os.unlink(path)
                os.mkdir(path)
        self._made.add(path)
        self._directories.append((path, entry))
        if not self.rootless:
            os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
        os.chmod(path, entry.mode & 0o7777 | (0o700 if self.rootless else 0))

    def _put_file(self, archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
        if entry.isreg():
            self._write(archive, entry, path)
        elif entry.islnk():
            os.link(self._existing(entry.linkname), path, follow_symlinks=False)
        elif entry.issym():
            os.symlink(entry.linkname, path)
            if not self.rootless:
                os.lchown(path, entry.uid, entry.gid)
        elif entry.isfifo():
            os.mkfifo(path, entry.mode & 0o7777)
        elif entry.ischr() or entry.isblk():
            self._put_device(entry, path)

    def _put_device(self, entry: tarfile.TarInfo, path: str) -> None:
        """Devices of images are never usable in a container here; without root they cannot even be made."""
        if not self.rootless:
            kind = stat.S_IFCHR if entry.ischr() else stat.S_IFBLK
            os.mknod(path, entry.mode & 0o7777 | kind, os.makedev(entry.devmajor, entry.devminor))

    def _write(self, archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
        source = archive.extractfile(entry)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            left = entry.size
            while left and source is not None:
                data = source.read(min(left, CHUNK))
                if not data:
                    raise bad_layer(f"the archive ends within {entry.name}")
                file.write(data)
                left -= len(data)
            if not self.rootless:
                os.fchown(descriptor, entry.uid, entry.gid)
            os.fchmod(descriptor, entry.mode & 0o7777)
            self._put_attributes(descriptor, entry)
            os.utime(descriptor, (entry.mtime, entry.mtime))

    def _put_attributes(self, descriptor: int, entry: tarfile.TarInfo) -> None:
        """Keep file capabilities and user attributes; never those with which an image would steer overlayfs."""
        for key, value in entry.pax_headers.items():
            name = key.removeprefix("SCHILY.xattr.")
            wanted = name == "security.capability" or (
                name.startswith("user.") and not name.startswith("user.overlay.")
            )
            if name != key and wanted:
                with suppress(OSError):
                    os.setxattr(descriptor, name, value.encode("utf-8", "surrogateescape"))

    def _clear(self, path: str) -> None:
        try:
            kind = os.lstat(path).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(kind):
            trees.remove(Path(path))
            self._made = {self.root}
        else:
            os.unlink(path)

    def _directory(self, parts: list[str]) -> str:
        """Return the real directory for these parts, made if need be, links resolved inside the layer."""
        plain = "/".join([self.root, *parts])
        if plain in self._made:
            return plain
        resolved = self._resolve(parts, make=True)
        if resolved == plain:
            self._made.add(plain)
        return resolved

    def _existing(self, name: str) -> str:
        parts = _parts_of(name)
        if not parts:
            raise bad_layer("a hard link to the layer's root")
        path = f"{self._resolve(parts[:-1], make=False)}/{parts[-1]}"
        if not os.path.lexists(path) or (os.path.isdir(path) and not os.path.islink(path)):
            raise bad_layer(f"a hard link to {name}, which is no file in the layer before it")
        return path

    def _resolve(self, parts: list[str], *, make: bool) -> str:
        here: list[str] = []
        todo = list(reversed(parts))
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                if not here:
                    raise bad_layer(f"the path {'/'.join(parts)} leads out of the layer by a link")
                here.pop()
                continue
            path = "/".join([self.root, *here, part])
            try:
                kind = os.lstat(path).st_mode
            except FileNotFoundError:
                if not make:
                    raise bad_layer(f"the path {'/'.join(parts)} is not in the layer") from None
                os.mkdir(path, 0o755)
                kind = stat.S_IFDIR
            if stat.S_ISLNK(kind):
                links += 1
                if links > LINKS_MAX:
                    raise bad_layer(f"too many links in the path {'/'.join(parts)}")
                target = os.readlink(path)
                if target.startswith("/"):
                    here = []
                todo += [one for one in reversed(target.split("/")) if one not in ("", ".")]
            elif stat.S_ISDIR(kind):
                here.append(part)
            else:
                raise bad_layer(f"the path {'/'.join(parts)} goes through a file")
        return "/".join([self.root, *here])


def _parts_of(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise bad_layer(f'the entry "{name}" leads out of the layer')
    if "\0" in name:
        raise bad_layer("an entry's name contains a null byte")
    return parts
