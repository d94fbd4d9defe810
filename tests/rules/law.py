"""The rules of HTTP that the gateway keeps: the list is the law, and a rule without a test is red.

One rule a line: its source and name, what it says, and at which sides of the gateway it holds. A
test proves a rule by its mark, `@pytest.mark.rule("RFC 9112 §5.2: folded lines", side="both")`.
The source "Tidegate" is a promise of our own.
"""

from dataclasses import dataclass

CLIENT, REPLICA = ("client",), ("replica",)
BOTH = ("client", "replica")


@dataclass(frozen=True)
class Rule:
    """`key` is what a mark names: the source and the name. `elsewhere`: tests without a mark."""

    key: str
    words: str
    sides: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        return self.key.partition(": ")[0]


_BY_TLS = "tests/gateway/test_tls.py::"
_BY_VERSIONS = "tests/gateway/test_tls_versions.py::"
_BY_HANDSHAKE = "tests/gateway/test_handshake.py::"
_BY_REDIRECT = "tests/gateway/test_redirect.py::"
# Key, words, sides, and tests elsewhere.
_Table = list[tuple[str, str, tuple[str, ...]] | tuple[str, str, tuple[str, ...], tuple[str, ...]]]


def _rules(table: _Table) -> list[Rule]:
    return [Rule(*row) for row in table]


_FRAMING: _Table = [
    ("RFC 9112 §6.1: both framings", "Content-Length beside Transfer-Encoding is refused", BOTH),
    ("RFC 9112 §6.3: several Content-Length", "several lengths are refused, equal ones too", BOTH),
    ("RFC 9110 §8.6: odd Content-Length", "a length is 1 to 18 digits and nothing else", BOTH),
    ("RFC 9112 §6.1: unknown coding", "a coding other than chunked is a 501, or a 502", BOTH),
    ("RFC 9112 §6.1: repeated coding", "chunked is applied once", BOTH),
    ("RFC 9112 §6.3: chunked not last", "a coding after chunked is refused", BOTH),
    ("RFC 9112 §6.1: coding in HTTP/1.0", "HTTP/1.0 has no Transfer-Encoding", BOTH),
    ("RFC 9112 §11.2: obfuscated coding", "no spelling of chunked but the plain one", BOTH),
    ("RFC 9112 §6.2: counted bodies", "a body ends where its length says", BOTH),
    ("RFC 9112 §7.1: chunk size", "a size is 1 to 16 hexadecimal digits and a CRLF", BOTH),
    ("RFC 9112 §7.1: end of a chunk", "a CRLF follows the data of a chunk at once", BOTH),
    ("RFC 9112 §7.1: chunked bodies", "a chunked body passes byte for byte", BOTH),
    ("RFC 9112 §7.1.1: chunk extensions", "extensions are checked, passed on and bounded", BOTH),
    ("RFC 9112 §7.1.2: trailer section", "trailers are checked like fields and bounded", BOTH),
    ("RFC 9110 §6.5.1: forbidden trailers", "no trailer frames, routes or authenticates", BOTH),
    ("RFC 9112 §2.2: bare CR", "a CR without LF is refused", BOTH),
    ("RFC 9112 §2.2: bare LF", "an LF without CR is refused", BOTH),
    ("RFC 9112 §2.2: empty lines first", "one may precede a request, none an answer", BOTH),
    ("RFC 9112 §2.2: space before the first field", "it is refused", BOTH),
    ("RFC 9112 §5.1: space before the colon", "it is refused", BOTH),
    ("RFC 9112 §5.2: folded lines", "they are refused", BOTH),
    ("RFC 9110 §5.1: field names", "a name is a token and has a colon", BOTH),
    ("RFC 9110 §5.5: NUL and control bytes", "they are refused in values and reasons", BOTH),
    ("RFC 9112 §2.3: version", "HTTP/1.1 and HTTP/1.0, spelled so", BOTH),
    ("RFC 9112 §3: request line", "exactly one space between its parts", CLIENT),
    ("RFC 9112 §3.1: method", "any token of up to 64 bytes, passed on as it is", CLIENT),
    ("RFC 9112 §3.2: bytes in the target", "no space, control, non-ASCII byte or fragment", CLIENT),
    ("RFC 9112 §3.2: missing Host", "HTTP/1.1 needs one that is not empty", CLIENT),
    ("RFC 9112 §3.2: several Host", "they are refused, equal ones too", CLIENT),
    ("RFC 9112 §3.2: invalid Host", "a name or address and a port, nothing else", CLIENT),
    ("RFC 9110 §4.2.4: userinfo", "none in Host or target", CLIENT),
    ("RFC 9112 §3.2.1: origin-form", "a path begins with a slash", CLIENT),
    ("RFC 9112 §3.2.2: absolute-form", "its authority replaces Host; http and https only", CLIENT),
    ("RFC 9112 §3.2.3: authority-form", "CONNECT is a 405, the form elsewhere a 400", CLIENT),
    ("RFC 9112 §3.2.4: asterisk-form", "for OPTIONS alone", CLIENT),
    ("RFC 9112 §4: status line", "one space, three digits, a reason", REPLICA),
    ("RFC 9110 §15: status code", "from 100 to 599", REPLICA),
    ("RFC 9112 §11.2: other protocols", "TLS, HTTP/2 and others are refused as they begin", BOTH),
    ("RFC 9112 §9.2: trailing data", "what follows a body is another message or refused", BOTH),
    ("RFC 9112 §9.6: refused is closed", "after a refusal nothing more is read as HTTP", CLIENT),
    ("RFC 9112 §11.2: one meaning", "what passes means the same to another parser", BOTH),
    ("RFC 9112 §11.2: any split", "however the bytes arrive, the result is the same", BOTH),
    ("RFC 9112 §11.2: linear work", "no byte is scanned over and over, however it drips", BOTH),
    ("RFC 9112 §11.2: no input raises", "whatever comes, only the parser's own error", BOTH),
]  # fmt: skip

_FORWARDING: _Table = [
    ("RFC 9110 §7.6.1: hop-by-hop fields", "they are not passed on", BOTH),
    ("RFC 9110 §7.6.1: nominated fields", "what Connection names is not passed on", BOTH),
    ("RFC 9110 §7.6.1: what Connection cannot remove", "fields that others rely on", BOTH),
    ("RFC 9110 §7.6.2: Max-Forwards", "0 is answered here, else one less is sent on", CLIENT),
    ("RFC 9110 §7.6.3: Via", "appended, with the version that was received", CLIENT),
    ("RFC 9110 §7.6.3: loops", "a request that passed here eight times is a 508", CLIENT),
    ("RFC 9110 §7.7: no transformation", "content and its coding pass untouched", BOTH),
    ("RFC 9110 §5.3: order of fields", "fields keep order, number and spelling", BOTH),
    ("RFC 9110 §10.1.4: TE", "only the wish for trailers is repeated, as our own", CLIENT),
    ("RFC 9110 §6.6.2: Trailer", "the announcement of trailers passes", BOTH),
    ("RFC 9110 §6.5: trailers passed on", "behind the body, never merged into the head", BOTH),
    ("RFC 9110 §6.6.1: Date", "kept, or added when the replica sent none", REPLICA),
    ("RFC 9110 §7.2: Host", "it reaches the replica as it came", CLIENT),
    ("RFC 7239 §8.1: a stranger's Forwarded", "Forwarded and X-Forwarded-* are made anew", CLIENT),
    ("RFC 7239 §4: a trusted proxy's Forwarded", "believed, and our element appended", CLIENT),
    ("RFC 7239 §8.1: disguised fields", "X_Forwarded_For and its like do not pass", CLIENT),
    ("Tidegate: X-Request-Id", "made anew, kept when a trusted proxy sent it", CLIENT),
    ("RFC 9110 §9.3: bodies of any method", "they pass, whatever the method", CLIENT),
    ("RFC 3986 §6: raw path", "the target reaches the replica byte for byte", CLIENT),
    ("RFC 3986 §6.2.2: escapes", "decoded once for routing: no %2f, no %61 passes by", CLIENT),
    ("RFC 3986 §5.2.4: dot segments", "resolved for routing", CLIENT),
    ("RFC 3986 §6.2: double slashes", "and backslashes are one slash for routing", CLIENT),
    ("Tidegate: routing", "the most specific host and the longest prefix win", CLIENT),
]  # fmt: skip

_STREAMS: _Table = [
    ("RFC 9110 §15.2: interim answers", "passed on to HTTP/1.1, not to HTTP/1.0", BOTH),
    ("RFC 9110 §15.2: a flood of interim answers", "bounded, then a 502", REPLICA),
    ("RFC 9110 §15.2: a garbled interim answer", "a 502", REPLICA),
    ("RFC 9110 §8.6: framing of interim answers", "they carry none", REPLICA),
    ("RFC 9110 §10.1.1: 100-continue", "travels end to end, nothing is promised before", BOTH),
    ("RFC 9110 §10.1.1: refused expectation", "the final answer, then the end", BOTH),
    ("RFC 9110 §10.1.1: unknown expectation", "a 417", CLIENT),
    ("RFC 9110 §10.1.1: expectation of HTTP/1.0", "ignored", CLIENT),
    ("RFC 9110 §7.8: upgrades", "a tunnel after 101, an ordinary answer otherwise", BOTH),
    ("RFC 9110 §7.8: nothing before 101", "what follows the head is no tunnel yet", CLIENT),
    ("RFC 9110 §7.8: unasked protocols", "a 502; HTTP/1.0 cannot ask", BOTH),
    ("RFC 9113 §3.1: h2c", "is not asked for: it would pass by every rule", BOTH),
    ("RFC 6455 §5: WebSocket", "frames pass both ways, from the first byte on", BOTH),
    ("Tidegate: tunnels in flight", "a tunnel counts as in flight until it ends", CLIENT),
    ("Tidegate: tunnels alive by bytes", "bytes of either side keep it, silence ends it", BOTH),
    ("Tidegate: silence is no activity", "a stream keeps awake while its bytes move", BOTH),
    ("Tidegate: sleep ends what is silent", "a tunnel is closed, an answer cut", BOTH),
    ("Tidegate: tunnels told to close", "of a replica that leaves, between two frames", BOTH),
    ("RFC 9112 §9.6: half-closed tunnels", "each side may end its half first", BOTH),
    ("RFC 9110 §9.3.2: HEAD", "the framing of a body that is not sent", BOTH),
    ("RFC 9110 §15.3.5: 204", "has neither body nor framing", REPLICA),
    ("RFC 9110 §15.4.5: 304", "keeps its fields and has no body", REPLICA),
    ("RFC 9112 §6.3: close-delimited answers", "chunked for HTTP/1.1", BOTH),
    ("RFC 9112 §9.3: HTTP/1.0", "spoken with clients and with replicas", BOTH),
    ("RFC 9112 §9.3: persistence", "connections stay unless one says close", BOTH),
    ("RFC 9112 §9.3.2: pipelining", "answered in order, one at a time at the replica", BOTH),
    ("RFC 9112 §9.5: early answers", "pass while the upload goes on; then both are closed", BOTH),
    ("RFC 9112 §9.6: lingering close", "a refused upload still gets its answer", CLIENT),
    ("HTML §9.2: Server-Sent Events", "pass one by one", BOTH),
    ("RFC 9112 §9: full duplex", "both directions flow at once over one request", BOTH),
]  # fmt: skip

_FAILURES: _Table = [
    ("Tidegate: client gone in the queue", "its place is free at once", CLIENT),
    ("Tidegate: client gone while connecting", "its place is free at once", CLIENT),
    ("Tidegate: client gone before the answer", "cancelled at the replica, slot free", BOTH),
    ("Tidegate: client gone in an upload", "cancelled, never a whole body", BOTH),
    ("Tidegate: client gone in an answer", "cancelled at the replica, slot free", BOTH),
    ("Tidegate: client gone while not read", "noticed although its bytes wait", BOTH),
    ("Tidegate: client gone from a tunnel", "the replica's side ends, too", BOTH),
    ("RFC 9112 §9.6: half-closed requests", "a client that ends its half has left", CLIENT),
    ("RFC 9112 §8: replica gone", "in the middle of a body: a cut, never a clean end", BOTH),
    ("RFC 9112 §8: cuts for HTTP/1.0", "a reset, for its answers end with the connection", CLIENT),
    ("RFC 9112 §9.2: garbage", "a 502 or a cut; its connection is not used again", REPLICA),
    ("RFC 9112 §9.2: two answers", "the second is for nobody", REPLICA),
    ("RFC 9112 §9.2: too much", "the surplus is for nobody", REPLICA),
    ("RFC 9112 §9.2: half an answer", "is never mixed with another", REPLICA),
    ("Tidegate: refused or reset", "tried elsewhere when safe, else a 502", REPLICA),
    ("RFC 9110 §9.2.2: safe retries", "only what cannot act twice is sent again", REPLICA),
    ("RFC 9110 §9.2.2: a body is sent once", "what was sent forbids a retry", REPLICA),
    ("RFC 9112 §9.3.1: stale connections", "one that closed as it was used costs nothing", REPLICA),
    ("Tidegate: retry budget", "attempts and a share of the requests", REPLICA),
]  # fmt: skip

_LIMITS: _Table = [
    ("RFC 6585 §5: size of the head", "431 beyond `limits.headers`", CLIENT),
    ("RFC 6585 §5: number of fields", "431 beyond `limits.header_count`", CLIENT),
    ("RFC 9110 §5.4: size of a replica's head", "502 beyond 64 KiB", REPLICA),
    ("RFC 9110 §15.5.15: length of the target", "414 beyond `limits.url`", CLIENT),
    ("RFC 9110 §15.5.14: size of the body", "413 beyond `limits.body`, chunks too", CLIENT),
    ("RFC 9110 §15.5.9: slow heads", "408, counted from the first byte", CLIENT),
    ("RFC 9110 §15.5.9: slow bodies", "408 after silence", CLIENT),
    ("RFC 9112 §9.5: idle connections", "closed without a word", CLIENT),
    ("RFC 9110 §15.6.5: silent replicas", "504 before the answer, a cut within", REPLICA),
    ("RFC 9110 §15.6.3: replicas that do not accept", "502 after `timeouts.connect`", REPLICA),
    ("Tidegate: connections", "503 beyond `limits.connections`", CLIENT),
    ("Tidegate: memory pressure", "clients are refused before the kernel kills", CLIENT),
    ("Tidegate: shares of connections", "no service gets all that are left", BOTH),
    ("Tidegate: held requests", "one service may hold four fifths, others find room", CLIENT),
    ("Tidegate: connections per address", "503 beyond `connections_per_client`", CLIENT),
    ("Tidegate: descriptors", "without any it serves those it has, and recovers", BOTH),
    ("Tidegate: slow readers", "hold back the other side; memory is bounded", BOTH),
    ("Tidegate: small chunks", "are read in turns: others are served too", BOTH),
    ("Tidegate: early pipelined bytes", "are bounded", CLIENT),
    ("Tidegate: queue", "503 with Retry-After when full or too slow", CLIENT),
]  # fmt: skip

_WORDS: _Table = [
    ("Tidegate: no route", "404, and the connection stays", CLIENT),
    ("RFC 9457 §3: problem+json", "errors are that, with a stable code", CLIENT),
    ("RFC 9110 §12.5.1: pages for browsers", "HTML when asked for, nothing unescaped", CLIENT),
    ("RFC 9110 §15.5.6: Allow", "a 405 names what is allowed", CLIENT),
    ("Tidegate: Server-Timing", "tells how long a request waited for a wake or a slot", CLIENT),
    ("Tidegate: ignored requests", "neither wake nor keep awake", CLIENT),
    ("Tidegate: only valid requests wake", "no scan, no handshake, no refused request", CLIENT),
    ("Tidegate: waiting page", "a 503 for navigations alone, all others are held", CLIENT),
    ("Tidegate: fallback", "another service answers until there is a replica", CLIENT),
    ("Tidegate: JSON log", "one object a request", CLIENT),
    ("Tidegate: combined log", "as Apache and nginx write it", CLIENT),
    ("Tidegate: log off", "costs a request nothing", CLIENT),
    ("Tidegate: log injection", "nothing a client sent ends or forges a line", CLIENT),
]  # fmt: skip

_TLS: _Table = [
    ("RFC 9112 §9.8: TLS ends", "a clean end is told, a cut is never one", CLIENT, (
        _BY_TLS + "test_an_end_that_was_asked_for_is_a_clean_one",
        _BY_TLS + "test_a_cut_is_never_a_clean_end",
    )),
    ("RFC 8446 §4.2.1: TLS versions", "1.2 and 1.3; plain HTTP is closed", CLIENT, (
        _BY_VERSIONS + "test_tls_1_2_is_the_oldest_that_is_spoken",
        _BY_VERSIONS + "test_tls_1_2_is_spoken_with_forward_secrecy_and_aead_alone",
        _BY_TLS + "test_plain_http_on_the_secure_port_is_closed",
    )),
    ("RFC 6066 §3: SNI", "the certificate is chosen by name", CLIENT, (
        _BY_TLS + "test_the_certificate_is_chosen_by_name_then_wildcard_then_the_first",
    )),
    ("RFC 7301 §3: ALPN", "HTTP/1.1 is agreed on", CLIENT, (
        _BY_TLS + "test_http_1_1_is_agreed_on_with_either_version_of_tls",
        _BY_VERSIONS + "test_http_1_1_is_all_that_alpn_agrees_on",
        _BY_VERSIONS + "test_http_2_without_consent_is_a_malformed_request",
    )),
    ("RFC 9110 §15.5.20: other names", "a connection serves every name of its server", CLIENT, (
        _BY_VERSIONS + "test_a_request_may_be_for_another_name_than_the_handshake",
    )),
    ("RFC 8446 §6.2: failed handshakes", "the client is told why", CLIENT, (
        _BY_HANDSHAKE + "test_a_handshake_that_fails_is_told_so_and_ends_in_time",
    )),
    ("Tidegate: handshakes", "they count as connections and have header_timeout", CLIENT, (
        _BY_HANDSHAKE + "test_half_open_handshakes_count_until_their_time_is_over",
        _BY_HANDSHAKE + "test_dripping_does_not_prolong_a_handshake",
    )),
    ("RFC 9110 §15.4.9: redirect", "plain HTTP is sent to HTTPS where asked", CLIENT, (
        _BY_REDIRECT + "test_every_method_hears_308_and_the_connection_stays",
        _BY_REDIRECT + "test_no_head_that_is_accepted_can_end_the_line_that_repeats_it",
    )),
    ("Tidegate: certificates change", "on reload, and no connection is dropped", CLIENT, (
        "tests/e2e/test_tls_under_load.py::test_fifty_reloads_drop_no_connection_and_no_request",
    )),
    ("Tidegate: client gone over TLS", "its place is free at once", CLIENT, (
        _BY_TLS + "test_a_client_that_leaves_frees_its_place_at_once",
    )),
]  # fmt: skip

LAW = {
    "Framing and syntax": _rules(_FRAMING),
    "Forwarding and routing": _rules(_FORWARDING),
    "Interim answers, tunnels, streams": _rules(_STREAMS),
    "Failures and retries": _rules(_FAILURES),
    "Limits and slow peers": _rules(_LIMITS),
    "Errors and logs": _rules(_WORDS),
    "TLS": _rules(_TLS),
}
RULES = {rule.key: rule for rules in LAW.values() for rule in rules}
