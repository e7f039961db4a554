"""Signatures of artefacts: made when they are registered, checked before they are loaded.

The signature of a tuned model covers its manifest, which names the base model, the data and all before them
by digest; so one signature vouches for the whole chain.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tongues.core.cluster_names import SIGNING_KEY_FILE, VERIFICATION_KEY_FILE
from tongues.core.errors import ServingError, SignatureError
from tongues.core.manifest import MANIFEST_NAME, SIGNATURE_NAME, verify_files
from tongues.core.recipe import RegistrySection
from tongues.platform import storage
from tongues.platform.model_versions import ModelVersion
from tongues.promotion import signing
from tongues.stages.workspace import Output

SIGNING_KEY, VERIFICATION_KEY = "TONGUES_SIGNING_KEY", "TONGUES_VERIFICATION_KEY"
MOUNTED_SIGNING_KEY, MOUNTED_VERIFICATION_KEY = Path(SIGNING_KEY_FILE), Path(VERIFICATION_KEY_FILE)
_RESTORE = "run the recipe again to restore it, or serve another version"


def signing_key(section: RegistrySection) -> Path | None:
    """The private key's file: the recipe's, that of TONGUES_SIGNING_KEY, or the one mounted into the pod.

    None where nothing is to be signed.
    """
    return _key(section.signing_key or os.environ.get(SIGNING_KEY), MOUNTED_SIGNING_KEY)


def verification_key() -> Path | None:
    """The public key's file: that of TONGUES_VERIFICATION_KEY, or the one mounted into the pod.

    None where no signature is asked for.

    Never from a recipe: that of an artefact is a file of the artefact, and would vouch for itself.
    """
    return _key(os.environ.get(VERIFICATION_KEY), MOUNTED_VERIFICATION_KEY)


def _key(named: str | None, mounted: Path) -> Path | None:
    """A file that is named has to be there; a Secret that a cluster does not have leaves no file."""
    if named:
        return Path(named).expanduser()
    return mounted if mounted.is_file() else None


def voucher() -> Callable[[Path], None] | None:
    """What verifies a folder's signature; None where no public key is set, so that none is asked for."""
    key = verification_key()
    return None if key is None else partial(signing.verify, key=key)


def sign_registered(section: RegistrySection, output: Output) -> Path | None:
    """Sign a finished folder where there is a key, and publish the signature beside it.

    Raises:
        SignatureError: the recipe requires a signature and there is no key, or the folder is not whole.
    """
    key = signing_key(section)
    if key is not None:
        return sign(output, key)
    if section.require_signature:
        fix = f"set registry.signing_key or {SIGNING_KEY} to the file that `tongues sign new-key` makes"
        raise SignatureError(
            "registry.require_signature is set, and there is no key", where=output.uri, fix=fix
        )
    return None


def sign(output: Output, key: Path) -> Path:
    """Sign a finished folder and publish the signature beside it; see `signing.sign`."""
    signature = signing.sign(output.folder, key)
    if storage.local_path(output.uri) is None:
        storage.publish_file(signature, storage.join(output.uri, SIGNATURE_NAME))
    return signature


def require_whole(output: Output, *, signed: bool) -> None:
    """Refuse a folder that is not as it was finished, or not signed where it must be.

    Args:
        output: the folder.
        signed: whether a signature is required even where no public key is set.

    Raises:
        SignatureError: not signed, or not what was signed; or a signature is required and no key is set.
        ServingError: no signature is asked for, and a file differs from the manifest.
    """
    key = verification_key()
    if key is not None:
        signing.verify(output.folder, key)
    elif signed:
        fix = f"set {VERIFICATION_KEY} to the public key's file"
        raise SignatureError(
            "must be signed, and there is no key to verify it with", where=output.uri, fix=fix
        )
    else:
        require_files(output)


def require_registered(version: ModelVersion, tuned: Output, base: Output, *, signed: bool) -> None:
    """Refuse what is not the registered model on the base that it was tuned on.

    Args:
        version: as the registry has it.
        tuned: the folder its weights lie in.
        base: the base model's folder.
        signed: whether a signature is required even where no public key is set.

    Raises:
        SignatureError: see `require_whole`.
        ServingError: another manifest than was registered, another base, or a changed file; it is named.
    """
    require_whole(tuned, signed=signed)
    registered = version.tags.get("tongues.manifest_sha256")
    if registered is not None and tuned.manifest.digest() != registered:
        raise _refusal(tuned, f"not the one that was registered as version {version.version}")
    if base.manifest.digest() not in tuned.manifest.inputs.values():
        raise _refusal(base, f"not the base model that {tuned.uri} was tuned on")
    require_files(base)


def require_files(output: Output) -> None:
    """Refuse a folder that differs from its manifest.

    Raises:
        ServingError: a file is missing, changed, or not named.
    """
    if faults := verify_files(output.folder, output.manifest):
        raise ServingError(
            f"not what was registered: {'; '.join(faults[:3])}", where=output.uri, fix=_RESTORE
        )


def _refusal(output: Output, what: str) -> ServingError:
    return ServingError(what, where=str(output.folder / MANIFEST_NAME), fix=_RESTORE)
