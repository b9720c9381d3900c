"""Files and folders written beside their place and moved there when whole: a killed run leaves the old or none."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from velotime._status import InputError
from velotime.data.formats.parts.source import first_line

PART = ".part"  # what names of files end in until they are whole
_HERE, _EXCHANGE = -100, 2  # of Linux's renameat2: paths as they are, and swap


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Have ``write`` fill a file beside ``path``, and move it there when it is whole.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(suffix=f"{path.suffix}{PART}", prefix=_prefix(path), dir=path.parent)
    except OSError as error:
        raise _cannot(path, error) from error
    os.close(handle)
    part = Path(name)
    try:
        write(part)
        _to_disk(part)
        part.chmod(0o666 & ~_umask())
        os.replace(part, path)
    except OSError as error:
        raise _cannot(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def write_whole_folder(path: Path, write: Callable[[Path], object]) -> None:
    """The same for a folder; one that is there is swapped with the new one, and goes.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    try:
        part = Path(tempfile.mkdtemp(suffix=f"{path.suffix}{PART}", prefix=_prefix(path), dir=path.parent))
    except OSError as error:
        raise _cannot(path, error) from error
    try:
        write(part)
        for file in part.rglob("*"):
            if file.is_file():
                _to_disk(file)
        part.chmod(0o777 & ~_umask())
        _put(part, path)
    except OSError as error:
        raise _cannot(path, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def remove_parts(path: Path) -> None:
    """Remove what runs that were killed while they wrote ``path`` left beside it."""
    for part in path.parent.glob(f"{_prefix(path)}*{path.suffix}{PART}"):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def _put(part: Path, path: Path) -> None:
    """Move a whole folder to its place; after that ``part`` is the old one or gone."""
    if not path.exists():
        os.rename(part, path)
    elif not _exchanged(part, path):  # two steps where the system cannot swap
        aside = part.with_name(f"{part.name}.old")
        os.rename(path, aside)
        os.rename(part, path)
        shutil.rmtree(aside, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Swap two names in one step, where the system can."""
    if not sys.platform.startswith("linux"):
        return False
    swap = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return swap is not None and swap(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0


def _prefix(path: Path) -> str:
    return f".{path.stem}-"


def _to_disk(file: Path) -> None:
    with file.open("rb") as handle:
        os.fsync(handle.fileno())


def _cannot(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be written: {first_line(error)}")


def _umask() -> int:
    """Permissions that new files go without; can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
