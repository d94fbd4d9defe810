"""The example of the public contract, without and with what is not supported yet."""

CONTRACT = """\
gateway:
  listen: ["0.0.0.0:8080"]
  workers: 1
  trusted_proxies: []
  tls: []
  limits: {headers: 64KiB, header_count: 100, url: 8KiB, body: 0, header_timeout: 10s, idle_timeout: 75s, connections: 10000}
  access_log: off
admin:
  listen: "127.0.0.1:9900"
  token_file: null
runtime: docker
defaults: {}
services:
  web:
    hosts: [web.localhost]
    paths: [/]
    command: [python3, -m, http.server, "$PORT"]
    image: web:1.4
    endpoints: []
    port: 8080
    env: {}
    env_file: []
    secrets: []
    volumes: []
    networks: []
    labels: {}
    resources: {cpu: 0.5, memory: 256MiB, pids: 256}
    concurrency: 0
    queue: {size: 1000, timeout: 30s}
    balance: least_in_flight
    timeouts: {connect: 3s, response: 300s, idle: 0s}
    retries: {attempts: 2, budget: 20%}
    scaling:
      min: 0
      max: 10
      initial: 1
      rules:
        - {metric: concurrency, target: 10}
        - {metric: rps, target: 100}
        - {schedule: "0 8 * * mon-fri", until: "0 18 * * mon-fri", timezone: Europe/Berlin, min: 2, max: 20}
      stable_window: 60s
      panic_window: 6s
      panic_threshold: 200%
      max_up_rate: 1000
      max_down_rate: 2
      down_delay: 0s
      idle: {freeze_after: null, stop_after: 60s}
    health:
      startup:   {tcp: true, every: 50ms, deadline: 60s}
      readiness: {http: /ready, every: 5s, timeout: 1s, failures: 3, successes: 1}
      liveness:  {http: /live, every: 10s, timeout: 1s, failures: 3}
      outliers:  {failures: 5, eject_for: 10s, max_ejected: 50%}
    drain: 30s
    stop_grace: 10s
    rollout: {max_surge: 25%, max_unavailable: 0, healthy_for: 5s, deadline: 10m, on_failure: rollback}
"""  # noqa: E501

# What the contract has beyond that: (in the text above, in the contract).
NOT_YET = [
    ("runtime: docker", "runtime: kubernetes"),
]
