"""Facts and verdicts as rows and columns, for every format alike."""
