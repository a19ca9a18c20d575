"""What a server does by itself while it lives: hold the data folder, look round, tell its supervisor, write its log, stop in order."""
