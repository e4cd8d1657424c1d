"""How grouping factors and the response are called in posterior draws and PyMC models.

ArviZ and netCDF take no ``|``, ``/`` or ``:`` in the name of a variable or dimension, and a
dimension ``chain`` or ``obs`` is theirs. The names people know stay in the coordinates.
"""

import re
from collections.abc import Mapping, Sequence

# Names of our variables, data and dimensions, those of a family's parameters included.
RESERVED = frozenset({
    "chain", "draw", "sample", "coef", "obs", "beta", "sigma", "X", "weights", "offset",
    "known_sd", "eta", "predictor_means",
    "alpha", "kappa", "lam", "nu", "psi", "threshold",
})  # fmt: skip
# What begins the names of a factor's variables and data, here and in PyMC models.
PREFIXES = ("b_", "sd_", "corr_", "code_", "z_", "level_")
OBS = "obs"  # the dimension of the rows
ETA = "eta"  # the linear predictor
COEF = "coef"  # the dimension of the fixed effects
_STRANGE = re.compile(r"\W+")


def variable_name(name: str) -> str:
    """Return a name without characters that ArviZ or netCDF refuse: ``cask:batch`` is cask_batch.

    Examples
    --------
    >>> variable_name("cask:batch"), variable_name("log(y)"), variable_name("obs")
    ('cask_batch', 'log_y', 'obs_')
    """
    plain = _STRANGE.sub("_", name).strip("_") or "unnamed"
    return f"{plain}_" if plain in RESERVED or plain[0].isdigit() else plain


def visit_correlations_variable(group: str) -> str:
    """Return the name of the correlation matrix of the residuals of visits of a group."""
    return f"cor_us|{group}"


def visit_dims(variable: str) -> tuple[str, str]:
    """Return the dimensions of such a matrix."""
    return f"{variable}__visit", f"{variable}__visit_bis"


def factor_variables(names: Sequence[str]) -> dict[str, str]:
    """Return for each grouping factor what follows ``sd_``, ``b_`` and ``corr_``, each once.

    Examples
    --------
    >>> factor_variables(["cask:batch", "cask_batch", "batch"])
    {'cask:batch': 'cask_batch', 'cask_batch': 'cask_batch_2', 'batch': 'batch'}

    The dimension of ``b:a`` can't be called like the effects of ``a``:

    >>> factor_variables(["b:a", "a"])
    {'b:a': 'b_a_2', 'a': 'a'}
    """
    found: dict[str, str] = {}
    variables = {prefix + variable_name(name) for name in names for prefix in PREFIXES}
    for name in names:
        plain, count = variable_name(name), 1
        chosen = plain
        while chosen in found.values() or chosen in variables:
            count += 1
            chosen = f"{plain}_{count}"
        found[name] = chosen
    return found


def behind(parameter: str) -> str:
    """Return what the names of variables and dimensions of a formula begin with: ``sigma_``.

    Those of the mean's, for which the parameter is empty, begin with nothing.

    Examples
    --------
    >>> behind("sigma") + "beta", behind("") + "beta"
    ('sigma_beta', 'beta')
    """
    return f"{parameter}_" if parameter else ""


def term_dims(name: str) -> tuple[str, str]:
    """Return the dimension of a factor's columns, and its second name in matrices."""
    return f"{name}__term", f"{name}__term_bis"


def response_variable(label: str, factors: Mapping[str, str]) -> str:
    """Return the name of the response among the variables of ``factor_variables``.

    Examples
    --------
    >>> response_variable("log(y)", {"g": "g"}), response_variable("z_g", {"g": "g"})
    ('log_y', 'z_g_')
    """
    taken = {
        name
        for factor in factors.values()
        for name in (factor, *term_dims(factor), *(p + factor for p in PREFIXES))
    }
    plain = variable_name(label)
    return f"{plain}_" if plain in taken else plain
