"""Host names and end of a certificate, from its DER form (RFC 5280 §4.1, X.690 §8.1).

Pure. Reads just as much of ASN.1 as the way to these two needs: the standard library tells them of
peers only, never of a certificate of one's own.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

_SUBJECT_ALT_NAME = bytes((0x55, 0x1D, 0x11))  # 2.5.29.17
_SEQUENCE, _OCTETS, _OID = 0x30, 0x04, 0x06
_EXTENSIONS = 0xA3  # [3] EXPLICIT
_DNS_NAME = 0x82  # [2] IMPLICIT IA5String
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_VALIDITY = 2  # of the sequences in a certificate: signature, issuer, validity


def dns_names(certificate: bytes) -> tuple[str, ...]:
    """Lower case, wildcards included. Empty when there are none or it is no certificate."""
    try:
        return tuple(_names(certificate))
    except IndexError:
        return ()


def not_after(certificate: bytes) -> float | None:
    """Until when it is valid, in seconds since 1970; None when it is no certificate."""
    try:
        # What is signed comes first, then how it was signed.
        signed = next(_inside(certificate, _SEQUENCE, _SEQUENCE), b"")
        sequences = [content for tag, content in _items(signed) if tag == _SEQUENCE]
        _, (tag, text) = _items(sequences[_VALIDITY])
        return _seconds(tag, text.decode("ascii"))
    except (IndexError, ValueError):
        return None


def _seconds(tag: int, text: str) -> float:
    """RFC 5280 §4.1.2.5: always to the second and in UTC. Raises ValueError."""
    if tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _names(certificate: bytes) -> Iterator[str]:
    for extensions in _inside(certificate, _SEQUENCE, _SEQUENCE, _EXTENSIONS, _SEQUENCE):
        for tag, extension in _items(extensions):
            parts = list(_items(extension)) if tag == _SEQUENCE else []
            if parts and parts[0] == (_OID, _SUBJECT_ALT_NAME) and parts[-1][0] == _OCTETS:
                for names in _inside(parts[-1][1], _SEQUENCE):
                    yield from _texts(names)


def _texts(names: bytes) -> Iterator[str]:
    for tag, name in _items(names):
        if tag == _DNS_NAME and name.isascii():
            yield name.decode("ascii").lower().removesuffix(".")


def _inside(data: bytes, *tags: int) -> Iterator[bytes]:
    """The contents below `data` on the way that the tags name."""
    if not tags:
        yield data
        return
    for tag, content in _items(data):
        if tag == tags[0]:
            yield from _inside(content, *tags[1:])


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element. Raises IndexError when it is cut off."""
    position = 0
    while position < len(data):
        tag, length = data[position], data[position + 1]
        position += 2
        if length & 0x80:
            size = length & 0x7F
            if size == 0 or position + size > len(data):
                raise IndexError
            length = int.from_bytes(data[position : position + size], "big")
            position += size
        if position + length > len(data):
            raise IndexError
        yield tag, data[position : position + length]
        position += length
