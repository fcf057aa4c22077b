"""Numbers and names as sentences have them, and text from outside made fit for a line."""
