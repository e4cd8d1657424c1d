"""The log density of a model in PyMC at values of its own parameters, interpreted."""

import warnings
from collections.abc import Callable, Mapping

import hierbayes as hb
from hierbayes.arrays import FloatArray


def pymc_density(model: hb.Model) -> Callable[[Mapping[str, FloatArray]], float]:
    """Return the log density of a model in PyMC, of the user's values by name."""
    from pymc.model.transform.conditioning import remove_value_transforms
    from pytensor.compile.mode import Mode

    built = remove_value_transforms(model.to_pymc(parameterization="centered"))
    mode = Mode(linker="py", optimizer="fast_compile")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logp = built.compile_fn(built.logp(), inputs=built.value_vars, mode=mode, point_fn=False)
    return lambda values: float(logp(*(values[var.name] for var in built.value_vars)))
