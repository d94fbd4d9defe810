"""What a valid HTTP/1.1 message looks like, as compiled regular expressions.

Pure. Strict on purpose: whatever does not match is refused, never repaired, so that a replica can
not read a message in another way than we did (RFC 9112 §11.2). Quantifiers are possessive: no
input makes them backtrack. A *block* is all field lines of a head, each with the CRLF in front of
it: `\\r\\nHost: a\\r\\nAccept: b`.
"""

import re

_TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_TEXT = rb"[\t\x20-\x7e\x80-\xff]"

# RFC 9112 §3: exactly one SP between the parts; no control, space, non-ASCII or "#" in the target.
REQUEST_LINE = re.compile(rb"(" + _TCHAR + rb"{1,64}+) ([!\"$-~]++) HTTP/1\.([01])\r\n")

# RFC 9112 §4; RFC 9110 §15: codes outside 100 to 599 are invalid.
STATUS_LINE = re.compile(rb"HTTP/1\.([01])( ([1-5][0-9][0-9])(?: " + _TEXT + rb"*+)?)\r\n")

# RFC 9112 §5: no space before the colon (§5.1), no folded lines (§5.2), no bare CR or LF (§2.2).
_LINES = rb"(?:\r\n" + _TCHAR + rb"++:" + _TEXT + rb"*+)*+"
BLOCK = re.compile(_LINES)

# The usual form, checked and cut with fewer calls; what does not match may be valid still. Groups
# stay outside of possessive repetitions: Python 3.11 loses their spans there.
USUAL_LINE = re.compile(rb"((" + _TCHAR + rb"{1,64}+) (/[!\"$-~]*+) HTTP/1\.1)(?=\r\n)")
REST_OF_HEAD = re.compile(rb"(" + _LINES + rb")\r\n\r\n")
USUAL_STATUS = re.compile(rb"(HTTP/1\.1 ([1-5][0-9][0-9])(?: " + _TEXT + rb"*+)?)(?=\r\n)")

STARTS_LIKE_REQUEST = re.compile(_TCHAR + rb"{1,64}+(?: |\Z)")

TOKEN = re.compile(_TCHAR + rb"++")
CONTENT_LENGTH = re.compile(rb"[0-9]{1,18}+")

# RFC 3986 §3.2.2, narrowed to what names and addresses are made of; no userinfo (RFC 9110 §4.2.4).
AUTHORITY = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}+\]|[0-9A-Za-z._~\-]{1,255}+)(?::([0-9]{0,5}+))?")
ABSOLUTE_FORM = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?]*+)(.*+)")

# The fields a proxy must act on (RFC 9110 §7.6); all others are passed as one slice. Names that
# differ by "_" only are the same to CGI-like programs.
_HOP_BY_HOP = (
    rb"connection|te|upgrade|keep-alive|proxy-connection|proxy-authorization|proxy-authenticate"
    rb"|proxy-authentication-info"
)
_FORWARDING = (
    rb"forwarded|x[-_]forwarded[-_][a-z_\-]+|x[-_]real[-_]ip|x[-_]request[-_]id"
    rb"|content_length|transfer_encoding"
)
_FRAMING = rb"content-length|transfer-encoding"
# Whole lines without their CRLF. A look at the first letter spares most lines the alternatives.
REQUEST_FIELDS = re.compile(
    rb"\r\n(?=[CEFHKPTUVX])((?:host|expect|via|" + _FRAMING + rb"|" + _HOP_BY_HOP + rb"|"
    + _FORWARDING + rb"):[^\r]*+)",
    re.IGNORECASE,
)  # fmt: skip
# The value of Date is left out: it changes all the time and only its presence matters.
RESPONSE_FIELDS = re.compile(
    rb"\r\n(?=[CDKPTU])(date(?=:)|(?:" + _FRAMING + rb"|" + _HOP_BY_HOP + rb"):[^\r]*+)",
    re.IGNORECASE,
)
DROPPED_FROM_REQUEST = re.compile(
    rb"\r\n(?:" + _HOP_BY_HOP + rb"|" + _FORWARDING + rb"):[^\r]*+", re.IGNORECASE
)
DROPPED_FROM_RESPONSE = re.compile(rb"\r\n(?:" + _HOP_BY_HOP + rb"):[^\r]*+", re.IGNORECASE)

_IN_HEAD = bytes({*b"\t\r\n", *range(0x20, 0x7F), *range(0x80, 0x100)})


def is_spoilt(data: bytes | bytearray, start: int) -> bool:
    """Whether no head can have what comes from `start` on: a control, CR or LF without the other
    (RFC 9112 §2.2, RFC 9110 §5.5). A head that is not complete yet can already be wrong.

    Clients choose how much there is to look at: a regular expression would take ten times as long.
    """
    if start and data.startswith(b"\r\n", start - 1):
        start += 1
    part = data[start:]
    if part.translate(None, _IN_HEAD):
        return True
    lines = part.count(b"\r\n")
    return part.count(b"\n") != lines or part.count(b"\r") - part.endswith(b"\r") != lines


def named_field(name: bytes) -> re.Pattern[bytes]:
    """Finds one field of a block; group 1 is its value."""
    return re.compile(rb"\r\n" + re.escape(name) + rb":([^\r]*+)", re.IGNORECASE)


ACCEPT = named_field(b"accept")

# RFC 9112 §7.1. An extension is passed on as it came, hence no white space and no bare CR or LF.
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"'
_EXTENSION = rb"(?:;" + _TCHAR + rb"++(?:=(?:" + _TCHAR + rb"++|" + _QUOTED + rb"))?)*+"
FIRST_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16}+)(" + _EXTENSION + rb")\r\n")
NEXT_CHUNK = re.compile(rb"\r\n([0-9A-Fa-f]{1,16}+)(" + _EXTENSION + rb")\r\n")
_CHUNK_BEGUN = rb"[0-9A-Fa-f]{0,16}+(?:(?<=[0-9A-Fa-f]);[\t\x20-\x7e\x80-\xff]*+)?+\r?"
FIRST_CHUNK_BEGUN = re.compile(_CHUNK_BEGUN)
NEXT_CHUNK_BEGUN = re.compile(rb"\r?|\r\n" + _CHUNK_BEGUN)

# While a chunk line lacks these, nothing new can be said of it.
ENDS_CHUNK_LINE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

# RFC 9110 §6.5.1: what must not come in a trailer, because it frames, routes or authenticates.
# Content-Digest is meant to (RFC 9530 §2).
TRAILERS = re.compile(rb"(?:" + _TCHAR + rb"++:" + _TEXT + rb"*+\r\n)*+\r\n")
FORBIDDEN_TRAILER = re.compile(
    rb"(?:^|\r\n)(?:content-(?!digest:)|transfer-encoding|host|connection|te:|trailer|upgrade|keep-alive"
    rb"|proxy-|via|forwarded|x[-_]forwarded|x[-_]real|x[-_]request[-_]id|authorization|cookie"
    rb"|set-cookie|expect|cache-control|max-forwards|range|age:|date:|expires|location"
    rb"|retry-after|vary|warning|www-)",
    re.IGNORECASE,
)
