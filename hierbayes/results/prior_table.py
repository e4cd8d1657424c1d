"""The priors of a model as a table: every column, no row numbers, four digits."""

from hierbayes.results.result_table import ResultTable


class PriorTable(ResultTable):
    """A table ``parameter prior q05 q50 q95 source``; a DataFrame in all but how it prints.

    Examples
    --------
    >>> import hierbayes as hb
    >>> model = hb.Model("Yield ~ 1 + (1 | Batch)", hb.load_dataset("Dyestuff"))
    >>> model.priors.to_markdown().splitlines()[2].split(" | ")[1]
    'Normal(1528, 157.6)'
    """

    origin = "priors"
