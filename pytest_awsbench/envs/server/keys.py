"""RSA keys of a session: decided by its seed, as all that an agent may see.

`cryptography` draws keys from the operating system, whatever the seed. These are valid
keys, and secret to nobody: they open nothing outside of the emulator.
"""

from math import gcd, prod

from cryptography.hazmat.primitives.asymmetric import rsa
from moto.moto_api._internal import mock_random


SMALL = [n for n in range(3, 2000, 2) if all(n % d for d in range(3, n, 2))]
PRODUCT = prod(SMALL)
BASES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
"""Of Miller and Rabin's test: who passes all of them is prime, but for chance."""


def seeded_keys() -> None:
    """Have every RSA key of this process come from the seed of a session."""
    rsa.generate_private_key = private_key


def private_key(
    public_exponent: int = 65537,
    key_size: int = 2048,
    backend: object = None,
) -> rsa.RSAPrivateKey:
    """Return a key, drawn from the emulator's own random numbers."""
    del backend
    while True:
        p, q = (prime(key_size // 2) for _ in range(2))
        if p != q and gcd(public_exponent, (p - 1) * (q - 1)) == 1:
            break
    d = pow(public_exponent, -1, (p - 1) * (q - 1))
    return rsa.RSAPrivateNumbers(
        p,
        q,
        d,
        rsa.rsa_crt_dmp1(d, p),
        rsa.rsa_crt_dmq1(d, q),
        rsa.rsa_crt_iqmp(p, q),
        rsa.RSAPublicNumbers(public_exponent, p * q),
    ).private_key()


def prime(bits: int) -> int:
    """Return a prime whose two highest bits are set: a product keeps its size."""
    while True:
        found = int(mock_random.getrandbits(bits)) | (3 << (bits - 2)) | 1
        if gcd(found, PRODUCT) == 1 and is_prime(found):
            return found


def is_prime(number: int) -> bool:
    """Test an odd number by Miller and Rabin's test.

    >>> [n for n in range(39, 60, 2) if is_prime(n)]
    [41, 43, 47, 53, 59]

    """
    twos = (number - 1 & 1 - number).bit_length() - 1
    odd = number - 1 >> twos
    return all(_passes(number, base, odd, twos) for base in BASES if base < number)


def _passes(number: int, base: int, odd: int, twos: int) -> bool:
    """Whether a base does not show that a number is composite."""
    power = pow(base, odd, number)
    if power in {1, number - 1}:
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False
