"""How personal data and secrets look: one function a kind, from a text to the stretches that hold it.

A stretch is (start, end); stretches of one kind come in order and do not overlap.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    Spans = Iterator[tuple[int, int]]

# Without one of these a text can hold none of the kinds below.
TRIGGER: Final = re.compile(
    r"[0-9@:=]|[srp]k[-_]|gh[pousr]_|github_pat_|glpat-|xox|hf_|npm_|pypi-|AKIA|ASIA|AIza|eyJ|SG\.|[Ee]arer |EARER "
    r"|PRIVATE KEY"
)

_TOKEN: Final = re.compile(
    r"""
      (?<![A-Za-z0-9]) (?:
          sk-[A-Za-z0-9_-]{16,}+                                  # OpenAI, Anthropic and their kin
        | [srp]k_(?:live|test)_[A-Za-z0-9]{8,}+                   # Stripe
        | gh[pousr]_[A-Za-z0-9]{16,}+ | github_pat_\w{16,}+       # GitHub
        | glpat-[\w-]{16,}+                                       # GitLab
        | xox[abprs]-[A-Za-z0-9-]{10,}+                           # Slack
        | hf_[A-Za-z0-9]{24,}+                                    # Hugging Face
        | npm_[A-Za-z0-9]{24,}+ | pypi-[\w-]{16,}+                # package registries
        | SG\.[\w-]{16,}+\.[\w-]{16,}+                            # SendGrid
        | (?:AKIA|ASIA)[A-Z0-9]{16}                               # AWS access key ids
        | AIza[\w-]{35}                                           # Google
        | eyJ (?: [\w-]{24,}+ (?:\.[\w-]*+){0,2}+                 # JSON web tokens: a long run needs no dot, so that
                | [\w-]{8,23}+\.[\w-]{4,}+ (?:\.[\w-]*+)?+ )      # none is read twice
      )
    | \b(?i:bearer)[ ]{1,4} (?P<bearer> [\w.~+/=-]{8,}+ )
    | \b[Bb]asic[ ]{1,4} (?P<basic> [A-Za-z0-9+/]{8,}+={1,2} )
    | :// [^\s/:@"'<>]{0,128}+ : (?P<userinfo> [^\s/"'<>]{1,128} ) (?=@)      # scheme://user:password@host
    | (?i: authorization \\{0,4}+["']? \s{0,3} [:=] \s{0,3} \\{0,4}+["']? (?:basic|token|apikey|negotiate)[ ]{1,4} )
      (?P<authorization> [^\s"'\\,;]{6,}+ )
    | (?i: (?: (?:api|access|account|auth|encryption|private|secret|signing)[_-]?key | secret | token
             | passw(?:or)?d | passphrase | (?<=_)pass ) \\{0,4}+["']? \s{0,3} [:=]>? \s{0,3} )
      (?: \\{1,4}+["'] (?P<escaped> (?: [^"'\\\n] | \\(?!\\{0,3}["']) ){6,}+ )   # in JSON within JSON
        | " (?P<double> (?: [^"\\\n] | \\. ){6,}+ )
        | ' (?P<single> (?: [^'\\\n] | \\. ){6,}+ )
        | ["']?+ (?i:(?:bearer|basic)[ ]{1,4})?+ (?P<bare> (?: [^\s"'\\,;&)}\]] | \\(?!["']) ){6,}+ ) )
    | -----BEGIN[ ][A-Z ]{0,40}PRIVATE[ ]KEY----- [^-]*+ (?: -----END[ ][A-Z ]{0,40}PRIVATE[ ]KEY----- )?
    """,
    re.VERBOSE,
)

_EMAIL: Final = re.compile(r"(?<![\w.%+'-])[\w.%+'-]++@(?P<domain>[\w-]++(?:\.[\w-]++)++)")
_EMAIL_IN_URL: Final = re.compile(r"(?<![\w.%+'-])(?:[\w.+'-]|%(?!40))++%40(?P<domain>[\w-]++(?:\.[\w-]++)++)")

# ISO 13616 registry: length of an IBAN by country.
_IBAN_LENGTHS: Final = {
    country: int(length)
    for length, countries in {
        "15": "NO", "16": "BE", "18": "DK FI FK FO GL NL SD", "19": "MK SI", "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG", "25": "LY PT ST", "26": "IS TR",
        "27": "BI DJ FR GR IT MC MR SM", "28": "AL AZ BY CY DO GT HN HU LB NI PL SV", "29": "BR EG PS QA UA",
        "30": "JO KW MU YE", "31": "MT SC", "32": "LC", "33": "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
_SEPARATOR: Final = re.compile(r"[ \u00a0\u202f\u2010-\u2013.-]")
_IBAN_HEAD: Final = re.compile(r"(?<![A-Za-z0-9])(?P<country>[A-Za-z]{2})\d{2}(?=[ -]?[A-Za-z0-9])")

# ISO/IEC 7812 ranges of the card schemes, as (first digits from, to, lengths).
_CARD_RANGES: Final = (
    ("4", "4", (13, 16, 19)),
    ("51", "55", (16,)),
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),
    ("37", "37", (15,)),
    ("6011", "6011", (16, 19)),
    ("644", "659", (16, 19)),
    ("300", "305", (14, 16)),
    ("36", "36", (14, 16)),
    ("38", "39", (14, 16)),
    ("3528", "3589", (16, 19)),
    ("62", "62", (16, 17, 18, 19)),
    ("50", "50", (13, 14, 15, 16, 17, 18, 19)),
    ("56", "58", (13, 14, 15, 16, 17, 18, 19)),
    ("67", "67", (13, 14, 15, 16, 17, 18, 19)),
)
_CARD_STARTS: Final = frozenset("23456")
_DOUBLED: Final = {str(digit): sum(divmod(2 * digit, 10)) for digit in range(10)}
_DIGITS: Final = re.compile(rf"(?<!\d)(?:[0-9](?:{_SEPARATOR.pattern}(?=[0-9]))?){{13,}}+")
_GROUP: Final = re.compile(r"[0-9]+")

_SSN: Final = re.compile(
    r"""
      (?<![\w-]) (?: \d{3}-\d{2}-\d{4} | (?!000|666|9)\d{3}[ ](?!00)\d{2}[ ](?!0000)\d{4} ) (?![\w-])
    | (?i: \bssn | \bsocial[ _-]security (?:[ _-](?:number|no))? ) \W{1,5} (?P<bare> \d{9} ) (?![\w-])
    """,
    re.VERBOSE,
)

_PHONE: Final = re.compile(
    r"""
      (?<![\w+]) \+\d (?: [ ().-]{0,2} \d ){7,14}+ (?!\d)                  # +49 30 1234567
    | (?<![\w.+-]) (?: \(\d{3}\)[ ]? | \d{3}[-. ] ) \d{3}[-. ]\d{4} (?![\w-])  # (555) 123-4567
    """,
    re.VERBOSE,
)


def tokens(text: str) -> Spans:
    """API keys, authorization headers, JSON web tokens, private keys, passwords in URLs and behind `password=`."""
    for found in _TOKEN.finditer(text):
        group = found.lastgroup or 0
        yield found.span(group)


def emails(text: str) -> Spans:
    """E-mail addresses; `package@1.2.3` is none."""
    return _addresses(_EMAIL, text) if "@" in text else iter(())


def emails_in_urls(text: str) -> Spans:
    """E-mail addresses as they stand in URLs, with `%40`."""
    return _addresses(_EMAIL_IN_URL, text) if "%40" in text else iter(())


def _addresses(pattern: re.Pattern[str], text: str) -> Spans:
    for found in pattern.finditer(text):
        last = found["domain"].rpartition(".")[2]
        if any(letter.isalpha() for letter in last):
            yield found.span()


def ibans(text: str) -> Spans:
    """IBANs of the registered countries whose check digits agree, with or without separators."""
    end = 0
    for head in _IBAN_HEAD.finditer(text):
        length = _IBAN_LENGTHS.get(head["country"].upper())
        if length is None or head.start() < end:
            continue
        whole = _iban_of(length).match(text, head.start())
        if whole is not None and _mod97(_SEPARATOR.sub("", whole[0])):
            end = whole.end()
            yield whole.span()


@cache
def _iban_of(length: int) -> re.Pattern[str]:
    return re.compile(rf"[A-Za-z0-9](?:{_SEPARATOR.pattern}?[A-Za-z0-9]){{{length - 1}}}(?![A-Za-z0-9])")


def _mod97(iban: str) -> bool:
    turned = iban[4:] + iban[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def cards(text: str) -> Spans:
    """Payment card numbers of the known schemes whose Luhn digit agrees, in any grouping."""
    for run in _DIGITS.finditer(text):
        yield from _cards_in(text, *run.span())


def _cards_in(text: str, start: int, stop: int) -> Spans:
    """Cards within groups of digits; they begin where a group does and end where one does."""
    groups = [group.span() for group in _GROUP.finditer(text, start, stop)]
    digits = "".join(text[begin:end] for begin, end in groups)
    begins = [0, *accumulate(end - begin for begin, end in groups)]
    ends = {count: end for count, (_, end) in zip(begins[1:], groups, strict=True)}
    done = 0
    for index, (begin, _) in zip(begins, groups, strict=False):
        length = _card_length(digits, index, ends) if index >= done and digits[index] in _CARD_STARTS else 0
        if length:
            done = index + length
            yield begin, ends[done]


def _card_length(digits: str, index: int, ends: Container[int]) -> int:
    """Length of the card number that begins at `index`, or 0."""
    for low, high, lengths in _CARD_RANGES:
        if low <= digits[index : index + len(low)] <= high:
            for length in reversed(lengths):
                if index + length in ends and _luhn(digits[index : index + length]):
                    return length
    return 0


def _luhn(digits: str) -> bool:
    return (sum(map(int, digits[-1::-2])) + sum(map(_DOUBLED.__getitem__, digits[-2::-2]))) % 10 == 0


def social_security_numbers(text: str) -> Spans:
    """US social security numbers: 123-45-6789, with spaces only those that can have been issued, bare ones if named."""
    return (found.span(found.lastgroup or 0) for found in _SSN.finditer(text))


def phones(text: str) -> Spans:
    """Phone numbers with a country code, or in the 3-3-4 grouping of North America."""
    return (found.span() for found in _PHONE.finditer(text))


DETECTORS: Final[tuple[tuple[str, Callable[[str], Spans]], ...]] = (
    ("token", tokens),
    ("email", emails),
    ("email", emails_in_urls),
    ("iban", ibans),
    ("card", cards),
    ("ssn", social_security_numbers),
    ("phone", phones),
)

# Last words of a name behind which a secret stands, whatever it looks like.
_SECRET_WORDS: Final = frozenset(
    {"apikey", "authorization", "cookie", "credential", "credentials", "cvc", "cvv", "jwt", "passcode", "passphrase",
     "passwd", "password", "passwort", "pin", "pwd", "secret", "ssn", "token"}
)  # fmt: skip
_SECRET_PAIRS: Final = frozenset(
    {("access", "key"), ("account", "key"), ("api", "key"), ("auth", "key"), ("card", "number"), ("encryption", "key"),
     ("private", "key"), ("secret", "key"), ("security", "code"), ("security", "number"), ("signing", "key")}
)  # fmt: skip
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_LONGEST_NAME: Final = 128


@lru_cache(4096)
def names_secret(name: str) -> bool:
    """Whether a key, header or flag of this name holds a secret: `dbPassword`, `X-Api-Key`, `--token`."""
    words = [word.lower() for word in _WORDS.findall(name[-_LONGEST_NAME:])]
    return words[-1:] != [] and (words[-1] in _SECRET_WORDS or tuple(words[-2:]) in _SECRET_PAIRS)
