"""What is written is a ZIP file to everybody, and the same bytes for the same files."""

import io
import stat
import zipfile
import zlib

import pytest

from auditor.evidence import zipped
from auditor.evidence.zipped import Entry

FILES = {"manifest.json": b"{}", "report.html": b"<p>" * 1000, "empty.txt": b""}
ENTRIES = tuple(Entry(name, len(content), zlib.crc32(content)) for name, content in FILES.items())


def written() -> bytes:
    parts = [zipped.local(one) + FILES[one.name] for one in ENTRIES]
    return b"".join(parts) + zipped.directory(ENTRIES)


def test_any_reader_of_zip_files_reads_it() -> None:
    with zipfile.ZipFile(io.BytesIO(written())) as archive:
        assert archive.testzip() is None
        assert {one: archive.read(one) for one in archive.namelist()} == FILES
        for one in archive.infolist():
            assert one.date_time == (1980, 1, 1, 0, 0, 0)
            assert stat.S_IMODE(one.external_attr >> 16) == 0o644
            assert stat.S_ISREG(one.external_attr >> 16)


def test_its_size_is_known_before() -> None:
    assert zipped.size_of(ENTRIES) == len(written())


def test_a_header_is_read_as_it_was_written() -> None:
    found = zipped.looked_at(zipped.local(ENTRIES[1]))
    assert found == zipped.Found(11, 3000, zlib.crc32(FILES["report.html"]), is_packed=False, has_more=False)


@pytest.mark.parametrize("header", [b"", b"PK\1\2" + bytes(26), b"PK\3\4" + bytes(25)])
def test_what_is_no_header_says_nothing(header: bytes) -> None:
    assert zipped.looked_at(header) is None
