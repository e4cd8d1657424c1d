"""Every example in a docstring of the package is right."""

import doctest
import importlib
import pkgutil

import pytest
from matplotlib import pyplot

import hierbayes

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(hierbayes.__path__, prefix="hierbayes.")
)


@pytest.mark.parametrize("name", ["hierbayes", *MODULES])
def test_examples_are_right(name):
    if name.endswith("__main__"):
        pytest.skip("running it is its only content")
    result = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    pyplot.close("all")
    assert result.failed == 0


def test_public_functions_have_an_example():
    public = [getattr(hierbayes, name) for name in hierbayes.__all__]
    functions = [item for item in public if callable(item) and not isinstance(item, type)]
    without = [item.__name__ for item in functions if ">>>" not in (item.__doc__ or "")]
    assert not without
