"""What a model shows of its Bayesian side: PyMC and bambi models, equation, graph, prior draws."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hierbayes.capabilities import not_supported

if TYPE_CHECKING:
    from hierbayes.model.model import Model
    from hierbayes.options import Parameterization


def to_pymc(
    model: "Model", parameterization: "Parameterization", add: Callable[[Any], Any] | None = None
) -> Any:
    """Build the PyMC model; see ``Model.to_pymc``."""
    from hierbayes.bayes.pymc_model import build_model

    return build_model(
        model.design,
        model.kept_columns,
        model.model_priors,
        family=model.response_family,
        parameterization=parameterization,
        add=add,
    )


def to_bambi(model: "Model") -> Any:
    """Build the bambi model; see ``Model.to_bambi``."""
    from hierbayes.bayes.to_bambi import bambi_model

    return bambi_model(
        model.design, model.kept_columns, model.model_priors, family=model.response_family
    )


def prior_predictive(model: "Model", draws: int, random_seed: Any) -> Any:
    """Draw from the priors; see ``Model.prior_predictive``."""
    from hierbayes.bayes.prior_predictive import prior_predictive as drawn

    return drawn(
        model.design,
        model.kept_columns,
        model.model_priors,
        family=model.response_family,
        draws=draws,
        random_seed=random_seed,
    )


def latex(model: "Model") -> str:
    """Write the model as an equation; see ``Model.latex``."""
    from hierbayes.bayes.equation import equation

    return equation(
        model.design, model.kept_columns, model.model_priors, family=model.response_family
    )


def graph(model: "Model", parameterization: "Parameterization") -> Any:
    """Draw the PyMC model; see ``Model.graph``."""
    import pymc as pm

    try:
        return pm.model_to_graphviz(to_pymc(model, parameterization))
    except ImportError as error:
        raise not_supported("graph-without-graphviz") from error
