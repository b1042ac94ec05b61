"""Errors that a user can cause. Each is also the matching built-in exception."""


class Error(Exception):
    """Base of all errors that a user can cause, with one line that says what to do."""


class InvalidInput(Error, ValueError):
    """An argument, a setting or a file is invalid."""

    # Inside `tf.function`, AutoGraph re-raises errors that have exactly this signature.
    __init__ = Exception.__init__


class FileError(Error, OSError):
    """A file, a folder or an address cannot be read or written."""


class NotFound(FileError, FileNotFoundError):
    """A file or a folder does not exist."""


class IsFolder(FileError, IsADirectoryError):
    """A folder was found instead of a file."""


class MissingPackage(Error, ImportError):
    """A package is missing or unsuitable."""
