"""Tidegate beside other proxies: same load, same origin, same core; `make bench-peers`."""
