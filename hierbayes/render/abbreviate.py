"""Short forms of names, as R's ``abbreviate`` makes them for tables of correlations.

Lower-case vowels go first, then other lower-case letters, from the end of the name to its front
and never the first letter of a word; when that is not enough, any character but such a first one.
Names that would come out alike keep more characters.
"""

from collections.abc import Callable, Sequence

VOWELS = frozenset("aeiou")


def _starts_word(letters: list[str], i: int) -> bool:
    return letters[i - 1].isspace()


def _ends_word(letters: list[str], i: int) -> bool:
    last = i + 1 == len(letters) or letters[i + 1].isspace()
    return last and not letters[i - 1].isspace()


def _is_lower(letter: str) -> bool:
    return letter.isalpha() and letter.islower()


# Each pass walks the name from its end and drops every character that its rule names.
PASSES: tuple[Callable[[list[str], int], bool], ...] = (
    lambda s, i: s[i] in VOWELS and _ends_word(s, i),
    lambda s, i: s[i] in VOWELS and not _starts_word(s, i),
    lambda s, i: _is_lower(s[i]) and _ends_word(s, i),
    lambda s, i: _is_lower(s[i]) and not _starts_word(s, i),
    lambda s, i: not _starts_word(s, i) and not s[i].isspace(),
)


def shorten(name: str, length: int) -> str:
    """Shorten one name to ``length`` characters, blanks not counted and finally removed."""
    letters = list(name.strip(" "))
    blanks = sum(letter.isspace() for letter in letters)
    if len(letters) > length:
        _drop(letters, length + blanks)
    if len(letters) > length:
        letters = [c for i, c in enumerate(letters) if i == 0 or not c.isspace()]
    return "".join(letters)


def _drop(letters: list[str], enough: int) -> None:
    for droppable in PASSES:
        for i in range(len(letters) - 1, 0, -1):
            if len(letters) <= enough:
                return
            if droppable(letters, i):
                del letters[i]


def abbreviate(names: Sequence[str], length: int) -> list[str]:
    """Shorten names to ``length`` characters, or more where they would not differ."""
    distinct = list(dict.fromkeys(name.strip(" ") for name in names))
    short = {name: shorten(name, length) for name in distinct}
    while True:
        seen: set[str] = set()
        repeated = set()
        for name in distinct:
            if short[name] in seen:
                repeated.add(short[name])
            seen.add(short[name])
        if not repeated:
            return [short[name.strip(" ")] for name in names]
        length += 1
        for name in distinct:
            if short[name] in repeated:
                short[name] = shorten(name, length)
