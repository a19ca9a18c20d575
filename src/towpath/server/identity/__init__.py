"""Who comes to the server, and how it knows: tokens, sessions, one-time links, an identity provider."""

from towpath.server.identity.links import first_link
from towpath.server.identity.signed_in import SignedIn

__all__ = ["SignedIn", "first_link"]
