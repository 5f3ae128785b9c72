import pytest
from sqlalchemy import Connection, create_engine

from auditor.ledger import journal
from auditor.ledger.journal import Journal
from auditor.ledger.tables import METADATA
from tests.core_builders import NOW

WORDS = {
    "opened": (["gap_opened"], {"g"}),
    "opened and closed": (["gap_opened", "gap_closed"], set()),
    "closed and opened anew": (["gap_opened", "gap_closed", "gap_opened"], {"g"}),
    "never opened": (["gap_closed"], set()),
}


@pytest.mark.parametrize("later", [0, 1, 2])
@pytest.mark.parametrize(("kinds", "stands"), WORDS.values(), ids=WORDS)
def test_the_last_word_on_a_thing_counts_however_many_are_kept_at_once(
    kinds: list[str], stands: set[str], later: int
) -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        METADATA.create_all(connection)
        for some in (kinds[:later], kinds[later:]):
            with Journal(connection) as log:
                for number, kind in enumerate(some):
                    log.add(NOW, kind, "g", f"body {number}", "facts")
        assert set(journal.current(connection, "gap")) == stands
        assert [one.kind for one in journal.events(connection)] == kinds


def interrupted(connection: Connection) -> None:
    with Journal(connection) as log:
        log.add(NOW, "gap_opened", "g", "body", "facts")
        raise KeyboardInterrupt


def test_nothing_is_kept_of_what_ends_in_an_error() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        METADATA.create_all(connection)
        with pytest.raises(KeyboardInterrupt):
            interrupted(connection)
        assert journal.head(connection) == (0, "0" * 64)
        assert not journal.current(connection, "gap")
