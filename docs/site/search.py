"""The search of the site: English, asked as people ask."""

from sphinx.search.en import SearchEnglish

ASKED = {"get", "make", "need", "please", "show", "tell", "use", "using", "want", "whether"}


class TaskSearch(SearchEnglish):
    """English that leaves the words out which only ask: "how do I ...", "I want to ..."."""

    stopwords = frozenset(SearchEnglish.stopwords) | ASKED
