"""Find who the people of a wide survey or usage table are: recursive embedding and clustering."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reclust_spark.zoom.array import zoom_array

__all__ = ["zoom_array"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `zoom_array` at first use: the command line must not wait for it."""
    if name == "zoom_array":
        from reclust_spark.zoom.array import zoom_array

        return zoom_array
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
