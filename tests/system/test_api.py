"""The API against its own description: whatever is asked, an answer is one that the description has."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from auditor import cli
from auditor.config import load
from auditor.daemon import serving
from auditor.daemon.leading import Leadership
from auditor.web import openapi
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY
from tests.hostile import NAMES
from tests.small import a_small_cloud


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The real application on the ledger of a small cloud with findings, gaps and odd names."""
    with a_small_cloud(tmp_path_factory.mktemp("api")) as small:
        for number, name in enumerate(NAMES.values()):
            small.cloud.store.put("data", f"{name}/{number}/x", key=GOOGLE_KEY, version=2)
        small.set_state(1, "DISABLED")
        assert cli._run(small.argv("scan", "-q")) == 1  # noqa: SLF001 - the command without the end of the process
        config = load(small.config)
        assembly = assemble(config)
        app = serving.Serving(small.config, config, assembly, Leadership(assembly.ledger))
        yield schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers={"Host": "localhost"})
        assembly.close()


# That `next` of a page is a number in base64 is nobody's business but ours.
schemathesis.openapi.format(
    "cursor", st.integers(0, 200).map(lambda number: base64.urlsafe_b64encode(str(number).encode()).decode())
)


THERE = {
    "/api/v1/findings": {"rule": "data-unreadable"},
    "/api/v1/namespaces": {"bucket": "gs://data", "prefix": "acme/"},
    "/api/v1/namespaces/dependencies": {"bucket": "gs://data", "name": "acme/old"},
}
"""What must be asked for to be there: names that are made up are 404."""


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("path", openapi.document()["paths"])
def test_every_answer_is_one_that_is_described(api: Any, path: str, mode: GenerationMode) -> None:
    asked: list[int] = []
    operation = api[path]["GET"]

    @settings(max_examples=30, suppress_health_check=list(HealthCheck), database=None)
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        told(case)

    def told(case: Any) -> None:
        answer = case.call(headers={"Host": "localhost"})
        asked.append(answer.status_code)
        case.validate_response(answer)

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE
        assert not operation.query
    if mode is GenerationMode.POSITIVE:
        if path in THERE:
            told(operation.Case(query=THERE[path]))
        assert 200 in asked or "{id}" in path
