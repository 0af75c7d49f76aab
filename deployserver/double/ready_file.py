"""The file that says where a double is, for as long as it can be reached."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from deployserver.errors import InvalidValue


class ReadyFile:
    """A file that holds one line, from ``write`` to ``remove``, and is never seen half written.

    What an earlier run has left there is removed at once. Raises InvalidValue if it cannot be, and for what is no
    ordinary file: a device or a link, such as /dev/stdout, is not ours to replace.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line = ""
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                raise self._wrong("is a directory, a device or a link; give the name of a file, which will be replaced")
            path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._wrong(f"cannot be written: {error.strerror}") from None

    def write(self, line: str) -> None:
        """Let the file be there, whole. Raises InvalidValue if it cannot be written."""
        unfinished = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        try:
            unfinished.write_text(f"{line}\n", "utf-8")
            unfinished.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise self._wrong(f"cannot be written: {error.strerror}") from None
        self._line = line

    def remove(self) -> None:
        """Remove what was written, unless another double has written its own line there since."""
        with suppress(OSError, UnicodeDecodeError):
            if self._line and self._path.read_text("utf-8") == f"{self._line}\n":
                self._path.unlink()

    def _wrong(self, what: str) -> InvalidValue:
        return InvalidValue(f"--ready-file {self._path}: {what}.")
