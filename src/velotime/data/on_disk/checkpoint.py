"""Checkpoints: what a run has done so far, in one file that is always whole."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from velotime._status import FitError, InputError
from velotime.data.on_disk.whole import write_whole

MAGIC = b"velotime checkpoint 1\n"
RARELY = 20  # times as long as writing took is waited before it is written again: it takes 5 % of a run at most


class Checkpoint:
    """A journal in a file, which is replaced as a whole whenever it is due.

    Parameters
    ----------
    path
        The file.
    run
        Name of the run: a hash of data, method and seed.
    stored
        What is in the file already, pickled.
    """

    def __init__(self, path: Path, run: str, stored: dict[str, bytes]) -> None:
        self.path, self.run = path, run
        self._stored = stored
        self._fresh: dict[str, Any] = {}
        self._due = 0.0

    @classmethod
    def opened(cls, path: Path, run: str, *, resume: bool) -> Checkpoint:
        """Of this run: where it goes on from if ``resume`` and the file is there, else empty.

        Raises
        ------
        InputError
            If the file is damaged, or of another run.
        """
        return cls(path, run, _stored(path, run) if resume and path.exists() else {})

    def read(self, name: str) -> Any:
        """What was noted under this name; None if nothing was."""
        if name in self._fresh:
            return self._fresh[name]
        return pickle.loads(self._stored[name]) if name in self._stored else None

    def note(self, name: str, value: Any) -> None:
        """Keep a value, and write it if it is time to."""
        self._fresh[name] = value
        if time.monotonic() >= self._due:
            self.save()

    def save(self) -> None:
        """Write what is new."""
        if not self._fresh:
            return
        began = time.monotonic()
        self._stored |= {name: pickle.dumps(value) for name, value in self._fresh.items()}
        self._fresh = {}
        content = pickle.dumps({"run": self.run, "stored": self._stored})
        write_whole(self.path, lambda part: part.write_bytes(MAGIC + _digest(content) + content))
        now = time.monotonic()
        self._due = now + RARELY * (now - began)


@contextmanager
def kept(checkpoint: Checkpoint) -> Iterator[Checkpoint]:
    """Write what is new when a run ends or is interrupted; one that failed would fail again, so that its file goes."""
    try:
        yield checkpoint
    except FitError:
        checkpoint.path.unlink(missing_ok=True)
        raise
    except BaseException:
        checkpoint.save()
        raise
    checkpoint.save()


def _stored(path: Path, run: str) -> dict[str, bytes]:
    """What a file holds of this run."""
    content = path.read_bytes()
    body = content[len(MAGIC) + len(_digest(b"")) :]
    if not content.startswith(MAGIC + _digest(body)):
        raise InputError(f"{path} is no checkpoint of velotime, or damaged: delete it, or give another name.")
    held = pickle.loads(body)
    if held["run"] != run:
        raise InputError(
            f"{path} is a checkpoint of other data, another method, another seed or another version of velotime: "
            "begin again without resume=True (--resume), or give what it was begun with."
        )
    stored: dict[str, bytes] = held["stored"]
    return stored


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).hexdigest().encode()
