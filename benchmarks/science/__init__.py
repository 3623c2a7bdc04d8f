"""The benchmark that decides whether a scheduler wins at equal budget."""
