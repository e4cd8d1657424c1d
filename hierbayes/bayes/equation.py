"""The model with its priors as an equation in LaTeX."""

import re

from hierbayes.arrays import IntArray
from hierbayes.bayes.residual_equation import (
    correlation_line,
    correlation_symbol,
    prior_symbol,
    visits_part,
)
from hierbayes.design.design import Design
from hierbayes.families.family import Family
from hierbayes.families.parameter_formulas import ParameterLink, links_of
from hierbayes.formula.functions import PATTERNS
from hierbayes.gaussian.patterned import Patterned, check_patterned
from hierbayes.gaussian.structures import structure
from hierbayes.priors.model_priors import ModelPriors
from hierbayes.priors.residual_priors import residual_parameters
from hierbayes.specification.specification import Specification

CUT = "\\alpha_k"
SPECIAL = str.maketrans({c: f"\\{c}" for c in "_%&#${}"} | {"^": r"\^{}", "~": r"\~{}"})


def equation(spec: Specification) -> str:
    """Return an ``aligned`` environment: response, linear predictor, effects, priors."""
    design, kept, priors, family = spec.design, spec.kept_columns, spec.priors, spec.family
    check_patterned(design, "latex")
    label = _text(design.formula.response_label)
    term = design.residual
    visit = visits_part(term, _text) if term is not None and term.word == "us" else ""
    lines = [f"{label}_i &\\sim {_response(design, family)}"]
    if family.is_ordinal:
        lines += _categories(label, family)
    left = "\\eta_i" if family.is_ordinal else family.link.equation
    lines += _predictor_lines(design, kept, priors, left)
    for name, link in links_of(design, family).items():
        symbol = "\\sigma" if name == "sigma" else _text(name)
        left = f"\\operatorname{{{link.scale}}}({symbol}_i)"
        own = _predictor_lines(design.of(name), spec.kept_of[name], priors.formulas[name], left)
        lines += [_in_formula(line, symbol) for line in own]
        if name == "sigma" and visit:
            lines[len(lines) - len(own)] += f" + {visit}"
    if visit and "sigma" not in design.formulas:
        lines.append(f"\\operatorname{{log}}(\\sigma_i) &= \\log \\sigma + {visit}")
    if priors.sigma is not None:
        lines.append(f"\\sigma &\\sim {_law(priors.sigma)}")
    if term is not None:
        lines.insert(1, correlation_line(term, label, _text))
    if term is not None and priors.visits is not None:
        matrix = correlation_symbol("us", term.group, _text)
        lines.append(f"{matrix} &\\sim \\operatorname{{LKJ}}({priors.visits:.4g})")
    own_names = {p.name for p in residual_parameters(design)}
    for name, prior in priors.family.items():
        symbol = CUT if family.is_ordinal else _text(name)
        symbol = prior_symbol(name, _text) if name in own_names else symbol
        lines.append(f"{symbol}{_centre(kept) if family.is_ordinal else ''} &\\sim {_law(prior)}")
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def _in_formula(line: str, parameter: str) -> str:
    """Write a parameter's name above the symbols of its predictor."""
    symbols = r"(?:\\beta|\\tau|\\rho|\bb|\bR|\bp)(?=_| )"
    return re.sub(symbols, lambda found: f"{found[0]}^{{{parameter}}}", line)


def _predictor_lines(design: Design, kept: IntArray, priors: ModelPriors, left: str) -> list[str]:
    """Lines of a linear predictor, its effects, and the priors of its parameters."""
    lines = [_predictor(design, kept, left)]
    for t, term in enumerate(design.terms):
        lines.append(_term(design, t, multivariate=len(term.columns) > 1))
    for k, column in enumerate(kept):
        lines.append(f"{_coefficient(design, column)} &\\sim {_law(priors.beta[k])}")
    for f, factor in enumerate(design.factors):
        for c, name in enumerate(factor.columns):
            if (f, c) in priors.tied:
                continue
            sd = f"\\tau_{{{_text(name)} \\mid {_text(factor.name)}}}"
            lines.append(f"{sd} &\\sim {_law(priors.sd[f][c])}")
    for t, (eta, term) in enumerate(zip(priors.lkj, design.terms, strict=True)):
        for k, law in enumerate(priors.patterns[t]):
            name = "\\rho" if len(priors.patterns[t]) == 1 else f"p_{{{k + 1}}}"
            lines.append(f"{_of_term(name, term.name)} &\\sim {_law(law)}")
        if eta is not None:
            lines.append(f"R_{{{_text(term.name)}}} &\\sim \\operatorname{{LKJ}}({eta:.4g})")
    if priors.intercept is not None and len(kept) > 1:
        k = priors.intercept
        centred = f"{_coefficient(design, kept[k])} + \\bar{{x}}'\\beta"
        lines = [
            line.replace(f"{_coefficient(design, kept[k])} &\\sim", f"{centred} &\\sim")
            for line in lines
        ]
    return lines


def _response(design: Design, family: Family) -> str:
    links = links_of(design, family).values()
    by_row = {link.parameter: link for link in links}
    if family.is_ordinal:
        return "\\operatorname{Categorical}(p_{i1}, p_{i2}, \\dots)"
    further = [
        _of_row(by_row[p.name]) if p.name in by_row else _text(p.name)
        for p in family.further_parameters
    ]
    if family.counts_trials:
        further.insert(0, _text("trials") + "_i")
    if not family.weighs_sigma:
        given = ",\\ ".join(["\\mu_i", *further])
        return f"\\operatorname{{{family.heading}}}({given})"
    has_visits = design.residual is not None and design.residual.word == "us"
    variance = "\\sigma_i^2" if "sigma" in by_row or has_visits else "\\sigma^2"
    if design.known_sd is not None:
        variance = "s_i^2"
    elif design.weights is not None:
        variance = f"{variance} / w_i"
    given = ",\\ ".join(["\\mu_i", variance, *further])
    return f"\\operatorname{{{family.heading}}}({given})"


def _of_row(link: ParameterLink) -> str:
    name = f"{_text(link.name)}_i"
    return f"1 - {name}" if link.is_complement else name


def _categories(label: str, family: Family) -> list[str]:
    """Probabilities of the categories, or of stopping at one, by their thresholds."""
    (cuts,) = family.parameters
    inverse = {"logit": "\\operatorname{logit}^{-1}", "probit": "\\Phi"}.get(
        family.link.name, f"\\operatorname{{{family.link.name}}}^{{-1}}"
    )
    at = f"{inverse}({CUT} - \\eta_i)"
    if cuts.increasing:
        return [f"P({label}_i \\le k) &= {at},\\quad {CUT} < \\alpha_{{k+1}}"]
    return [f"P({label}_i = k \\mid {label}_i \\ge k) &= {at}"]


def _centre(kept: IntArray) -> str:
    return " - \\bar{x}'\\beta" if len(kept) else ""


def _predictor(design: Design, kept: IntArray, left: str) -> str:
    parts = []
    for column in kept:
        name = design.coef_names[column]
        times = "" if name == "(Intercept)" else f"\\,{_text(name)}_i"
        parts.append(_coefficient(design, column) + times)
    for factor in design.factors:
        for name in factor.columns:
            times = "" if name == "(Intercept)" else f"\\,{_text(name)}_i"
            parts.append(f"b_{{{_text(name)} \\mid {_text(factor.name)}[i]}}{times}")
    if design.offset is not None:
        parts.append("\\text{offset}_i")
    return f"{left} &= {' + '.join(parts) or '0'}"


def _term(design: Design, t: int, *, multivariate: bool) -> str:
    term = design.terms[t]
    factor = design.factors[term.factor]
    names = [_text(factor.columns[c]) for c in term.columns]
    group = _text(factor.name)
    effects = ",\\ ".join(f"b_{{{name} \\mid {group}}}" for name in names)
    sds = ",\\ ".join(f"\\tau_{{{name} \\mid {group}}}" for name in names)
    known = "" if factor.relation is None else f"A_{{{group}}} \\otimes "
    if not multivariate:
        return f"{effects} &\\sim \\operatorname{{Normal}}(0,\\ {known}{sds}^2)"
    D, R = f"\\operatorname{{diag}}({sds})", f"R_{{{_text(term.name)}}}"
    return (
        f"({effects}) &\\sim \\operatorname{{Normal}}(0,\\ {known}D {R} D),\\quad D = {D}"
        f"{_pattern(design, t)}"
    )


def _pattern(design: Design, t: int) -> str:
    """Say what the sds and correlations of a pattern are."""
    term = design.terms[t]
    own = structure(term.covariance, len(term.columns))
    if not isinstance(own, Patterned):
        return ""
    factor, parts = design.factors[term.factor], []
    if own.hom:
        names = [_text(factor.columns[c]) for c in term.columns]
        sds = [f"\\tau_{{{name} \\mid {_text(factor.name)}}}" for name in names]
        parts.append(" = ".join([sds[0], "\\dots", sds[-1]] if len(sds) > 2 else sds))
    rho, R = _of_term("\\rho", term.name), f"R_{{{_text(term.name)},ij}}"
    word, _ = PATTERNS[term.covariance]
    right = {
        "cs": f"{R} = {rho}\\ (i \\ne j)",
        "ar1": f"{R} = {rho}^{{|i - j|}}",
        "toep": f"{R} = \\rho_{{|i - j|}}(p_1, p_2, \\dots)",
        "diag": f"R_{{{_text(term.name)}}} = I",
    }
    return "".join(f",\\quad {part}" for part in (*parts, right[word]))


def _of_term(symbol: str, name: str) -> str:
    base, _, index = symbol.partition("_")
    return f"{base}_{{{f'{index.strip("{}")},' if index else ''}{_text(name)}}}"


def _coefficient(design: Design, column: int) -> str:
    return f"\\beta_{{{_text(design.coef_names[column])}}}"


def _text(name: str) -> str:
    return f"\\text{{{name.translate(SPECIAL)}}}"


def _law(prior: object) -> str:
    name, _, rest = str(prior).partition("(")
    return f"\\operatorname{{{name}}}({rest}"
