"""The page /docs works without any other network."""

import re

from starlette.testclient import TestClient

from starlab_api import ServerSettings, create_app

# outside of its lifespan: no board is needed for this
client = TestClient(create_app(ServerSettings(boards=("udp://127.0.0.1:9",))))


def test_the_page_refers_to_files_of_this_server_alone() -> None:
    page = client.get("/docs")
    references = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(references) == 3
    for reference in references:
        assert client.get(reference).status_code == 200, reference


def test_the_root_leads_to_the_page() -> None:
    assert client.get("/").url.path == "/docs"


def test_every_reference_of_the_description_leads_somewhere() -> None:
    document = client.get("/openapi.json").json()
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    used = set(re.findall(r'"\$ref": ?"([^"]+)"', client.get("/openapi.json").text))
    assert used <= known
    assert "HTTPValidationError" not in document["components"]["schemas"]
