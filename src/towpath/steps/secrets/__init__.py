"""What must not be seen: where secrets come from, and how they are taken out of everything a step says."""

from towpath.steps.secrets.contract import SecretChain, SecretMissing, SecretProvider, SecretUnreadable
from towpath.steps.secrets.environment import EnvironmentSecrets
from towpath.steps.secrets.files import FileSecrets
from towpath.steps.secrets.masking import NOTHING_TO_MASK, Masker, MaskStream, SecretUnmaskable
from towpath.steps.secrets.sealed import SealedEntry, SealedSecrets

__all__ = [
    "NOTHING_TO_MASK",
    "EnvironmentSecrets",
    "FileSecrets",
    "MaskStream",
    "Masker",
    "SealedEntry",
    "SealedSecrets",
    "SecretChain",
    "SecretMissing",
    "SecretProvider",
    "SecretUnmaskable",
    "SecretUnreadable",
]
