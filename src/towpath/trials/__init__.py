"""WHAT IS TRIED: workflows are tried before they are trusted."""
