"""The report's page as a PDF: the same template and stylesheet, by WeasyPrint, which is an extra and needs Pango."""

import io
import logging
from contextlib import redirect_stdout
from typing import Any, Final

from auditor.errors import UsageError

_EXTRA: Final = "pip install 'cmek-auditor[pdf]', or leave pdf out of --as"
_LIBRARIES: Final = (
    "Debian: apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core; "
    "or leave pdf out of --as"
)


def ready() -> None:
    """See that PDFs can be made here.

    Raises:
        UsageError: what makes them is not installed.
    """
    _weasyprint()


def render(page: str) -> bytes:
    """Lay out a page that refers to nothing outside of itself; the same page gives the same bytes.

    Raises:
        UsageError: as above.
    """
    maker = _weasyprint()
    # Nothing is fetched whatever a page says, neither from a network nor from this machine.
    nowhere = maker.URLFetcher(allowed_protocols=())
    told: bytes = maker.HTML(string=page, url_fetcher=nowhere).write_pdf(pdf_tags=True)
    return told


def _weasyprint() -> Any:
    """Import it only where a PDF is wanted: it takes a while, and opens libraries that need not be there."""
    try:
        # What it says of a library that is not there goes to standard output, where a report may go.
        with redirect_stdout(io.StringIO()):
            import weasyprint  # noqa: PLC0415 - as the docstring says
    except ImportError:
        raise UsageError("a PDF is made by WeasyPrint, which is not installed", _EXTRA) from None
    except OSError:
        raise UsageError("a PDF is made with Pango, which this machine does not have", _LIBRARIES) from None
    # It tells of each property of the stylesheet that it does not know; browsers do.
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    return weasyprint
