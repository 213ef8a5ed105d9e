"""Does it fit? Raised before work starts, naming the resource."""

__all__ = ["DoesNotFitError", "require"]


class DoesNotFitError(ValueError):
    """The model needs more of a resource than the engine has (exit code 4)."""


def require(resource: str, needed: int, available: int, remedy: str) -> None:
    if needed > available:
        raise DoesNotFitError(f"{resource}: {needed} needed, {available} available; {remedy}")
