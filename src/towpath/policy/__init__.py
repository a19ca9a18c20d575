"""THE RULES: may this happen? Allow, deny or ask people, with the reason."""
