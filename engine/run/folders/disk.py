"""What a disk refuses, in words, with the way out. Imports no torch."""

import errno

_ANOTHER = "give another folder of runs, --runs DIR"
_FULL = f"free some space (delete old runs), or {_ANOTHER}"
_CLOSED = f"make it writable, or {_ANOTHER}"
_WAYS_OUT = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "raise the limit on the size of files, `ulimit -f unlimited`",
    errno.EMFILE: "raise the limit on open files, `ulimit -n 4096`",
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.EROFS: _CLOSED,
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EEXIST: _ANOTHER,
    errno.ENOTDIR: _ANOTHER,
    errno.EISDIR: _ANOTHER,
    errno.ENOENT: _ANOTHER,
}
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE)


def way_out(error: OSError) -> str | None:
    """What to do about it; None where it is no refusal that one knows a way out of."""
    if _is_without_scratch(error):
        return "free some space, or raise the limit on the size of files, `ulimit -f unlimited`"
    return _WAYS_OUT.get(error.errno or 0)


def reason(error: OSError) -> str:
    """Which file the disk refused, and why."""
    name = error.filename if error.filename not in (None, "") else "a file"
    name = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    name = name if len(name) <= 200 else f"{name[:197]}..."
    in_the_way = error.errno in (errno.EEXIST, errno.ENOTDIR)
    why = "a file stands where a folder must be" if in_the_way else error.strerror or error
    return f"{name} cannot be read or written: {why}"


def is_of_the_machine(error: OSError) -> bool:
    """Whether the machine has no more to give, which is no mistake in what was asked."""
    return error.errno in _OF_THE_MACHINE or _is_without_scratch(error)


def _is_without_scratch(error: OSError) -> bool:
    """No folder for temporary files takes one: Python says that no file is there, and names none."""
    return error.errno == errno.ENOENT and not error.filename
