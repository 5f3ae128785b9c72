"""A certificate, a token and a user, for daemons that are closed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID

TOKEN = "0123456789abcdef0123456789abcdef"
PASSWORD = "correct horse"
# As dear as the cheapest that is accepted.
USER = "ada:$scrypt$ln=14,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$1idRgu6ns74sljt005o5BblTKV7Jul0HPGT6aXWnXKY"


@dataclass(frozen=True)
class Made:
    cert: Path
    key: Path


def a_certificate(folder: Path, *names: str, days: int = 1, extension: bytes | None = None) -> Made:
    """Write a certificate that signs itself, and its key; what is there already is replaced.

    `extension`: the DER of its subject alternative names, in place of `names`.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "auditor")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
    )
    if names:
        each = [x509.IPAddress(ip_address(one)) if one[0].isdigit() else x509.DNSName(one) for one in names]
        made = made.add_extension(x509.SubjectAlternativeName(each), critical=False)
    if extension is not None:
        told = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, extension)
        made = made.add_extension(told, critical=False)
    cert = made.sign(key, hashes.SHA256())
    found = Made(folder / "tls.pem", folder / "tls.key")
    found.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    found.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return found
