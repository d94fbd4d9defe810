"""Whether a person waits in front of a browser for this very request.

Pure. Only then may a page answer in the service's place: a program would take it for the answer.
Browsers say so themselves (Fetch Metadata, `Sec-Fetch-Mode`); of those that do not, one counts that
wants HTML more than anything else (RFC 9110 §12.5.1). curl, fetch() and XMLHttpRequest never do.
"""

from gateway import grammar
from gateway.head import Request

_MODE = grammar.named_field(b"sec-fetch-mode")
_HTML = (b"text/html", b"application/xhtml+xml")


def is_navigation(request: Request) -> bool:
    """GET or HEAD without body and Upgrade, by a browser, for a page of its own."""
    if request.method not in (b"GET", b"HEAD") or request.length or request.fields.upgrade:
        return False
    modes = _MODE.findall(request.raw)
    if modes:
        return len(modes) == 1 and modes[0].strip(b" \t").lower() == b"navigate"
    return wants_html_most(b",".join(grammar.ACCEPT.findall(request.raw)))


def wants_html_most(accept: bytes) -> bool:
    """Whether HTML is the first of the best in a list of media ranges."""
    best, quality = b"", 0.0
    for item in accept.split(b","):
        media, *parameters = (part.strip(b" \t").lower() for part in item.split(b";"))
        weight = _weight(parameters)
        if weight > quality:
            best, quality = media, weight
    return best in _HTML


def _weight(parameters: list[bytes]) -> float:
    """RFC 9110 §12.4.2: 0 to 1, and 1 when nothing is said; nonsense is worth nothing."""
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip(b" \t") == b"q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if 0.0 <= weight <= 1.0 else 0.0
    return 1.0
