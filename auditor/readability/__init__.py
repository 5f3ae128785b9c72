"""Provider facts -> readability, cause, deadline, undo: the state tables and how they combine."""

from auditor.readability.assess import KeyView, assess

__all__ = ["KeyView", "assess"]
