"""A replica that answers every request after 100 ms, as Knative's autoscale test image does.

One epoll loop and no framework, so that what is measured is not this program. `PORT` says where.
"""

import os
import select
import socket
import time
from collections import deque

AFTER = 0.1
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"


def serve(port: int) -> None:
    listening = socket.create_server(("127.0.0.1", port), backlog=1024)
    listening.setblocking(False)
    poll = select.epoll()
    poll.register(listening, select.EPOLLIN)
    clients: dict[int, socket.socket] = {}
    due: deque[tuple[float, int]] = deque()
    while True:
        wait = max(0.0, due[0][0] - time.perf_counter()) if due else -1
        for number, _ in poll.poll(wait):
            if number == listening.fileno():
                client, _ = listening.accept()
                clients[client.fileno()] = client
                poll.register(client, select.EPOLLIN)
            elif clients[number].recv(65_536):
                due.append((time.perf_counter() + AFTER, number))
            else:
                poll.unregister(number)
                clients.pop(number).close()
        while due and due[0][0] <= time.perf_counter():
            _, number = due.popleft()
            if number in clients:
                clients[number].sendall(ANSWER)


if __name__ == "__main__":
    serve(int(os.environ["PORT"]))
