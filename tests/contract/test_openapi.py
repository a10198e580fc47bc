"""The API's description is what other programs rely on: it changes only knowingly."""

import json
from pathlib import Path

from starlab_api import ServerSettings, create_app

SNAPSHOT = Path(__file__).with_name("openapi.json")


def description() -> str:
    document = create_app(ServerSettings()).openapi()
    return json.dumps({**document, "info": {}}, indent=1, sort_keys=True) + "\n"


def test_the_description_is_the_one_that_was_agreed() -> None:
    agreed = SNAPSHOT.read_text()
    assert description() == agreed, "to agree to it: python -m tests.contract.test_openapi"


if __name__ == "__main__":
    SNAPSHOT.write_text(description())
