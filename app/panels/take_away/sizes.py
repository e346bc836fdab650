"""How large a file will be, said before it is made."""

from app.wording.words import size_words
from engine.export.base import Expected


def size_before(size: Expected | None) -> str:
    """What is known of it, in a sentence."""
    if size is None:
        return "How large it is shows when it is made."
    least, most = size_words(size.least), size_words(size.most)
    if not size.least:
        said = f"At most {most}"
    elif least == most:
        said = f"About {most}"
    else:
        said = f"{least} to {most}"
    return f"{said} plus {size.besides}." if size.besides else f"{said}."
