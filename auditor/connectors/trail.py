"""Where the pages of one listing have led so far, so that a listing that goes round in circles ends."""


class Trail:
    """The places (tokens, markers) at which the pages of one listing went on."""

    def __init__(self) -> None:
        # Digests alone: a token may be long, and a large bucket has a hundred thousand pages.
        self._been: set[int] = set()

    def leads_on(self, place: str | tuple[object, ...] | None) -> bool:
        """Whether the place says where to go on, and the listing was not there before."""
        if not place or hash(place) in self._been:
            return False
        self._been.add(hash(place))
        return True
