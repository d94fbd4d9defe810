"""Buckets for sizes in bytes: powers of two, so that the bucket of a size is its number of bits.

Pure. Bucket 0 is nothing at all, bucket n from 2**(n-1) up to, and without, 2**n bytes.
"""

LAST = 48  # a terabyte is 2**40; what is larger than any disk is in the last one


def bucket(size: int) -> int:
    return min(size.bit_length(), LAST)


def most(index: int) -> int:
    """The largest size in a bucket, in bytes; the last one has no end."""
    return (1 << index) - 1


def middle(index: int) -> int:
    """A size in the middle of a bucket, in bytes: at most 1.5 times from all that is in it."""
    return 3 * (1 << index) // 4 if index else 0
