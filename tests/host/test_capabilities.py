"""What is said of a board's abilities, by what it says of itself."""

import re
from dataclasses import asdict

import pytest

from starlab_host import BoardRefused, Capabilities, capabilities_of
from starlab_host.board.capabilities import PUBLISHED, REASONS
from starlab_spec.wire.transactions import Status


def test_a_board_of_ours_can_do_everything_and_only_an_emulated_one_what_none_can() -> None:
    assert capabilities_of({"emulated": False}) == Capabilities()
    assert capabilities_of({"emulated": True}) == Capabilities(emulator=True)


def test_a_board_that_says_what_it_can_do_is_believed_in_what_is_known() -> None:
    assert capabilities_of({"capabilities": asdict(PUBLISHED)}) == PUBLISHED
    stated = capabilities_of({"capabilities": {"thresholds": True, "flight": True}})
    assert stated.thresholds
    assert not stated.batches
    assert capabilities_of({"capabilities": "all"}) == Capabilities()


def test_what_a_board_lacks_is_refused_with_the_reason() -> None:
    for flag, reason in REASONS.items():
        Capabilities().require(flag)
        with pytest.raises(BoardRefused, match=re.escape(reason)) as refused:
            PUBLISHED.require(flag)
        assert refused.value.status == Status.UNSUPPORTED
