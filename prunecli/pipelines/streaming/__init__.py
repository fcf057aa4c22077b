"""Pruning a model folder of any size: one tensor in memory, or one block to reconstruct it."""

from __future__ import annotations

from prunecli.pipelines.streaming.plan import Asked, Streamed, learns, streamed
from prunecli.pipelines.streaming.write import SUMMARY, check_output, stream

__all__ = ["SUMMARY", "Asked", "Streamed", "check_output", "learns", "stream", "streamed"]
