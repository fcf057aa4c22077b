"""Pruning a model folder of any size, of which no more than one tensor is in memory."""

from __future__ import annotations

from prunecli.pipelines.streaming.plan import Asked, Streamed, streamed
from prunecli.pipelines.streaming.write import SUMMARY, check_output, stream

__all__ = ["SUMMARY", "Asked", "Streamed", "check_output", "stream", "streamed"]
