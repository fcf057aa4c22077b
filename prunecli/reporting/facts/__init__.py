"""What finished runs say, read and put together; no verdict is made here."""
