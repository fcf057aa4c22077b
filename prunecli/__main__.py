"""``python -m prunecli`` is ``prune``."""

from prunecli.cli import main

raise SystemExit(main())
