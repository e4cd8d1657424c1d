"""Names and values of the parameters that intervals are given for."""

import numpy as np
import pytest

import hierbayes as hb
from hierbayes.results.interval_parameters import parameter_names, parameter_values
from tests.reference_fits import load_fit, load_reference

CASES = ("ss_max_reml", "ss_sep_ml", "pen_reml", "mac_nest_reml", "dye2_ml")


@pytest.mark.filterwarnings("ignore::hierbayes.BoundaryWarning", "ignore::hierbayes.DesignWarning")
@pytest.mark.parametrize("case", CASES)
def test_names_are_those_of_lme4(case):
    reference = load_fit(case)
    fit = hb.lmer(reference.formula, reference.data, reml=reference.reml)
    assert list(parameter_names(fit)) == load_reference(f"ci/ci_{case}")["profile"]["names"]


@pytest.fixture(scope="module")
def machines():
    data = hb.load_dataset("Machines")
    return hb.lmer("score ~ Machine + (Machine | Worker)", data)


def test_three_columns_column_by_column(machines):
    values = parameter_values(
        machines, machines.theta[None], np.array([machines.sigma]), beta=machines.beta[None]
    )[0]
    corr = machines.varcorr().terms[0].corr
    sd = machines.varcorr().terms[0].sd
    expected = [sd[0], corr[1, 0], corr[2, 0], sd[1], corr[2, 1], sd[2], machines.sigma]
    np.testing.assert_allclose(values, [*expected, *machines.beta], rtol=1e-12)
    assert parameter_names(machines)[:6] == (
        "sd_(Intercept)|Worker",
        "cor_MachineB.(Intercept)|Worker",
        "cor_MachineC.(Intercept)|Worker",
        "sd_MachineB|Worker",
        "cor_MachineC.MachineB|Worker",
        "sd_MachineC|Worker",
    )


def test_thetas_of_the_kernel_give_the_same_values_in_a_batch(machines):
    kernel_theta = np.repeat(machines.at.theta, 3, axis=0)
    sigma, beta = np.full(3, machines.sigma), np.repeat(machines.beta[None], 3, axis=0)
    bases = machines.kernel.products.anchor.z_bases
    batch = parameter_values(machines, kernel_theta, sigma, beta=beta, bases=bases)
    one = parameter_values(machines, machines.theta[None], sigma[:1], beta=beta[:1])
    np.testing.assert_allclose(batch, np.repeat(one, 3, axis=0), rtol=1e-9)


def test_a_correlation_beside_a_zero_sd_is_not_a_number(machines):
    theta = machines.theta.copy()[None]
    theta[0, 0] = theta[0, 1] = theta[0, 2] = 0.0
    values = parameter_values(
        machines, theta, np.array([machines.sigma]), beta=machines.beta[None]
    )[0]
    assert np.isnan(values[[1, 2]]).tolist() == [True, True]
    assert values[0] == 0.0
    assert np.isfinite(values[3:]).all()


def test_known_sds_leave_sigma_out():
    data = hb.load_dataset("eight_schools")
    with pytest.warns(hb.BoundaryWarning):
        fit = hb.lmer("effect ~ 1 + (1 | school)", data, known_sd="se")
    assert parameter_names(fit) == ("sd_(Intercept)|school", "(Intercept)")
