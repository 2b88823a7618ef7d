"""Rectangles of a slide, and how they are divided."""

from __future__ import annotations

from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle, inches from the slide's left upper corner."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.top + self.height

    def columns(self, *parts: float, gap: float) -> tuple[Box, ...]:
        """Divide it from left to right, in proportion to `parts`."""
        free = self.width - gap * (len(parts) - 1)
        boxes, left = [], self.left
        for part in parts:
            width = free * part / sum(parts)
            boxes.append(Box(left, self.top, width, self.height))
            left += width + gap
        return tuple(boxes)

    def rows(self, *parts: float, gap: float) -> tuple[Box, ...]:
        """Divide it from top to bottom, in proportion to `parts`."""
        turned = Box(self.top, self.left, self.height, self.width).columns(*parts, gap=gap)
        return tuple(Box(box.top, box.left, box.height, box.width) for box in turned)

    def off_top(self, height: float, gap: float = 0.0) -> tuple[Box, Box]:
        """Cut a strip off its top: the strip, and what remains below a gap."""
        rest = self.height - height - gap
        return (
            self._replace(height=height),
            self._replace(top=self.top + height + gap, height=rest),
        )

    def off_bottom(self, height: float, gap: float = 0.0) -> tuple[Box, Box]:
        """Cut a strip off its bottom: what remains above a gap, and the strip."""
        rest = self.height - height - gap
        return self._replace(height=rest), self._replace(top=self.bottom - height, height=height)

    def off_left(self, width: float, gap: float = 0.0) -> tuple[Box, Box]:
        """Cut a strip off its left: the strip, and what remains beyond a gap."""
        rest = self.width - width - gap
        return self._replace(width=width), self._replace(left=self.left + width + gap, width=rest)

    def inset(self, x: float, y: float) -> Box:
        """Return it smaller by `x` on the left and right, `y` above and below."""
        return Box(self.left + x, self.top + y, self.width - 2 * x, self.height - 2 * y)
