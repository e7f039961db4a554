"""Signatures on finished folders, in the format of OpenSSF model signing (v1.0).

``model.sig`` beside ``manifest.json`` is a Sigstore bundle over the SHA-256 of every file of the folder, made
with a local elliptic-curve key; nothing is sent anywhere. Whoever has the public key can check it without
us: ``model_signing verify key FOLDER --signature FOLDER/model.sig --public_key KEY.pub``.

Source: OpenSSF Model Signing Specification 1.0, https://github.com/ossf/model-signing-spec
"""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

from tongues.core.digests import digest_files
from tongues.core.errors import SignatureError
from tongues.core.manifest import SIGNATURE_NAME, read_manifest, verify_files, write_atomically


def new_key(path: Path) -> Path:
    """Make a key pair (NIST P-256): the private key at a path, readable by its owner alone.

    Args:
        path: of the private key, PEM; the public one comes to stand beside it, with ``.pub`` behind its name.

    Returns:
        The path of the public key.

    Raises:
        SignatureError: one of the files is there already, or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ec

    public = path.with_name(f"{path.name}.pub")
    if there := [each for each in (path, public) if each.exists()]:
        raise SignatureError("a key is here already, and is not overwritten", where=str(there[0]))
    key = ec.generate_private_key(ec.SECP256R1())
    shown = key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    hidden = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(hidden)
        public.write_bytes(shown)
    except OSError as error:
        raise SignatureError(f"cannot be written ({error.strerror})", where=str(path)) from error
    return public


def sign(folder: Path, key: Path) -> Path:
    """Sign all files of a finished folder; an earlier signature is replaced.

    Args:
        folder: with ``manifest.json``, and nothing in it that the manifest does not name.
        key: private key, PEM, on curve P-256, P-384 or P-521.

    Returns:
        The path of the signature, in the folder.

    Raises:
        SignatureError: the folder is not what its manifest says, or the key cannot be used.
    """
    from model_signing.signing import Config

    manifest = read_manifest(folder)
    faults = ["no manifest here"] if manifest is None else verify_files(folder, manifest)
    if faults:
        fix = "run its stage again; what is not whole is not signed"
        raise SignatureError("; ".join(faults[:3]), where=str(folder), fix=fix)
    with tempfile.TemporaryDirectory() as scratch:
        written = Path(scratch) / SIGNATURE_NAME
        try:
            signer = Config().set_hashing_config(_hashing()).use_elliptic_key_signer(private_key=key)
            signer.sign(folder, written)
        except (OSError, ValueError, TypeError) as error:
            fix = "name a PEM file as `tongues sign new-key` makes it"
            raise SignatureError(
                f"cannot sign with this key ({_first(error)})", where=str(key), fix=fix
            ) from error
        write_atomically(folder / SIGNATURE_NAME, written.read_bytes())
    return folder / SIGNATURE_NAME


def verify(folder: Path, key: Path) -> None:
    """Check a folder against its signature: every file hashed again, none missing, none added.

    Args:
        folder: with ``model.sig``.
        key: public key, PEM.

    Raises:
        SignatureError: it is not signed, not by this key, or a file differs, which is named; whatever else
            goes wrong counts as not verified.
    """
    from model_signing.verifying import Config

    signature = folder / SIGNATURE_NAME
    if not key.is_file():
        raise SignatureError("no public key here", where=str(key), fix="correct TONGUES_VERIFICATION_KEY")
    if not signature.is_file():
        raise SignatureError("not signed", where=str(signature), fix="sign it: `tongues sign model MODEL`")
    try:
        Config().use_elliptic_key_verifier(public_key=key).set_hashing_config(_hashing()).verify(
            folder, signature
        )
    except Exception as error:  # a parser of hostile input throws anything, and each means "not verified"
        raise _explained(folder, key, error) from error


def _hashing() -> Any:
    """Every file counts but the signature itself; a link out of the folder is an error."""
    from model_signing.hashing import Config

    return Config().use_file_serialization().set_ignored_paths(paths=[SIGNATURE_NAME], ignore_git_paths=False)


def _explained(folder: Path, key: Path, error: Exception) -> SignatureError:
    if str(error).startswith("Signature mismatch"):
        name, what = _difference(folder)
        return SignatureError(
            what, where=str(folder / name), fix="fetch or make the folder again; do not load it"
        )
    return SignatureError(
        f"the signature does not hold for {key} ({_first(error) or type(error).__name__})",
        where=str(folder / SIGNATURE_NAME),
        fix="check that the key belongs to whoever signs here; do not load the folder",
    )


def _difference(folder: Path) -> tuple[str, str]:
    """The first file that differs from a signature which holds, and how."""
    envelope = json.loads((folder / SIGNATURE_NAME).read_bytes())["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    signed = {item["name"]: item["digest"] for item in statement["predicate"]["resources"]}
    actual = digest_files(folder, leave_out=frozenset({SIGNATURE_NAME}))
    for name in sorted(signed.keys() | actual.keys()):
        if name not in actual:
            return name, "missing, though it was signed"
        if name not in signed:
            return name, "added after the signature"
        if actual[name] != signed[name]:
            return name, "changed since it was signed"
    return SIGNATURE_NAME, "made in another way than tongues signs"


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else ""
