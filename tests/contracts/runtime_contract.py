"""What every InstanceRuntime must do, whatever runs the replicas. One suite, every driver.

A driver's test module subclasses `InstanceRuntimeContract` under a name that pytest collects,
overrides the fixtures `make_runtime` and `workloads` and the hook `kill`, and may override the
other hooks. Nothing here sleeps for luck: each case waits for a condition with a deadline.

Rules which the port's types cannot say, and which this suite fixes:
- the first hint of `watch` comes as soon as it listens and names no service, so that nobody
  misses what happens between listing and listening; `close` ends it;
- `tail` counts the lines of both streams together;
- following logs ends once the instance has ended and its last line was told;
- a call other than `stop` on an instance that is unknown (or another owner's) fails with
  `unknown-instance`; `stop` of it succeeds and touches nothing.
"""

from tests.contracts.capabilities_contract import CapabilitiesContract
from tests.contracts.lifecycle_contract import LifecycleContract
from tests.contracts.ownership_contract import OwnershipContract
from tests.contracts.watching_contract import WatchingContract


class InstanceRuntimeContract(
    LifecycleContract, WatchingContract, CapabilitiesContract, OwnershipContract
):
    """The whole contract; its hooks and fixtures are those of DriverCase."""
