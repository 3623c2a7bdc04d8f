"""How fast and at what price people see what a run does."""
