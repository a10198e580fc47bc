"""Exactly once, whatever the network does: both machines on a simulated clock."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.spec.wire_world import Network, World

from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import FrameFlag, Hello
from starlab_spec.wire.transactions import Status

bad_networks = st.builds(
    Network,
    loss=st.floats(0, 0.4),
    duplication=st.floats(0, 0.4),
    jitter_s=st.sampled_from([0.0, 0.0003, 0.01, 0.2]),
)


@settings(max_examples=150, deadline=None)
@given(
    network=bad_networks,
    seed=st.integers(0, 2**32),
    window=st.sampled_from([1, 2, 8, 32, 128]),
    execution_s=st.sampled_from([0.0, 0.0, 0.05]),
    kinds=st.lists(st.sampled_from("swr"), min_size=1, max_size=40),
)
def test_every_command_is_executed_once_and_in_order(
    network: Network, seed: int, window: int, execution_s: float, kinds: list[str]
) -> None:
    world = World(network, seed, Hello(window=window), execution_s)
    world.open()
    starts, writes = [], []
    for number, kind in enumerate(kinds):
        if kind == "s":
            world.submit(tr.start(number))
            starts.append((number,))
        elif kind == "w":
            content = bytes([number]) * (number * 700 + 1)
            world.submit(tr.write_memory(0, content))
            writes.append(content)
        else:
            world.submit(tr.read_memory(number, number * 700), flags=FrameFlag.READ_ONLY)
    world.run_until_answered()
    assert world.ended is None
    assert world.board.executed == starts
    assert world.board.written == writes
    assert sorted(world.replies) == list(range(1, len(kinds) + 1))
    for payload in world.replies.values():
        (result,) = tr.decode_results(payload)
        assert result.status == Status.OK
    world.run_for(5.0)
    assert world.board.executed == starts
