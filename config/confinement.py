"""What a replica may do on its host, as the operator writes it: the names are those of Compose.

Pure. There is no key for privileged containers, devices, security options or the namespaces of
processes of the host, and none that takes no-new-privileges away.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from config.fields import Text, one_or_many
from config.wording import shown

# capabilities(7) as of Linux 6.x, without CAP_.
_NAMES = (
    "AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE "
    "DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN "
    "MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID "
    "SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE "
    "SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM"
)
CAPABILITIES = frozenset(_NAMES.split())
ALL = "ALL"
# What has a meaning for containers alone; `user` has one for processes too.
KEYS = ("read_only", "cap_drop", "cap_add", "tmpfs", "init")

_IDENTITY = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}"
_USER = re.compile(rf"{_IDENTITY}(?::{_IDENTITY})?")
_TMPFS_OPTION = re.compile(
    r"rw|ro|exec|noexec|suid|nosuid|dev|nodev|size=[0-9]{1,15}[kKmMgG]?|mode=[0-7]{3,4}"
    r"|uid=[0-9]{1,10}|gid=[0-9]{1,10}"
)


def capability(name: str) -> str:
    """Upper case and without CAP_, as Compose and Docker take both."""
    known = name.upper().removeprefix("CAP_")
    if known != ALL and known not in CAPABILITIES:
        raise ValueError(
            f"must be a Linux capability such as NET_BIND_SERVICE, or ALL, got {shown(name)}"
        )
    return known


def user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise ValueError(f'must be "user", "user:group" or their numbers, got {shown(text)}')
    return text


def tmpfs(text: str) -> str:
    """`/run` or `/run:size=16m,mode=1777`."""
    path, _, options = text.partition(":")
    if not path.startswith("/") or not path.isprintable() or path == "/":
        raise ValueError(f'must be "/path" or "/path:size=16m", got {shown(text)}')
    for option in options.split(",") if options else ():
        if not _TMPFS_OPTION.fullmatch(option):
            raise ValueError(f"has an unknown option of tmpfs, {shown(option)}")
    return text


def as_text(value: object) -> object:
    """`user: 1000` is what people write."""
    return str(value) if type(value) is int and value >= 0 else value


_OneOrMany = BeforeValidator(one_or_many, json_schema_input_type=str | list[str])
Capabilities = Annotated[tuple[Annotated[str, AfterValidator(capability)], ...], _OneOrMany]
Tmpfs = Annotated[tuple[Annotated[str, AfterValidator(tmpfs)], ...], _OneOrMany]
User = Annotated[
    Text, AfterValidator(user), BeforeValidator(as_text, json_schema_input_type=str | int)
]
