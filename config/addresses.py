"""What may stand where: addresses, host patterns, paths, networks, volumes.

Pure. Each function takes a text, gives back its settled form, and raises ValueError with what to
write instead.
"""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from config.wording import shown

SERVICE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")  # a DNS label, RFC 1123 §2.1
OWNER = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_URL_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")  # RFC 3986 §3.3
_DOTS = re.compile(r"//|/\.{1,2}(?:/|\Z)")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,511}")
_VOLUME_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def split(address: str) -> tuple[str, int]:
    """Host and port of `host:port`, `:port` or `[::1]:port`. Raises ValueError."""
    host, separator, port = address.rpartition(":")
    if not separator or not (port.isascii() and port.isdigit()) or int(port[:6]) > 65535:
        raise ValueError(f'must be "host:port", got {shown(address)}')
    if host.startswith("[") and host.endswith("]"):
        return str(ipaddress.IPv6Address(host[1:-1])), int(port)
    if ":" in host:
        raise ValueError(f"must have its IPv6 address in brackets, got {shown(address)}")
    return host, int(port)


def listen(address: str) -> str:
    """An address to listen on. Without a host it is every IPv4 address; port 0 is any free one."""
    try:
        host, port = split(address)
        if host and ":" not in host and not _HOST.fullmatch(host.lower()):
            raise ValueError
    except ValueError:
        raise ValueError(f'must be "host:port" or ":port", got {shown(address)}') from None
    return join(host or "0.0.0.0", port)


def endpoint(address: str) -> str:
    """The address of something that others run."""
    if "://" in address:
        raise ValueError(f'must be "host:port" without a scheme, got {shown(address)}')
    try:
        host, port = split(address)
        if not port or not (":" in host or _HOST.fullmatch(host.lower())):
            raise ValueError
    except ValueError:
        raise ValueError(f'must be "host:port", got {shown(address)}') from None
    return join(host, port)


def join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it. A name counts only if it is localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def overlap(one: str, other: str) -> bool:
    """Whether two listeners would want the same port of the same address."""
    (host, port), (other_host, other_port) = split(one), split(other)
    if port != other_port or port == 0:
        return False
    same = {host.replace("localhost", "127.0.0.1"), other_host.replace("localhost", "127.0.0.1")}
    return len(same) == 1 or bool(same & {"0.0.0.0", "::"})


def host_pattern(pattern: str) -> str:
    """`web.example.com`, `*.example.com` or `*`, in lower case without a final dot."""
    host = pattern.lower().removesuffix(".")
    if not host.isascii():
        raise ValueError(f"must be in its ASCII form (xn--…), got {shown(pattern)}")
    if host == "*" or _HOST.fullmatch(host.removeprefix("*.")) or _is_ip(host):
        return host
    if "/" in host or ":" in host:
        raise ValueError(f"must be a host without scheme, port or path, got {shown(pattern)}")
    raise ValueError(f'must be a host, "*.example.com" or "*", got {shown(pattern)}')


def url_path(path: str) -> str:
    """The beginning of a URL's path."""
    if not path.startswith("/"):
        raise ValueError(f'must start with "/", got {shown(path)}')
    if not _URL_PATH.fullmatch(path):
        raise ValueError(f"must be a path alone, percent-encoded, got {shown(path)}")
    if _DOTS.search(path):
        raise ValueError(f'must not contain "//", "/./" or "/../", got {shown(path)}')
    return path


def request_target(path: str) -> str:
    """A path, with a query if need be, as a probe asks for it."""
    url_path(path.partition("?")[0])
    if not path.isascii() or not path.isprintable() or " " in path or "#" in path:
        raise ValueError(f"must be a path, percent-encoded, got {shown(path)}")
    return path


def http_url(url: str) -> str:
    """The address of something that is asked over HTTP."""
    return _url(url, ("http", "https"), "http://host:8000/path")


def redis_url(url: str) -> str:
    """The address of a Redis: by TCP, by TLS or by a socket's file."""
    return _url(url, ("redis", "rediss", "unix"), "redis://host:6379/0")


def _url(url: str, schemes: Sequence[str], example: str) -> str:
    """It is not repeated: there may be a password in it."""
    try:
        parts = urlsplit(url)
        reachable = parts.path if parts.scheme == "unix" else parts.hostname
        right = parts.scheme in schemes and reachable and (parts.port or 1) > 0
    except ValueError:
        right = False
    if not right or not url.isprintable() or " " in url:
        raise ValueError(f"must be a URL such as {example}")
    return url


def network(cidr: str) -> str:
    """A range of addresses, or one address."""
    try:
        return str(ipaddress.ip_network(cidr))
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        raise ValueError(f"must be a CIDR such as 10.0.0.0/8, got {shown(cidr)}") from None
    raise ValueError(f"must be {meant} or a single address, got {shown(cidr)}")


def image(name: str) -> str:
    """An image as an engine names it: `web:1.4`, `registry.local:5000/team/web@sha256:...`."""
    if not _IMAGE.fullmatch(name) or ".." in name:
        raise ValueError(f"must be the name of an image such as web:1.4, got {shown(name)}")
    return name


def network_name(name: str) -> str:
    """A network of the engine; it becomes part of a URL."""
    if not _VOLUME_NAME.fullmatch(name):
        raise ValueError(
            f"must be a network's name of letters, digits, _ . and -, got {shown(name)}"
        )
    return name


def volume(text: str) -> str:
    """`/host:/in`, `./beside-the-file:/in` or `name:/in`, each with `:ro` or `:rw` if need be."""
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    named = _VOLUME_NAME.fullmatch(source)
    if not (named or is_path(source)) or not target.startswith("/"):
        raise ValueError(f'must be "/host:/in", "/host:/in:ro" or "name:/in", got {shown(text)}')
    if mode not in ("", "ro", "rw"):
        raise ValueError(f'must end in ":ro" or ":rw", got {shown(text)}')
    return text


def is_path(source: str) -> bool:
    """Whether a volume's source is a path of the host and not a volume's name."""
    return source.startswith(("/", "./", "../", "~/")) or source in (".", "..", "~")


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
