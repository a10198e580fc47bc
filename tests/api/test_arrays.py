"""Forming, pulsing, programming, reading and multiplying one array, over HTTP."""

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.api.numpy_bodies import NPY, NPZ, WANT_NPY, WANT_NPZ, array_in, arrays_in, npy, npz

from starlab_contract import Level, LevelOutcome
from starlab_host.trimming import levelling

RNG = np.random.default_rng(7)
SAMPLES = (RNG.random((6, 784)) < 0.15).astype(np.uint8)


def test_forming_reports_what_is_formed_and_what_was_not_before(
    virgin_board: TestClient,
) -> None:
    some = virgin_board.post("/arrays/2/form", json={"rows": "0:10", "columns": [0, 3]}).json()
    pulses = some.pop("pulses")
    assert some == {"formed": 40, "newly_formed": 40, "failed": 0}
    assert virgin_board.get("/counters").json()["pulses"]["array2"]["form"] == pulses >= 40
    rest = virgin_board.post("/arrays/2/form")
    assert (rest.json()["formed"], rest.json()["newly_formed"]) == (2000, 1960)


def test_a_chip_that_is_not_formed_cannot_be_pulsed_and_says_so(virgin_board: TestClient) -> None:
    pulses = {"kind": "set", "rows": [0], "columns": [0], "polarity": "+"}
    reply = virgin_board.post("/arrays/2/pulse", json=pulses)
    assert reply.status_code == 409
    assert reply.json()["type"] == "not-formed"
    assert virgin_board.get("/counters").json()["pulses"]["array2"]["set"] == 0


def test_pulses_go_to_the_cross_product_of_rows_and_columns(board: TestClient) -> None:
    before = array_in(board.get("/arrays/1/conductance", headers=WANT_NPY).content)
    pulses = {"kind": "set", "count": 40, "rows": [3, 700], "columns": "10:12", "polarity": "-"}
    reply = board.post("/arrays/1/pulse", json=pulses)
    after = array_in(board.get("/arrays/1/conductance", headers=WANT_NPY).content)
    assert reply.json() == {"pulses": 160}
    moved = np.argwhere(after > before + 0.5)
    assert moved.tolist() == [[1, 3, 10], [1, 3, 11], [1, 700, 10], [1, 700, 11]]
    assert board.get("/counters").json()["pulses"]["array1"] == {"set": 160, "reset": 0, "form": 0}


def test_planes_that_read_differently_are_levelled(board: TestClient) -> None:
    pulses = {"kind": "set", "count": 3, "rows": "0:784", "columns": "0:100", "polarity": "+"}
    board.post("/arrays/1/pulse", json=pulses).raise_for_status()
    done = board.post("/arrays/1/level").raise_for_status().json()
    assert done["outcome"] == "level"
    assert done["before"]["codes"] > 2
    assert abs(done["after"]["codes"]) <= 0.12
    assert done["after"]["sigma_codes"] < 0.01
    assert done["before"]["offset_uS"] == pytest.approx(done["before"]["codes"] / 10, rel=0.02)
    assert done["pulses_minus"] >= 3 * 78_400
    counted = board.get("/counters").json()["pulses"]["array1"]["set"]
    assert counted == 3 * 78_400 + done["pulses_plus"] + done["pulses_minus"]
    again = board.post("/arrays/1/level", json={"tolerance_codes": 0.5, "readings": 8}).json()
    assert (again["rounds"], again["after"]) == (0, done["after"])


def test_array_2_and_a_virgin_array_1_cannot_be_levelled(virgin_board: TestClient) -> None:
    reply = virgin_board.post("/arrays/2/level")
    assert (reply.status_code, reply.json()["type"]) == (422, "invalid-input")
    assert reply.json()["field"] == "array"
    assert "only array 1" in reply.json()["detail"]
    reply = virgin_board.post("/arrays/1/level")
    assert (reply.status_code, reply.json()["type"]) == (409, "not-formed")
    assert virgin_board.get("/counters").json()["pulses"]["array1"]["set"] == 0


@pytest.mark.parametrize(
    "body",
    [{"tolerance_codes": 0.01}, {"tolerance_codes": 11}, {"readings": 7}, {"colour": 1}],
)
def test_levelling_out_of_bounds_is_refused(board: TestClient, body: dict[str, float]) -> None:
    reply = board.post("/arrays/1/level", json=body)
    assert (reply.status_code, reply.json()["field"]) == (422, next(iter(body)))


def test_the_contract_and_the_host_mean_the_same_levelling() -> None:
    fields = Level.model_fields
    defaults = (fields["tolerance_codes"].default, fields["readings"].default)
    assert defaults == (levelling.TOLERANCE_CODES, levelling.READINGS)
    assert {outcome.value for outcome in LevelOutcome} == {o.value for o in levelling.Outcome}


@pytest.mark.parametrize("bare", ["+", "%2B"])
def test_a_plus_in_a_query_string_may_be_bare(board: TestClient, bare: str) -> None:
    where = f"/arrays/2/pulse?kind=reset&count=2&rows=0:5&columns=1&polarity={bare}"
    reply = board.post(where, content=npz(), headers=NPZ)
    assert reply.json() == {"pulses": 10}


def test_pulses_go_to_the_cells_of_a_mask(board: TestClient) -> None:
    mask = np.zeros((2, 100, 10), np.bool_)
    mask[0, 5, 5] = mask[1, 99, 9] = True
    as_npy = board.post("/arrays/2/pulse?kind=reset&count=3", content=npy(mask), headers=NPY)
    as_npz = board.post("/arrays/2/pulse?kind=reset", content=npz(mask=mask), headers=NPZ)
    as_json = board.post("/arrays/2/pulse", json={"kind": "reset", "mask": mask.tolist()})
    assert [r.json()["pulses"] for r in (as_npy, as_npz, as_json)] == [6, 2, 2]


def test_a_mask_beside_rows_is_refused(board: TestClient) -> None:
    mask = np.ones((2, 100, 10), np.bool_)
    reply = board.post("/arrays/2/pulse?kind=set&rows=1", content=npy(mask), headers=NPY)
    assert (reply.status_code, reply.json()["field"]) == (422, "rows")


def test_pulses_without_cells_are_refused(board: TestClient) -> None:
    reply = board.post("/arrays/2/pulse", json={"kind": "set", "rows": [1], "columns": [1]})
    assert (reply.status_code, reply.json()["field"]) == (422, "polarity")


def test_weights_are_written_as_conductance_differences(board: TestClient) -> None:
    weights = RNG.uniform(-1, 1, (100, 10))
    reply = board.post(
        "/arrays/2/program?tolerance_uS=0.5&scale_uS=8", content=npz(weights=weights), headers=NPZ
    )
    report = reply.json()
    assert (report["cells"], report["failed"]) == (2000, [])
    assert report["in_tolerance"] == 2000
    plus, minus = array_in(board.get("/arrays/2/conductance", headers=WANT_NPY).content)
    # 0.5 uS of tolerance and half a code of the reading on either cell
    assert np.abs(plus - minus - 8 * weights).max() <= 1.1


def test_a_single_array_is_weights_or_conductances_by_its_axes(board: TestClient) -> None:
    conductance_uS = np.full((2, 100, 10), 11.0)
    for array in (conductance_uS, np.zeros((100, 10))):
        reply = board.post("/arrays/2/program?tolerance_uS=2", content=npy(array), headers=NPY)
        assert reply.json()["in_tolerance"] == 2000


def test_scalars_may_travel_inside_an_npz_too(board: TestClient) -> None:
    body = npz(weights=np.zeros((100, 10)), tolerance_uS=2.0, method="open-loop")
    assert board.post("/arrays/2/program", content=body, headers=NPZ).json()["cells"] == 2000


def test_cells_that_fail_come_as_an_array_on_request(board: TestClient) -> None:
    body = npz(conductance_uS=np.full((2, 100, 10), 19.0))
    reply = board.post("/arrays/2/program?max_pulses=1", content=body, headers={**NPZ, **WANT_NPY})
    assert array_in(reply.content).shape == (2000, 3)


@pytest.mark.parametrize(
    ("value", "limit"), [(20.5, 20.0), (1.0, 2.0)], ids=["too high", "too low"]
)
def test_conductances_outside_the_window_are_refused_with_value_and_limit(
    board: TestClient, value: float, limit: float
) -> None:
    before = board.get("/counters").json()["pulses"]
    target = np.full((2, 100, 10), 11.0)
    target[1, 2, 3] = value
    reply = board.post("/arrays/2/program", content=npy(target), headers=NPY)
    problem = reply.json()
    assert (reply.status_code, problem["type"]) == (422, "limit-exceeded")
    assert (problem["value"], problem["limit"], problem["unit"]) == (value, limit, "uS")
    assert board.get("/counters").json()["pulses"] == before


def test_conductances_come_as_json_npy_and_npz(board: TestClient) -> None:
    where = "/arrays/1/conductance?rows=0:3&columns=5,6"
    in_json = np.array(board.get(where).json()["conductance_uS"])
    in_npy = array_in(board.get(where, headers=WANT_NPY).content)
    in_npz = arrays_in(board.get(where, headers=WANT_NPZ).content)["conductance_uS"]
    assert in_npy.shape == (2, 3, 2)
    assert in_npy.dtype == np.float32
    np.testing.assert_array_equal(in_npy, in_npz)
    np.testing.assert_allclose(in_json, in_npy, atol=1e-6)


def test_the_first_array_multiplies_bits(board: TestClient) -> None:
    reply = board.post("/arrays/1/vmm", json={"inputs": SAMPLES.tolist()})
    codes = np.array(reply.json()["codes"])
    assert codes.shape == (6, 100)
    assert 0 <= codes.min() <= codes.max() <= 255
    assert np.array(reply.json()["current_ua"]).shape == (6, 100)
    packed = board.post(
        "/arrays/1/vmm", content=npy(np.packbits(SAMPLES, axis=1)), headers={**NPY, **WANT_NPY}
    )
    np.testing.assert_array_equal(array_in(packed.content), codes)


def test_the_second_array_multiplies_pulse_counts(board: TestClient) -> None:
    counts = RNG.integers(0, 256, (4, 100))
    reply = board.post("/arrays/2/vmm", content=npy(counts), headers={**NPY, **WANT_NPY})
    assert array_in(reply.content).shape == (4, 10)
    counts[0, 0] = 256
    refused = board.post("/arrays/2/vmm", content=npy(counts), headers=NPY)
    assert (refused.status_code, refused.json()["limit"]) == (422, 255)


def test_there_are_two_arrays(board: TestClient) -> None:
    for array in ("0", "3", "one"):
        reply = board.get(f"/arrays/{array}/conductance")
        assert (reply.status_code, reply.json()["type"]) == (404, "not-found")
