"""A results file: a line per model, appended when it is done, so that a run can be resumed.

Each line is complete and on disk before the next begins. A killed run leaves at most one incomplete
line, the last, which is skipped and cut off. A result is reused if the job (command, options,
versions) and the files are the same; errors are never reused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import IO, Any

from prelu_tools.batch.identity import is_as_it_was
from prelu_tools.batch.job import Done, Job
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.process.versions import installed_versions
from prelu_tools.core.results.batch import BatchEntry, WorkerInfo
from prelu_tools.core.results.reading import from_document
from prelu_tools.reports.writers.batch_json import entry_body

SCHEMA_VERSION = 2


def job_hash(job: Job) -> str:
    """The job and the versions as text: the same for the same job in any process."""
    said = f"{SCHEMA_VERSION} {job!r} {sorted(installed_versions().items())}"
    return hashlib.sha256(said.encode()).hexdigest()


class ResultsFile:
    """Opened for one run; used in a `with` block."""

    def __init__(self, path: Path, resume: bool) -> None:
        """Open it, and read what is there.

        Args:
            path: the file.
            resume: whether it may be there already.

        Raises:
            UsageError: it is there, and was not to be, or another run writes to it.
            PReLUToolsError: it cannot be read or written.
        """
        try:
            self._file: IO[bytes] = path.open("a+b")
        except OSError as error:
            raise PReLUToolsError(f"{path} cannot be written: {error.strerror}") from error
        self._path = path
        self._known: dict[str, Mapping[str, Any]] = {}
        self._begun: set[str] = set()
        try:
            _lock(self._file, path)
            if not resume and os.fstat(self._file.fileno()).st_size:  # another run may have ended
                raise UsageError(
                    f"{path} already exists: use --resume to continue from its results, or "
                    "another name"
                )
            self._read()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> ResultsFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def result_of(self, job: Job) -> Done | None:
        """The known result of a job, if it is still valid."""
        line = self._known.get(job_hash(job))
        if line is None or not is_as_it_was(line["files"]):
            return None
        return _done(line)

    def was_begun(self, job: Job) -> bool:
        """Whether a run began to write what this job writes."""
        return job_hash(job) in self._begun

    def begin(self, job: Job) -> None:
        """Record that a job has started to write a file, so that its leftovers are known."""
        self._append(_json({"kind": "batch-begun", "job": job_hash(job), "name": job.name}))

    def add(self, job: Job, done: Done) -> None:
        """Append the outcome of a job.

        Raises:
            PReLUToolsError: it cannot be written.
        """
        self._append(result_line(job, done))

    def _append(self, line: str) -> None:
        try:
            self._file.write(line.encode("utf-8", "replace") + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise PReLUToolsError(f"{self._path} cannot be written: {error.strerror}") from error

    def _read(self) -> None:
        self._file.seek(0)
        end = 0
        for raw in self._file:
            if not raw.endswith(b"\n"):
                break
            end += len(raw)
            with suppress(ValueError, KeyError, TypeError):
                self._take(json.loads(raw))
        self._file.truncate(end)

    def _take(self, line: Mapping[str, Any]) -> None:
        if line["kind"] == "batch-begun":
            self._begun.add(line["job"])
        elif line["kind"] == "batch-result":
            _done(line)  # whether all of it is there
            if line["status"] != "error":
                self._known[line["job"]] = line
                self._begun.discard(line["job"])


def result_line(job: Job, done: Done) -> str:
    """The outcome of a job as JSON: its entry, as in reports, and its document unchanged."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "kind": "batch-result",
        **entry_body(done.entry),
        "shown": done.entry.shown,
        "job": job_hash(job),
        "files": done.files,
        "worker": dataclasses.asdict(done.worker) if done.worker else None,
    }
    return f'{_json(head)[:-1]}, "document": {done.entry.text or "null"}}}'


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _done(line: Mapping[str, Any]) -> Done:
    worker = line["worker"] and from_document(WorkerInfo, line["worker"])
    text = None if line["document"] is None else _json(line["document"])
    entry = from_document(
        BatchEntry, {**line, "worker": worker.name if worker else None, "text": text}
    )
    return Done(entry, dict(line["files"]), worker)


def save_results(folder: Path, command: str, done: Iterable[tuple[Job, Done]]) -> Path:
    """Write the finished results to a new file with an unused name.

    Raises:
        PReLUToolsError: it cannot be written.
    """
    for number in count(1):
        path = folder / f"{command}-results{f'-{number}' if number > 1 else ''}.jsonl"
        try:
            path.touch(exist_ok=False)  # so that no other run uses it
            break
        except FileExistsError:
            continue
        except OSError as error:
            raise PReLUToolsError(f"{path} cannot be written: {error.strerror}") from error
    with ResultsFile(path, resume=False) as file:
        for job, one in done:
            file.add(job, one)
    return path


def _lock(file: IO[bytes], path: Path) -> None:
    """Two runs that append to one file would spoil it."""
    try:
        import fcntl
    except ImportError:  # not on this system
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(f"{path}: another run is writing to it") from error
    except OSError:  # not on this file system
        return
