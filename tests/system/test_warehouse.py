"""The SQL for Athena and Trino, read by Trino's own grammar."""

import subprocess

import pytest

from auditor.inventory.layout import Layout
from auditor.warehouse.aggregate import SOURCES, aggregate
from auditor.warehouse.dialects import written
from tests.system.conftest import PEERS
from tests.warehouse.test_aggregate import LAYOUTS

READ = """
import sys
from trino_query_parser import TrinoSyntaxError, parse_statement
try:
    parse_statement(sys.stdin.read())
except TrinoSyntaxError as error:
    sys.exit(str(error))
"""


def read(text: str) -> subprocess.CompletedProcess[str]:
    python = PEERS / "bin" / "python"
    return subprocess.run([python, "-c", READ], input=text, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("dialect", ["athena", "trino"])
@pytest.mark.parametrize("source", SOURCES)
def test_trinos_grammar_takes_it(source: str, dialect: str) -> None:
    for layout in (LAYOUTS[0], LAYOUTS[2]):
        text = written(
            aggregate(source, Layout.parse(layout), '"s3tablescatalog/aws-s3".b_data.inventory', "s3://data"), dialect
        )
        done = read(text)
        assert done.returncode == 0, done.stderr


def test_it_would_notice() -> None:
    done = read("SELECT FROM WHERE")
    assert done.returncode == 1
    assert "mismatched input" in done.stderr
