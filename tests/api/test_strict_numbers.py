"""Numbers that a body or a query cannot mean are refused: repeats, and what would become 0."""

import pytest
from pydantic import TypeAdapter, ValidationError

from starlab_api.bodies.json_bodies import parse
from starlab_api.problems import InvalidInput
from starlab_contract.exact import TEXT, check_text
from starlab_contract.network import Layers


@pytest.mark.parametrize("number", ["1e-99999", "-4.5E-400", "0.1e-400", "1.0e-324"])
def test_a_number_that_would_become_0_is_refused(number: str) -> None:
    with pytest.raises(InvalidInput, match="too small for a 64-bit float"):
        parse(f'{{"count": {number}}}'.encode())
    with pytest.raises(ValueError, match="too small for a 64-bit float"):
        check_text("float", number)
    with pytest.raises(ValueError, match="should be an integer"):
        check_text("int", number)


@pytest.mark.parametrize("number", ["0", "0.0", "-0e5", "0.000e-99999", "5e-324", "1e-300"])
def test_a_number_that_is_0_or_is_not_lost_is_taken(number: str) -> None:
    assert parse(number.encode()) == float(number)
    check_text("float", number)


@pytest.mark.parametrize("layers", [[1, 1], [2, 2], [1, 2, 1]])
def test_a_layer_twice_is_refused(layers: list[int]) -> None:
    adapter: TypeAdapter[tuple[int, ...]] = TypeAdapter(Layers)
    with pytest.raises(ValidationError, match=f"selects {layers[-1]} twice"):
        adapter.validate_python(layers)
    with pytest.raises(ValidationError, match="twice"):
        adapter.validate_python(",".join(map(str, layers)), context=TEXT)
    assert adapter.validate_python([2, 1]) == (2, 1)
    assert adapter.validate_python("1,2", context=TEXT) == (1, 2)
