"""What ``tests/mutate.py`` is made of: changes, the tests that reach them, trials."""
