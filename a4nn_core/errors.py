"""The errors a user can cause or meet. Each carries one sentence that names the thing and its place."""


class A4NNError(Exception):
    """Base of every error this library raises on purpose."""


class BadInput(A4NNError):
    """The user gave something that cannot be used; the command line ends with exit code 2."""


class RunFailed(A4NNError):
    """A run ended because of what happened to it, such as many networks failing in a row."""
