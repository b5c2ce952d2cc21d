"""The local CA's files: who may read them, who makes them, and what is refused."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from onceproxy.ingress import files as module
from onceproxy.ingress import roots
from onceproxy.ingress.authority import Authority, AuthorityError

PEM = serialization.Encoding.PEM


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ca"


@pytest.fixture
def _any_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def key_bytes(key: Any, passphrase: bytes = b"") -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    data: bytes = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption)
    return data


def certificate_of(
    key: ec.EllipticCurvePrivateKey, *, ca: bool = True, expired: bool = False, name: str = "Corporate Root"
) -> bytes:
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=-1 if expired else 1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(PEM)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def trusted(bundle: Path) -> set[bytes]:
    return set(ssl.create_default_context(cafile=str(bundle)).get_ca_certs(binary_form=True))


def der(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode())


def test_the_ca_may_sign_leaves_and_nothing_else(directory: Path) -> None:
    certificate = Authority.load_or_create(directory).certificate
    extensions = certificate.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert usage.value.crl_sign
    assert not usage.value.digital_signature
    assert extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert timedelta(days=3650) <= life < timedelta(days=3651)
    assert "onceproxy local CA" in certificate.subject.rfc4514_string()


@pytest.mark.usefixtures("_any_umask")
def test_only_the_owner_can_read_the_key(directory: Path) -> None:
    Authority.load_or_create(directory)
    assert mode(directory) == 0o700
    assert mode(directory / "ca-key.pem") == 0o600
    assert mode(directory / "ca-cert.pem") == 0o644
    assert mode(directory / "ca-bundle.pem") == 0o644


@pytest.mark.usefixtures("_any_umask")
def test_the_key_is_private_before_its_first_byte(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    fdopen = os.fdopen

    def look(descriptor: int, *args: Any) -> Any:
        assert os.fstat(descriptor).st_size == 0
        seen.append(os.fstat(descriptor).st_mode & 0o777)
        return fdopen(descriptor, *args)

    monkeypatch.setattr(os, "fdopen", look)
    Authority.load_or_create(directory)
    assert seen[0] == 0o600


def test_the_second_start_finds_the_ca_of_the_first(directory: Path) -> None:
    first, second = Authority.load_or_create(directory), Authority.load_or_create(directory)
    assert first.fingerprint == second.fingerprint
    assert first.key.private_numbers() == second.key.private_numbers()


STARTER = """
import sys, time
from pathlib import Path
from onceproxy.ingress import authority, files as module

stage = module.stage
def slow_stage(*arguments):
    time.sleep(0.05)  # wide enough for the others to get in, if they could
    stage(*arguments)
module.stage = slow_stage

print("ready", flush=True)
sys.stdin.read()  # the starting gun: its end
authority = authority.Authority.load_or_create(Path(sys.argv[1]))
assert authority.key.public_key() == authority.certificate.public_key()
print(authority.fingerprint)
"""


def test_processes_that_start_at_once_share_one_ca(directory: Path) -> None:
    gun, trigger = os.pipe()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, str(directory)], stdin=gun, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    os.close(gun)
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    os.close(trigger)
    answers = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert set(answers) == {Authority.load_or_create(directory).fingerprint + "\n"}
    assert not list(directory.glob("*.partial"))


@pytest.mark.parametrize("steps", range(6))
def test_a_first_start_that_was_killed_is_finished_or_begun_anew(
    directory: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """Die before each of the steps that change the files: stage and place, of key and certificate."""
    with monkeypatch.context() as patch:
        _die_after(steps, patch)
        with pytest.raises(KeyboardInterrupt):
            Authority.load_or_create(directory)
    authority = Authority.load_or_create(directory)
    assert authority.key.public_key() == authority.certificate.public_key()
    assert authority.bundle_file.exists()


def test_what_two_killed_starts_left_is_not_mixed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate that the first one staged does not belong to the key that the second one makes."""
    with monkeypatch.context() as patch:
        _die_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            Authority.load_or_create(directory)
    assert len(list(directory.glob("*.partial"))) == 2
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", _die)
        with pytest.raises(KeyboardInterrupt):
            Authority.load_or_create(directory)
    (directory / "ca-key.pem.partial").unlink()  # its unlinking lasted, its making anew did not
    authority = Authority.load_or_create(directory)
    assert authority.key.public_key() == authority.certificate.public_key()


def _die(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("steps", range(10))
def test_a_new_ca_that_was_killed_leaves_a_whole_one(
    directory: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    Authority.load_or_create(directory)
    with monkeypatch.context() as patch:
        _die_after(steps, patch)
        with pytest.raises(KeyboardInterrupt):
            Authority.create_new(directory)
    authority = Authority.load_or_create(directory)
    assert authority.key.public_key() == authority.certificate.public_key()


def _die_after(steps: int, patch: pytest.MonkeyPatch) -> None:
    left = iter(range(steps))

    def counted(name: str) -> None:
        real = getattr(module, name)

        def step(*args: Any) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            real(*args)

        patch.setattr(module, name, step)

    counted("stage")
    counted("put_in_place")


def test_a_new_ca_keeps_the_former_one_beside_it(directory: Path) -> None:
    former = Authority.load_or_create(directory)
    key = (directory / "ca-key.pem").read_bytes()
    new = Authority.create_new(directory)
    assert new.fingerprint != former.fingerprint
    assert (directory / "ca-key.pem.old").read_bytes() == key
    assert mode(directory / "ca-key.pem.old") == 0o600
    assert Authority.load_or_create(directory).fingerprint == new.fingerprint
    assert former.certificate.public_bytes(serialization.Encoding.DER) not in trusted(new.bundle_file)


def test_a_new_ca_replaces_a_damaged_one(directory: Path) -> None:
    Authority.load_or_create(directory)
    (directory / "ca-key.pem").write_bytes(b"nonsense")
    new = Authority.create_new(directory)
    assert Authority.load_or_create(directory).fingerprint == new.fingerprint


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused(directory: Path, bits: int) -> None:
    Authority.load_or_create(directory)
    (directory / "ca-key.pem").chmod(bits)
    with pytest.raises(AuthorityError, match=r"ca-key\.pem: others may read it .*onceproxy ca new"):
        Authority.load_or_create(directory)


def test_a_directory_that_others_can_write_to_is_refused(directory: Path) -> None:
    Authority.load_or_create(directory)
    directory.chmod(0o770)
    with pytest.raises(AuthorityError, match=r"ca: others may write to it.*chmod 700.*onceproxy ca new"):
        Authority.load_or_create(directory)


UNUSABLE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "key-damaged": ("ca-key.pem", lambda: b"-----BEGIN PRIVATE KEY-----\n", r"ca-key\.pem: is damaged"),
    "key-empty": ("ca-key.pem", lambda: b"", r"ca-key\.pem: is damaged"),
    "key-of-another": (
        "ca-key.pem",
        lambda: key_bytes(new_key()),
        r"ca-key\.pem: does not belong to ca-cert",
    ),
    "key-encrypted": ("ca-key.pem", lambda: key_bytes(new_key(), b"x"), r"ca-key\.pem: has a passphrase"),
    "key-rsa": (
        "ca-key.pem",
        lambda: key_bytes(rsa.generate_private_key(65537, 2048)),
        r"ca-key\.pem: is no elliptic-curve key",
    ),
    "cert-damaged": ("ca-cert.pem", lambda: b"x", r"ca-cert\.pem: is damaged"),
    "cert-expired": (
        "ca-cert.pem",
        lambda: certificate_of(new_key(), expired=True),
        r"ca-cert\.pem: expired on \d{4}-\d\d-\d\d",
    ),
    "cert-no-ca": (
        "ca-cert.pem",
        lambda: certificate_of(new_key(), ca=False),
        r"ca-cert\.pem: is no certificate of a CA",
    ),
    "cert-of-another": (
        "ca-cert.pem",
        lambda: certificate_of(new_key()),
        r"ca-key\.pem: does not belong to ca-cert",
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_files_that_cannot_be_used_are_named_with_the_remedy(directory: Path, case: str) -> None:
    Authority.load_or_create(directory)
    name, content, message = UNUSABLE[case]
    (directory / name).write_bytes(content())
    with pytest.raises(AuthorityError, match=message + ".*`onceproxy ca new`"):
        Authority.load_or_create(directory)


@pytest.mark.parametrize("name", ["ca-key.pem", "ca-cert.pem"])
def test_half_a_ca_is_not_replaced_silently(directory: Path, name: str) -> None:
    Authority.load_or_create(directory)
    (directory / name).unlink()
    with pytest.raises(AuthorityError, match=rf"{name}: is missing; restore it, or `onceproxy ca new`"):
        Authority.load_or_create(directory)


def test_a_place_that_is_no_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(AuthorityError, match=r"data.*--data-dir"):
        Authority.load_or_create(tmp_path / "data" / "ca")


def test_the_bundle_is_what_the_system_trusts_and_the_ca(directory: Path) -> None:
    authority = Authority.load_or_create(directory)
    bundle = trusted(authority.bundle_file)
    assert authority.certificate.public_bytes(serialization.Encoding.DER) in bundle
    assert len(bundle) > 100
    assert set(roots.public_roots()) < bundle


def test_a_stale_bundle_is_written_anew(directory: Path) -> None:
    authority = Authority.load_or_create(directory)
    whole = authority.bundle_file.read_bytes()
    authority.bundle_file.write_bytes(b"")
    Authority.load_or_create(directory)
    assert authority.bundle_file.read_bytes() == whole


def test_the_bundle_does_not_follow_the_environment(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corporate = certificate_of(new_key())
    (tmp_path / "corp.pem").write_bytes(corporate)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "corp.pem"))
    authority = Authority.load_or_create(directory)
    assert der(corporate) not in trusted(authority.bundle_file)


def test_roots_of_the_user_get_a_bundle_beside_the_common_one(directory: Path, tmp_path: Path) -> None:
    corporate = certificate_of(new_key())
    file = tmp_path / "corp.pem"
    file.write_bytes(b"# Our proxy\n" + corporate + b"# and what was there before\n" + corporate)
    authority = Authority.load_or_create(directory)
    common = authority.bundle_file.read_bytes()
    bundle = authority.bundle_with(file)
    assert trusted(bundle) == trusted(authority.bundle_file) | {der(corporate)}
    assert authority.bundle_file.read_bytes() == common
    assert bundle == authority.bundle_with(file)
    # `eval "$(onceproxy env)"` a second time: the bundle is now itself what the variables name.
    assert bundle == authority.bundle_with(bundle)


def test_directories_of_roots_are_read(directory: Path, tmp_path: Path) -> None:
    corporate = certificate_of(new_key())
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "1a2b3c4d.0").write_bytes(corporate)
    authority = Authority.load_or_create(directory)
    assert der(corporate) in trusted(authority.bundle_with(tmp_path / "certs"))


def test_roots_that_add_nothing_need_no_bundle(directory: Path, tmp_path: Path) -> None:
    authority = Authority.load_or_create(directory)
    absent = tmp_path / "absent.pem"
    assert authority.bundle_with(authority.bundle_file, absent, directory) == authority.bundle_file


def test_a_former_ca_of_ours_is_not_trusted_again(directory: Path, tmp_path: Path) -> None:
    former = Authority.load_or_create(directory)
    corporate = tmp_path / "corp.pem"
    corporate.write_bytes(certificate_of(new_key()))
    exported = former.bundle_with(corporate)
    new = Authority.create_new(directory)
    bundle = trusted(new.bundle_with(exported))
    assert former.certificate.public_bytes(serialization.Encoding.DER) not in bundle
    assert der(corporate.read_bytes()) in bundle
