"""Histograms as they are added up and as they are stored: numbers of varying length, none for what
is empty.

Pure. A stored histogram is a series of pairs, the distance to the former index and the count, each
in groups of seven bits with the lowest first (LEB128, as in DWARF 5 §7.6).
"""

from collections.abc import Iterator, Mapping

from cluster.buckets import Sparse

Counts = dict[int, int]


def add(counts: Counts, more: Sparse | Mapping[int, int]) -> None:
    """Counts that are added to, in place."""
    for index, count in more.items() if isinstance(more, Mapping) else more:
        counts[index] = counts.get(index, 0) + count


def packed(counts: Mapping[int, int]) -> bytes:
    out, before = bytearray(), 0
    for index in sorted(counts):
        for number in (index - before, counts[index]):
            while number > 0x7F:
                out.append(number & 0x7F | 0x80)
                number >>= 7
            out.append(number)
        before = index
    return bytes(out)


def unpacked(data: bytes) -> Counts:
    """Raises ValueError for what `packed` does not write."""
    numbers = list(_numbers(data))
    if len(numbers) % 2:
        raise ValueError("a histogram ends in the middle")
    counts, index = {}, 0
    for distance, count in zip(numbers[::2], numbers[1::2], strict=True):
        index += distance
        counts[index] = count
    return counts


def _numbers(data: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            yield number
            number = shift = 0
    if shift:
        raise ValueError("a number ends in the middle")
