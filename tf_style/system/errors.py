"""What a user can cause. Each is also what Python calls it, and caught as that too."""


class Error(Exception):
    """Base of all errors that a user can cause; its text is one line that says what to
    do."""


class InvalidInput(Error, ValueError):
    """An argument, a setting or a file is not what it should be."""

    # Inside of `tf.function`, AutoGraph raises errors anew that have just this.
    __init__ = Exception.__init__


class FileError(Error, OSError):
    """A file, a folder or an address cannot be read or written."""


class NotFound(FileError, FileNotFoundError):
    """A file or a folder does not exist."""


class IsFolder(FileError, IsADirectoryError):
    """A folder is where a file should be."""


class MissingPackage(Error, ImportError):
    """A package is not installed, or is there in another way than is needed."""
