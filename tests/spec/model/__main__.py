"""Prints what each rule of the protocol is for: `python -m tests.spec.model`. Proves nothing."""

from tests.spec.model.explorer import explore
from tests.spec.model.protocol import ALL_RULES, Protocol, Rule
from tests.spec.model.world import World, broken

for rule in Rule:
    print(f"\nWithout the rule {rule.name} ({rule.value}):")
    for host_crashes in range(3):
        protocol = Protocol(ALL_RULES - {rule}, host_crashes=host_crashes)
        found = explore(World(), protocol.steps, broken, limit=100_000).counter_example
        if found is not None:
            print(found)
            break
