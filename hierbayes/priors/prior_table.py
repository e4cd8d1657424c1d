"""A DataFrame of priors that prints whole: every column, no row numbers, four digits."""

import pandas as pd

DIGITS = 4


class PriorTable(pd.DataFrame):
    """A table of priors; a DataFrame in all but how it prints."""

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def __repr__(self) -> str:
        columns = []
        for name, values in self.items():
            if values.dtype.kind == "f":
                cells = [str(name), *(f"{value:.{DIGITS}g}" for value in values)]
                columns.append([cell.rjust(max(map(len, cells))) for cell in cells])
            else:
                cells = [str(name), *map(str, values)]
                columns.append([cell.ljust(max(map(len, cells))) for cell in cells])
        return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        return self.to_html(index=False, float_format=lambda value: f"{value:.{DIGITS}g}")
