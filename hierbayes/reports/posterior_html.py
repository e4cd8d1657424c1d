"""HTML twins of a posterior's printed results: the same blocks, numbers and sentences."""

from hierbayes.options import IntervalKind
from hierbayes.render.html_page import escape, fragment, heading, table
from hierbayes.reports.posterior_summary import (
    blocks,
    closing,
    head,
    hypothesis_sentences,
    prior_rows,
    title,
)
from hierbayes.reports.summary import finding_sentences
from hierbayes.results.hypothesis import Hypothesis
from hierbayes.results.posterior_fit import PosteriorFit


def posterior_html(
    fit: PosteriorFit,
    level: float = 0.95,
    kind: IntervalKind = "eti",
    priors: bool = True,
    diagnostics: bool | None = None,
) -> str:
    """Show the summary of a posterior; same arguments as ``posterior_text``."""
    parts = [heading(title(fit), 3)]
    labelled = [("Formula:", [fit.formula_text]), *head(fit)]
    for label, texts in labelled:
        text = " ".join(part.strip() for part in texts)
        parts.append(
            f'<p><span class="soft">{escape(label)}</span> <code>{escape(text)}</code></p>'
        )
    for block in blocks(fit, level=level, kind=kind, diagnostics=diagnostics):
        parts.append(table(block.columns, block.names, caption=block.title))
    parts.append(f"<p>{escape(' '.join(closing(fit, level, kind)))}</p>")
    if priors:
        rows = prior_rows(fit)
        laws = [("prior", [law for _, law in rows])]
        names = [name for name, _ in rows]
        parts.append(table(laws, names, caption="Priors", text_columns=1))
    sentences = finding_sentences(fit, correlation=False)
    if sentences:
        items = "\n".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
        parts.append(f'{heading("Findings", 3)}\n<ul class="findings">\n{items}\n</ul>')
    return fragment(*parts)


def hypothesis_html(found: Hypothesis) -> str:
    """Show the probability of a statement and the interval behind it."""
    return fragment(*(f"<p>{escape(text)}</p>" for text in hypothesis_sentences(found)))
