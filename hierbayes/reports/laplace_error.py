"""The error of the Laplace approximation in blocks."""

from hierbayes.render.blocks import Blocks, Heading, Table, facts, paragraphs
from hierbayes.results.laplace_error import LaplaceError


def laplace_error_blocks(found: LaplaceError) -> Blocks:
    """Show the error of a fit's likelihood."""
    cells = ["NA" if value != value else f"{value:+.3f}" for value in found.shifts]
    return (
        Heading(f"Error of {_approximation(found.own_nodes)}"),
        *facts(("Formula:", found.formula_text), ("Data:", found.data_name)),
        Table([("shift (SE)", cells)], [str(name) for name in found.shifts.index]),
        *paragraphs(_sentences(found)),
    )


def _approximation(nodes: int) -> str:
    if nodes <= 1:
        return "the Laplace approximation"
    return f"adaptive quadrature with {nodes} nodes"


def _sentences(found: LaplaceError) -> list[str]:
    exact = f"that of {found.nodes} nodes a column, which more would not change"
    first = (
        f"Log-likelihood at the estimates: {found.loglik:+.4f} beside the exact one ({exact}). "
        "shift: the exact likelihood's estimate minus the fit's, in standard errors."
    )
    if not found.matters:
        return [first, "The approximation is good enough for these data."]
    return [first, f"Fit again with n_quadrature={found.n_quadrature}."]
