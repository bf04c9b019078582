"""The resources beside sending and reading one message: a file for each."""
