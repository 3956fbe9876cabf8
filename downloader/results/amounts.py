"""Sizes, durations and counts in the sentences of results and errors."""

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def size_text(size_bytes: float) -> str:
    """A size in units of 1000, three digits: `1.41 GB`."""
    amount = float(size_bytes)
    for unit in _UNITS:
        if abs(amount) < 1000 or unit == _UNITS[-1]:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.3g} {unit}" if amount < 100 else f"{amount:.0f} {unit}"
        amount /= 1000
    raise AssertionError("the last unit always returns")


def duration_text(seconds: float) -> str:
    """A duration in its two largest units: `2 h 5 min`, `3.2 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest_seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest_seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def count_text(count: int, noun: str, plural: str = "") -> str:
    """A number with its noun: `1 image`, `2,685 images`, `3 series`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
