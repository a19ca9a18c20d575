"""Pages for people who would rather look than read: plain HTML, made on the server."""
