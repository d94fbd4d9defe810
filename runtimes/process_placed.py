"""A replica and the processes that it is."""

from dataclasses import dataclass

from cluster.model import Address, Exit, Instance, InstanceStatus
from runtimes.process_group import ProcessGroup
from runtimes.process_records import Record

HOST = "127.0.0.1"


@dataclass(slots=True, eq=False)
class Placed:
    """One replica that we started or adopted, until it is removed."""

    record: Record
    group: ProcessGroup
    frozen: bool = False
    exit: Exit | None = None

    def instance(self) -> Instance:
        status = InstanceStatus.FROZEN if self.frozen else InstanceStatus.RUNNING
        return Instance(
            id=self.record.id,
            replica=self.record.replica,
            service=self.record.service,
            revision=self.record.revision,
            status=InstanceStatus.EXITED if self.exit else status,
            address=Address(HOST, self.record.port),
            started_at=self.record.started_at,
            exit=self.exit,
        )
