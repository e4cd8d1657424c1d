"""The shrinkage lab: an interactive page on which estimates move as data and priors do.

Everything it shows is computed here, without the page; ``app.py`` only lays it out.
"""
