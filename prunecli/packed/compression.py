"""Bytes made smaller where that is worth it, and back without believing what they claim."""

from __future__ import annotations

import zlib
from typing import Any, Final

from prunecli.machine.extras import needed
from prunecli.packed.container import MalformedError
from prunecli.packed.manifest import Codec

_ZSTD_LEVEL, _ZLIB_LEVEL = 1, 6
"""Weights hold few repetitions to search for: higher levels of zstd take longer for nothing."""
_ZSTD_TEXT: Final = 19
"""Of texts, such as a tokenizer's, it takes a quarter off."""
_WINDOW: Final = 1 << 27
"""The memory in bytes that a frame may ask for; a limit that the command zstd has, too."""


def compress(codec: Codec, data: bytes | memoryview, *, text: bool = False) -> bytes:
    """``data`` by ``codec``, which is not ``none``; raises what `zstd` raises."""
    if codec == "zlib":
        return zlib.compress(data, _ZLIB_LEVEL)
    level = _ZSTD_TEXT if text else _ZSTD_LEVEL
    compressed: bytes = zstd().ZstdCompressor(level=level).compress(data)
    return compressed


def decompress(codec: Codec, data: bytes | memoryview, size: int) -> bytes | memoryview:
    """The ``size`` bytes that were compressed; `MalformedError` if they are not exactly that many.

    No more memory than that is taken, whatever is in ``data``.
    """
    if codec == "none":
        return data
    if codec == "zstd":
        return _zstd(data, size)
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, size)
        # the end mark may stand behind the last byte, so one more may be asked for
        excess = b"" if stream.eof else stream.decompress(stream.unconsumed_tail, 1)
    except zlib.error:
        raise MalformedError("a compressed part cannot be read") from None
    if len(found) != size or excess or not stream.eof or stream.unused_data:
        raise MalformedError("a compressed part has not the size that it should have")
    return found


def zstd() -> Any:
    """The library, which is optional; `InputError` where it is not installed."""
    return needed("zstandard", extra="packed", purpose="a packed file with zstd")


def _zstd(data: bytes | memoryview, size: int) -> bytes:
    library = zstd()
    try:
        claimed = library.get_frame_parameters(data).content_size
        if claimed != size:
            raise MalformedError("a compressed part has not the size that it should have")
        found: bytes = library.ZstdDecompressor(max_window_size=_WINDOW).decompress(
            data, max_output_size=size, allow_extra_data=False
        )
    except library.ZstdError:
        raise MalformedError("a compressed part cannot be read") from None
    if len(found) != size:
        raise MalformedError("a compressed part has not the size that it should have")
    return found
