"""The error of the Laplace approximation in blocks."""

from hierbayes.render.blocks import Blocks, Heading, Table, facts, paragraphs
from hierbayes.results.laplace_error import LaplaceError
from hierbayes.wording import listed


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
    return [_about_loglik(found), _advice(found)]


def _about_loglik(found: LaplaceError) -> str:
    exact, known = f"that of {found.nodes} nodes a column, which more would not change", ""
    if found.coarser:
        exact = f"{found.nodes} nodes a column, and draws of the effects of {listed(found.coarser)}"
        known = (
            f" The draws leave a standard error of {found.loglik_error:.2g} in the log-likelihood "
            f"and of up to {found.shift_error:.2g} in a shift."
        )
    return (
        f"Log-likelihood at the estimates: {found.loglik:+.4f} beside the exact one ({exact}). "
        "shift: the exact likelihood's estimate minus the fit's, in standard errors." + known
    )


def _advice(found: LaplaceError) -> str:
    if not found.matters:
        return "The approximation is good enough for these data."
    again = found.n_quadrature != found.own_nodes
    first = f"Fit again with n_quadrature={found.n_quadrature}. " if again else ""
    if not found.coarser:
        return first.rstrip()
    return (
        f"{first}Nodes leave {found.left:+.2g} in the log-likelihood and a shift of up to "
        f"{found.left_shift:.2g} standard errors, from {listed(found.coarser)}; model.sample() "
        "does not rest on the approximation."
    )
