"""Random formulas over the columns of a random frame: the grammar, mixed; a little nonsense."""

RESPONSES = ("{y}",) * 12 + ("log({y})", "I({y}^2)", "scale({y})", "sqrt({y})", "{x}", "{g}", "",
                             "cbind({y}, {x})", "{y} + {x}", "1", "{y}:{x}")  # fmt: skip
TERMS = (
    "{x}", "{x}", "{x}", "{z}", "{f}", "{f}", "{h}", "{x}:{f}", "{x}*{f}", "{f}*{h}", "{f}/{h}",
    "I({x}^2)", "log({z})", "sqrt({z})", "exp({x})", "poly({x}, 2)", "poly({x}, 3, raw = TRUE)",
    "bs({x}, df = 4)", "ns({x}, 3)", "cr({x}, df = 4)", "scale({x})", "center({x})",
    "factor({z} > 1)", "factor({x})", "factor({g})", "offset({z})", "({x} + {z} + {f})^2", "{g}",
    "{w}", "C({f}, sum)",
    "I({x} - mean({x}))", "log({x})", "{x} %in% {f}", "pmax({x}, 0)", "ave({x}, {g})",
    "sin(2*pi*{x})", "cut({x}, 3)", ".", "missing_column", "{x} - {x}", "abs({x})",
    "poly({x}, {z}, degree = 2)",
    "I({x}/{z})", "{x}^0", "offset(log({z}))", "3", "0",
)  # fmt: skip
BARS = (
    "(1 | {g})", "(1 | {g})", "(1 | {g})", "({x} | {g})", "({x} | {g})", "({x} || {g})",
    "(0 + {x} | {g})", "(1 | {g}) + (1 | {h})", "(1 | {g}/{h})", "(1 | {g}:{h})", "({f} | {g})",
    "({f} || {g})", "({x} + {z} | {g})", "({x} + {z} || {g})", "(1 | {f})", "(1 | factor({x}))",
    "({x} * {f} | {g})", "(1 | {x})", "(1 | {g}) + (0 + {x} | {g})", "(1 | {g}) + (1 | {g})",
    "(poly({x}, 2) | {g})", "(1 | {h}) + ({x} | {g})", "({f} | {h})", "(0 | {g})", "({g} | {x})",
    "(1 | {g}/{h}/{f})", "(log({z}) | {g})", "(0 + {f} | {g})", "(1 | interaction({g}, {h}))",
    "(offset({x}) | {g})", "(1 | {g} + {h})", "(. | {g})", "(1 | 1)", "(1 | missing_column)",
    "1 | {g}", "({x} | {g} | {h})", "ar1({x} | {g})", "cs({x} | {g})", "",
)  # fmt: skip


DAMAGE = ("", "(", ")", "|", "~", "`", "\0", "^", " ")
N_USUAL = 12  # of the terms and bars, from the start: what most formulas are made of


def random_formula(rng, names):
    """Give a formula, by the names the frame gave to each role; sometimes with a place damaged."""
    usual = N_USUAL if rng.random() < 0.6 else None
    quoted = {role: name if name.isidentifier() else f"`{name}`" for role, name in names.items()}
    n_terms = int(rng.choice([0, 1, 2, 3], p=[0.2, 0.4, 0.3, 0.1]))
    terms = [str(rng.choice(TERMS[:usual])) for _ in range(n_terms)]
    start = str(rng.choice(["1", "0", "-1"], p=[0.9, 0.07, 0.03]))
    bars = [str(rng.choice(BARS[:usual])) if rng.random() < 0.7 else "(1 | {g})"]
    right = " + ".join(part for part in (start, *terms, *bars) if part)
    text = f"{rng.choice(RESPONSES[:usual])} ~ {right}".format(**quoted)
    if usual is None and rng.random() < 0.1:
        at = int(rng.integers(len(text)))
        text = text[:at] + str(rng.choice(DAMAGE)) + text[at + 1 :]
    return text
