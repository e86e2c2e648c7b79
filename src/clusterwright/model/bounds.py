"""Bounds that several nouns check in the same words."""


def above_zero(**values: float | None) -> None:
    """Refuse values that are zero or less; an absent one is fine.

    Raises
    ------
    ValueError
        Naming the first value that is not above zero.
    """
    for name, value in values.items():
        if value is not None and value <= 0:
            msg = f"{name} is {value:g}; it must be above zero"
            raise ValueError(msg)
