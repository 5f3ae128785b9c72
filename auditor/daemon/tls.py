"""The certificate that the web side shows, taken anew whenever it was renewed on disk."""

import logging
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from auditor.errors import UsageError

_log = logging.getLogger(__name__)

_HINT: Final = "give PEM files: the certificate with its chain, and its key, not encrypted and readable to this process"

_Looks = tuple[tuple[int, ...] | None, ...]


class Certificate:
    """A certificate and its key, on disk. TLS 1.2 or newer, with the standard library's ciphers.

    Raises:
        UsageError: the files cannot be used.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self._files = cert, key
        self._seen = self._looks()
        self._current = self._loaded()
        self._names = _names(cert)
        self._refused: _Looks | None = None
        # A context is for all connections that come; each new one is handed over to the certificate of now.
        self.context = self._loaded()
        self.context.sni_callback = self._hand_over

    @property
    def names(self) -> Sequence[str]:
        """The names and addresses that it is for."""
        return self._names

    def renew(self, check: Callable[[Sequence[str]], object] = lambda _: None) -> bool:
        """Take it anew if its files were touched; what cannot be used is logged once, and the one of before stays.

        `check` is asked whether its names will do, and raises `UsageError` where they do not.
        """
        looks = self._looks()
        if looks == self._seen:
            return False
        try:
            current, names = self._loaded(), _names(self._files[0])
            check(names)
        except UsageError as error:
            if looks != self._refused:
                _log.error("%s; the one of before stays", error)
            self._refused = looks
            return False
        self._seen, self._current, self._names, self._refused = looks, current, names, None
        _log.info("the certificate %s was read anew", self._files[0])
        return True

    def _hand_over(
        self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        connection.context = self._current

    def _looks(self) -> _Looks:
        return tuple(_look(path) for path in self._files)

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        cert, key = self._files
        for setting, path in (("tls_cert", cert), ("tls_key", key)):
            # A pipe would be waited for, at each renewal anew.
            if path.exists() and not path.is_file():
                raise UsageError(f"[web] {setting} {path} is no file", _HINT)
        try:
            # Without a password of its own OpenSSL would ask for one at the terminal, and wait.
            context.load_cert_chain(cert, key, password=lambda: b"")
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
            if isinstance(error, ssl.SSLError) and error.reason is None:
                # What the library says of a text that is none is a line of its own source.
                why = "one of them is no PEM file"
            raise UsageError(f"[web] tls_cert {cert} and tls_key {key} cannot be used: {why}", _HINT) from None
        return context


def _look(path: Path) -> tuple[int, ...] | None:
    """What a file looks like; None where it cannot be seen."""
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_ino, told.st_mtime_ns, told.st_size


def _names(path: Path) -> tuple[str, ...]:
    try:
        first, *_ = x509.load_pem_x509_certificates(path.read_bytes())
        told = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except (OSError, ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise UsageError(f"[web] tls_cert {path} cannot be read: {type(error).__name__}", _HINT) from None
    if first.not_valid_after_utc <= datetime.now(UTC):
        _log.warning("[web] tls_cert %s has expired at %s", path, first.not_valid_after_utc.isoformat())
    names = told.get_values_for_type(x509.DNSName)
    return (*names, *(str(one) for one in told.get_values_for_type(x509.IPAddress)))
