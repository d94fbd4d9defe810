"""The host names in a certificate, from its DER form (RFC 5280 §4.1, X.690 §8.1).

Pure. Reads just as much of ASN.1 as the way to that one extension needs: the standard library
tells it of peers only, never of a certificate of one's own.
"""

from collections.abc import Iterator

_SUBJECT_ALT_NAME = bytes((0x55, 0x1D, 0x11))  # 2.5.29.17
_SEQUENCE, _OCTETS, _OID = 0x30, 0x04, 0x06
_EXTENSIONS = 0xA3  # [3] EXPLICIT
_DNS_NAME = 0x82  # [2] IMPLICIT IA5String


def dns_names(certificate: bytes) -> tuple[str, ...]:
    """Lower case, wildcards included. Empty when there are none or it is no certificate."""
    try:
        return tuple(_names(certificate))
    except IndexError:
        return ()


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
