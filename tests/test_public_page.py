"""What is public: docs/public.md lists what the package has, no more and no less."""

import re
from pathlib import Path

import hierbayes as hb
from hierbayes import contract
from hierbayes.cli import app

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "public.md").read_text(encoding="utf-8")
LISTED = PAGE.split("## What is not")[0]


def names_after(heading):
    """Return the names in a paragraph of the page that begins with a heading in bold letters."""
    paragraph = LISTED.split(f"**{heading}**")[1].split("\n\n")[0]
    return re.findall(r"`(\w+)(?:\(\))?`", paragraph)


def test_the_page_lists_what_the_package_has():
    listed = set(re.findall(r"`hb\.([A-Za-z]\w*)`", LISTED))
    assert listed == set(hb.__all__)
    assert set(re.findall(r"`hb\.plot\.(\w+)`", LISTED)) == set(hb.plot.__all__)
    commands = {command.callback.__name__ for command in app.registered_commands}
    assert set(re.findall(r"`hierbayes (\w+)`", LISTED)) == commands


def test_completion_shows_what_the_page_lists():
    lists = {
        "Of either fit": contract.FIT,
        "Of a fit by REML or ML": contract.LIKELIHOOD,
        "Of a fit by `hb.glmer`": contract.GENERALISED,
        "Of fits of a psychometric function": contract.PSYCHOMETRIC,
        "Of a posterior": contract.POSTERIOR,
        "Of a model": contract.MODEL,
    }
    for heading, names in lists.items():
        listed = {name for name in names_after(heading) if name != "glmer"}
        assert listed == set(names), heading


def test_fits_and_models_have_what_the_page_says():
    fit = hb.lmer("Reaction ~ Days + (Days | Subject)", hb.load_dataset("sleepstudy"))
    owners = {
        "Of either fit": (fit, hb.PosteriorFit),
        "Of a fit by REML or ML": (fit,),
        "Of a posterior": (hb.PosteriorFit,),
        "Of a model": (fit.model,),
    }
    missing = [
        (heading, name)
        for heading, of in owners.items()
        for name in names_after(heading)
        for owner in of
        if not hasattr(owner, name) and name not in getattr(owner, "__annotations__", {})
    ]
    assert not missing
    assert all(names_after(heading) for heading in owners)
