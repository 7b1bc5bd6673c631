"""Where the functions of a C++ file begin and end, by matching braces: enough for a rule about their length, and no parser.

    for name, first, last in functions(text): ...          # lines, counted from 1; first is where the signature begins

Comments, strings and preprocessor lines are blanked first, so that their braces do not count. What is inside a function (lambdas,
local types) belongs to it.
"""
import re

_TOKENS = re.compile(
    r'//[^\n]*|/\*.*?\*/'
    r'|R"([^()\\\s]{0,16})\(.*?\)\1"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'"                       # not the ' of 1'000
    r'|^[ \t]*#(?:\\\n|[^\n])*', re.S | re.M)
_TYPE = re.compile(r"(class|struct|union|enum)\b")
_AFTER_PARAMETERS = re.compile(r"(\s|const\b|noexcept\b|override\b|final\b|mutable\b|try\b|&|->[^{};]*$|requires\b[^{};]*$)*$")


def blank(text):
    """The text with everything that is no code replaced by spaces; newlines stay."""
    def spaces(match):
        found = match.group(0)
        kept = re.sub(r"[^\n]", " ", found)
        return '"' + kept[1:-1] + '"' if found[0] in "\"'R" else kept
    return _TOKENS.sub(spaces, text)


def _without_brackets(head, left, right):
    """`head` without what stands in balanced brackets, the brackets included."""
    while True:
        shorter = re.sub(rf"{re.escape(left)}[^{re.escape(left + right)}]*{re.escape(right)}", "", head)
        if shorter == head:
            return head
        head = shorter


def kind(head):
    """What a '{' opens outside of functions, by the text since the last ';', '{' or '}': scope, function or value."""
    head = head.strip()
    if re.match(r'((inline\s+)?namespace\b|extern\s*"[^"]*"$)', head):
        return "scope"
    flat = _without_brackets(_without_brackets(head, "(", ")"), "[", "]")
    had_parameters = "(" in head
    plain = re.sub(r"^(template\s*<.*?>+\s*)+", "", flat)
    if not had_parameters:
        lambda_without_parameters = re.search(r"=\s*\[[^\]]*\]$", head)
        return "function" if lambda_without_parameters else "scope" if _TYPE.match(plain.strip()) else "value"
    if _TYPE.match(plain.strip()) and not re.search(r"\)\s*(const|noexcept|override|final)*\s*$", head):
        return "scope"                                                     # struct alignas(64) Name {
    before, initialisers, members = _split_initialisers(head)
    if initialisers:
        return "value" if re.search(r"[\w>]$", members) else "function"
    if re.search(r"=\s*$", head) or (re.search(r"(?<!operator)=", flat) and "operator" not in flat and "[" not in head):
        return "value"
    return "function" if _AFTER_PARAMETERS.match(before[before.rfind(")") + 1:]) else "value"


def _split_initialisers(head):
    """(head up to a constructor's ':', whether there is one, what follows it)."""
    depth = 0
    for at, char in enumerate(head):
        depth += (char == "(") - (char == ")")
        if char == ":" and depth == 0 and head[:at].rstrip().endswith((")", "noexcept")) and ":" not in (head[at - 1], head[at + 1:at + 2]):
            return head[:at], True, head[at + 1:].strip()
    return head, False, ""


def functions(text):
    code = blank(text)
    open_braces = []                                                       # what each '{' opened: scope, function or value
    head_from = 0                                                          # where the text before the next '{' begins
    begun = None                                                           # (where its signature begins, depth) of the function we are in
    for match in re.finditer(r"[{};]|\b(?:public|private|protected)\s*:", code):
        at, token = match.start(), match.group(0)
        if token == "{":
            opened = "value" if begun else kind(code[head_from:at])
            open_braces.append(opened)
            if opened == "function":
                begun = (head_from, len(open_braces))
            if opened == "scope":
                head_from = at + 1
        elif token == "}":
            opened = open_braces.pop() if open_braces else "value"
            if begun and len(open_braces) < begun[1]:
                head = code[begun[0]:at]
                signature = begun[0] + len(head) - len(head.lstrip())
                name = re.search(r"([~\w:]+)\s*\(", head)
                yield name[1] if name else "a lambda", 1 + code.count("\n", 0, signature), 1 + code.count("\n", 0, at)
                begun = None
            if opened != "value" and not begun:
                head_from = at + 1
        elif not begun and "value" not in open_braces:
            head_from = match.end()
