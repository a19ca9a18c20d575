"""Who comes to the server, and how it knows: tokens, sessions, one-time links, an identity provider."""
