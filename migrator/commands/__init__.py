"""The commands besides `run`, a module each: a function that makes an outcome, or the texts of a table."""
