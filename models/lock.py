"""Who trains here: a lock on the directory of a run, so that two processes never write the same run."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from pathlib import Path
from types import TracebackType

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["LOCK", "Busy", "Lock"]

LOCK = ".training"
_FAR = 1 << 30
"""The byte that is locked on Windows, where a locked byte cannot be read: behind everything there is to read."""


class Busy(Exception):
    """Another process trains in this directory; the message says which, since when, and what to do."""


class Lock:
    """Inside, no other process trains in `directory`. Raises Busy if one does, OSError if no file can be made there.

    The file `LOCK` says who trains and since when; the lock itself is the operating system's (flock, or LockFile on
    Windows), which ends with the process, however that dies: a file that was left behind locks nothing. Where a file
    system has no locks, there are none.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / LOCK
        self._file: int

    def __enter__(self) -> Lock:
        while True:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                held = _take(self._file)
            except OSError:
                owner = os.read(self._file, 200).decode(errors="replace").strip()
                os.close(self._file)
                raise Busy(
                    f"{self.path.parent} is being trained by {owner or 'another process'}: wait for it or stop it."
                ) from None
            # Whoever trained until now may have removed the file between our opening and our locking it.
            if not held or self._is_there():
                break
            os.close(self._file)
        os.ftruncate(self._file, 0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        os.write(self._file, f"process {os.getpid()} on {platform.node() or 'this machine'} since {since}\n".encode())
        return self

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file), os.stat(self.path))
        except FileNotFoundError:
            return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if (
            sys.platform == "win32"
        ):  # an open file cannot be removed there, and one that the next has opened need not be
            os.close(self._file)
            with contextlib.suppress(OSError):
                self.path.unlink()
        else:
            with contextlib.suppress(OSError):
                self.path.unlink()
            os.close(self._file)


if sys.platform == "win32":

    def _take(file: int) -> bool:
        os.lseek(file, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(file, 0, os.SEEK_SET)
        return True

else:

    def _take(file: int) -> bool:
        """Whether the lock was taken; False where there are none. Raises OSError if another process holds it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            return False
        return True
