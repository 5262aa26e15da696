"""A file as it was: another file, or what git has of it at a revision."""

from __future__ import annotations

import subprocess
from pathlib import Path

from calculator.errors import FileFormatError, InvalidValueError, shown
from calculator.reading.strict_yaml import MAX_FILE_BYTES, Document, parse, read

GIT_SECONDS = 30


def read_as_it_was(path: Path, against: str) -> Document | None:
    """Read a file of YAML as it is in another file, or as git has it at a revision; None where it was not there yet.

    Parameters
    ----------
    path : Path
        The file as it is [-].
    against : str
        Another file, or a revision of the repository that the file lies in, such as ``origin/main`` [-].

    Raises
    ------
    InvalidValueError
        If it is neither.
    FileFormatError
        If what was there is not strict YAML.
    """
    if Path(against).is_file():
        return read(Path(against))
    if not against or against.startswith("-"):
        raise InvalidValueError(f"against must be a file or a revision, not {shown(against)}", what="against")
    # ":./" is the file's own folder, wherever in the repository that is
    asked = ["git", "show", f"{against}:./{path.name}"]
    try:
        ran = subprocess.run(asked, cwd=path.absolute().parent, capture_output=True, timeout=GIT_SECONDS, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise InvalidValueError(
            f"against {shown(against)}: there is no such file, and git cannot be asked: {error}", what="against"
        ) from None
    name = f"{path} at {against}"
    if ran.returncode and _is_commit(path, against):
        return None
    if ran.returncode:
        why = ran.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise InvalidValueError(
            f"against {shown(against)}: there is no such file, and git says of a revision: {why}", what="against"
        )
    if len(ran.stdout) > MAX_FILE_BYTES:
        raise FileFormatError(f"{name}: larger than {MAX_FILE_BYTES:,} bytes, the most that is read")
    try:
        return parse(ran.stdout.decode(), name)
    except UnicodeDecodeError:
        raise FileFormatError(f"{name}: not UTF-8 text") from None


def _is_commit(path: Path, revision: str) -> bool:
    """Whether the repository that a file lies in has a commit of that name."""
    asked = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
    ran = subprocess.run(asked, cwd=path.absolute().parent, capture_output=True, timeout=GIT_SECONDS, check=False)
    return ran.returncode == 0
