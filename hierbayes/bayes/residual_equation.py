"""The lines of an equation for residuals that are correlated within series."""

from collections.abc import Callable

from hierbayes.formula.residual_term import ResidualTerm

Text = Callable[[str], str]
SD_OF_VISIT = "\\gamma"


def correlation_line(term: ResidualTerm, response: str, text: Text) -> str:
    """Say what the correlation of two responses is, given the mean.

    Parameters
    ----------
    term : of ``residual=``
    response : in LaTeX
    text : writes a name in LaTeX
    """
    inner, group = text(term.inner_label), text(term.group)
    rho = correlation_symbol(term.word, term.group, text)
    right = {
        "ar1": f"{rho}^{{|{inner}_i - {inner}_j|}}",
        "car1": f"{rho}^{{|{inner}_i - {inner}_j|}}",
        "cs": f"{rho}",
        "us": f"{rho[:-1]},\\,{inner}_i,\\,{inner}_j}}",
    }[term.word]
    return (
        f"\\operatorname{{cor}}({response}_i,\\ {response}_j \\mid \\mu) &= {right},\\quad "
        f"{group}_i = {group}_j,\\ i \\ne j"
    )


def correlation_symbol(word: str, group: str, text: Text) -> str:
    """Return the correlation of a term, or the matrix of the visits'."""
    letter = "R" if word == "us" else "\\rho"
    return f"{letter}_{{{text(word)} \\mid {text(group)}}}"


def visits_part(term: ResidualTerm, text: Text) -> str:
    """Return what a visit adds to the log of sigma, zero of the first."""
    return f"{SD_OF_VISIT}_{{{text(term.inner_label)}_i}}"


def prior_symbol(name: str, text: Text) -> str:
    """Return the symbol of a parameter of residuals, ``cor_ar1|Subject`` or ``sigma_age10``."""
    what, _, group = name.partition("|")
    if group:
        return correlation_symbol(what.removeprefix("cor_"), group, text)
    return f"{SD_OF_VISIT}_{{{text(name.removeprefix('sigma_'))}}}"
