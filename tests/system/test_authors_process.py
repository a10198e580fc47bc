"""The emulator as a program whose board the authors' own program can drive."""

import numpy as np
import pytest
from tests.system import authors_client as authors
from tests.system.authors_client import AuthorsClient
from tests.system.board_process import BoardProcess

from starlab_host import Chip, connect
from starlab_sim.__main__ import main


def test_after_the_published_start_up_a_thousand_answers_are_those_of_our_own_api() -> None:
    rng = np.random.default_rng(8)
    images = (rng.random((1000, 784)) < 0.2).astype(np.uint8)
    with BoardProcess("--seed", "5", "--authors-tcp", "127.0.0.1:0") as process:
        links = process.announced["links"]
        assert [link.partition("://")[0] for link in links] == ["udp", "authors-tcp"]
        with connect(process.url) as board:
            chip = Chip(board)
            chip.program(2, rng.uniform(2, 20, (2, 100, 10)))
            chip.train_step(images, labels=rng.integers(0, 10, 1000))
            expected = chip.infer(images).outputs
        client = AuthorsClient(links[1])
        for address in authors.AFTER_START_UP:
            client.set_register(address, 0)
        client.start_up()
        found = {address: client.get_register(address) for address in authors.AFTER_START_UP}
        assert found == authors.AFTER_START_UP
        samples = client.get_register(0xC4)
        assert samples == client.base() + 0x1000000
        outputs = []
        for image in images:
            client.write(samples, authors.pack_sample(image.tolist()))
            outputs.append(authors.unpack_y2(client.start()))
        client.close()
    assert outputs == expected.tolist()
    assert len(set(map(tuple, outputs))) > 900


@pytest.mark.parametrize("text", ["7", ":7", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-7"])
def test_an_address_that_is_none_is_a_usage_error(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--authors-tcp", text])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert f"argument --authors-tcp: '{text}' is not of the form HOST:PORT" in said


def test_an_address_that_is_taken_ends_the_emulator(capsys: pytest.CaptureFixture[str]) -> None:
    with BoardProcess("--authors-tcp", "127.0.0.1:0") as process:
        address = process.announced["links"][1].removeprefix("authors-tcp://")
        assert main(["--port", "0", "--authors-tcp", address]) == 3
    port = address.rpartition(":")[2]
    said = f"starlab-chip: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
    assert capsys.readouterr() == ("", said)
