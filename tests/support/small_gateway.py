"""A gateway in a process with few file descriptors: `python -m tests.support.small_gateway`.

Arguments: the limit of descriptors, the replica's port and, for HTTPS, certificate and key. Says
`listen PORT` once, then `cpu SECONDS` every half second: what the process has used so far.
"""

import asyncio
import random
import resource
import sys
import time

import uvloop

from cluster.messages import Endpoint, EndpointSnapshot
from cluster.model import Address
from config.service import Service
from config.settings import Certificate, TlsListener
from config.settings import Gateway as Settings
from gateway.gateway import Gateway
from gateway.routed import routed
from tests.support.raw_http import Recorder


async def serve(replica: int, certificates: tuple[Certificate, ...]) -> None:
    listen = "127.0.0.1:0"
    tls = (TlsListener(listen=listen, certificates=certificates),) if certificates else ()
    settings = Settings(listen=(listen,), tls=tls)
    gateway = Gateway(settings, Recorder(), random.Random(1))
    gateway.configure([routed("web", Service(hosts=("*",)))], settings)
    gateway.apply(EndpointSnapshot("web", 1, (Endpoint("web-0", Address("127.0.0.1", replica)),)))
    addresses = await gateway.start()
    print("listen", addresses[-1].port, flush=True)
    while True:
        await asyncio.sleep(0.5)
        print("cpu", time.process_time(), flush=True)


def main(limit: str, replica: str, *files: str) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(limit), int(limit)))
    certificates = (Certificate(cert=files[0], key=files[1]),) if files else ()
    uvloop.run(serve(int(replica), certificates))


if __name__ == "__main__":
    main(*sys.argv[1:])
