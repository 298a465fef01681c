"""The one kind of error that is meant for the user."""

from __future__ import annotations


class UserError(Exception):
    """What is wrong, where, and how to mend it, in one message that stands alone and holds no secret."""


class OutageError(UserError):
    """The same, of what may pass by itself: a system that does not answer, is broken, or limits the rate."""


#: By these names errors are known that were written down, as Dagster does with those of a run.
MEANT_FOR_USERS = frozenset({UserError.__name__, OutageError.__name__})
