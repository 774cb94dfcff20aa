"""
The one place where a private key is opened, for applications that ask for theirs.

It calls the libcrypto that Python's ``ssl`` has loaded: ``cryptography`` would take 88 ms and 16 MB of memory more.
Functions of OpenSSL 1.1.0 and later, by their manual pages d2i_X509_SIG(3), PKCS8_decrypt(3) and EVP_PKEY2PKCS8(3).
"""

from __future__ import annotations

import _ssl
import ctypes
from contextlib import ExitStack
from functools import cache
from typing import Any

from meshcert.material.pem import ENCRYPTED_PRIVATE_KEY, decoded, sole_block

_POINTER = ctypes.c_void_p
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "d2i_X509_SIG": (_POINTER, _POINTER, ctypes.POINTER(ctypes.c_char_p), ctypes.c_long),
    "PKCS8_decrypt": (_POINTER, _POINTER, ctypes.c_char_p, ctypes.c_int),
    "EVP_PKCS82PKEY": (_POINTER, _POINTER),
    "EVP_PKEY2PKCS8": (_POINTER, _POINTER),
    "i2d_PKCS8_PRIV_KEY_INFO": (ctypes.c_int, _POINTER, ctypes.POINTER(_POINTER)),
    "X509_SIG_free": (None, _POINTER),
    "PKCS8_PRIV_KEY_INFO_free": (None, _POINTER),
    "EVP_PKEY_free": (None, _POINTER),
    "CRYPTO_clear_free": (None, _POINTER, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_int),
    "ERR_clear_error": (None,),
}
"""The type of each function's result, and those of its arguments."""


class KeyNotOpened(ValueError):
    """A private key that its passphrase does not open; the text says nothing of either."""


def opened_key(private_key: str, passphrase: str) -> bytes:
    """
    Return the key as PKCS#8 DER that is not encrypted. The caller is responsible for where it goes.

    Args:
        private_key: Encrypted PKCS#8, PEM, which the pre-flight has accepted: how often its passphrase is hashed is
            not bounded here.

    Raises:
        KeyNotOpened: If that fails.
    """
    try:
        encrypted = decoded(sole_block(private_key, ENCRYPTED_PRIVATE_KEY))
    except ValueError:
        raise KeyNotOpened("it is no encrypted PKCS#8") from None
    secret = passphrase.encode()
    crypto = _libcrypto()
    with ExitStack() as freed:

        def owned(pointer: int | None, free: str) -> int:
            if not pointer:
                # The reasons stay in a queue, where ssl's next error of this thread would find them.
                crypto["ERR_clear_error"]()
                raise KeyNotOpened("the passphrase does not open the private key")
            freed.callback(crypto[free], pointer)
            return pointer

        position = ctypes.c_char_p(encrypted)
        sealed = owned(crypto["d2i_X509_SIG"](None, ctypes.byref(position), len(encrypted)), "X509_SIG_free")
        info = owned(crypto["PKCS8_decrypt"](sealed, secret, len(secret)), "PKCS8_PRIV_KEY_INFO_free")
        # By way of a key, so that what is handed out is one, and says no more than that.
        key = owned(crypto["EVP_PKCS82PKEY"](info), "EVP_PKEY_free")
        plain = owned(crypto["EVP_PKEY2PKCS8"](key), "PKCS8_PRIV_KEY_INFO_free")
        written = _POINTER()
        length = crypto["i2d_PKCS8_PRIV_KEY_INFO"](plain, ctypes.byref(written))
        if length <= 0 or not written.value:
            raise KeyNotOpened("the private key cannot be written")
        freed.callback(crypto["CRYPTO_clear_free"], written.value, length, b"", 0)
        return ctypes.string_at(written.value, length)


@cache
def _libcrypto() -> dict[str, Any]:
    """The functions, found in what Python's own module is linked with, whatever its name and version are."""
    library = ctypes.CDLL(_ssl.__file__)
    functions = {}
    for name, (result, *arguments) in _FUNCTIONS.items():
        functions[name] = function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return functions
