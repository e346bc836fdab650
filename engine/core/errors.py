"""The one error that is the user's to mend; and how to tell one that is the machine's."""


class UserError(ValueError):
    """A mistake of the user: names the thing, its value and the way out, in one line."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a tensor could not be had, whichever library says so."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"  # torch's, without importing it
        or "alloc" in str(error).lower()
    )
