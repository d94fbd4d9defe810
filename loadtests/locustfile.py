"""Users of the quickstart's three services, in one of the shapes of `loadtests.shapes`.

Run it with `make loadtest`, or with locust's own page:
`SHAPE=spike locust -f loadtests/locustfile.py --host http://127.0.0.1:8080`.
SHAPE is steady (default), spike or herd; DURATION is in seconds (default 30).
"""

import os

from locust import FastHttpUser, LoadTestShape, between, task

from loadtests.shapes import SHAPES

DURATION = float(os.environ.get("DURATION", "30"))
SHAPE = os.environ.get("SHAPE", "steady")
UPLOAD = os.urandom(32 * 1024).hex()


class Visitor(FastHttpUser):
    """Mostly quick questions, some uploads and slow answers, and now and then the slow service."""

    host = "http://127.0.0.1:8080"
    wait_time = between(0.05, 0.25)
    # Longer than any request is held, so that what fails is Tidegate's answer and not our patience.
    connection_timeout = network_timeout = 60.0

    @task(12)
    def hello(self) -> None:
        self._get("hello", "/")

    @task(3)
    def sleep(self) -> None:
        self._get("echo", "/sleep?ms=50")

    @task(1)
    def slow(self) -> None:
        self._get("slow", "/")

    @task(2)
    def upload(self) -> None:
        headers = {"Host": "echo.localhost"}
        with self.client.post(
            "/", data=UPLOAD, headers=headers, name="echo upload", catch_response=True
        ) as response:
            if response.status_code == 200 and response.text != UPLOAD:
                response.failure("the echo is not what was sent")

    def _get(self, service: str, path: str) -> None:
        headers = {"Host": f"{service}.localhost"}
        self.client.get(path, headers=headers, name=f"{service} {path.partition('?')[0]}")


class Chosen(LoadTestShape):
    """The shape that SHAPE names, stretched over DURATION."""

    abstract = False

    def tick(self) -> tuple[int, float] | None:
        elapsed: float = self.get_run_time()  # type: ignore[no-untyped-call]
        if elapsed >= DURATION:
            return None
        load = SHAPES[SHAPE](elapsed / DURATION)
        return load.users, load.rate
