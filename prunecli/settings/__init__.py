"""What a user can set: the fields, their parsers, files of settings and recipes."""
