"""Numbers with their nouns, and the verb that goes with them."""


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun, in the plural where it belongs; `plural`: where that is not the noun with an s."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {plural or f'{noun}s'}"


def agreed(count: int, one: str, many: str) -> str:
    """The verb of so many."""
    return one if count == 1 else many
