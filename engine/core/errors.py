"""The one error that is the user's to mend."""


class UserError(ValueError):
    """A mistake of the user: names the thing, its value and the way out, in one line."""
