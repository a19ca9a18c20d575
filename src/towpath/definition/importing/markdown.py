"""A Markdown runbook in, drafts of steps out; no line is lost.

The idea. A runbook has a tree already: headings hold lists, lists hold items, items hold text and commands. The
tree is kept: a heading becomes a group, an item a step, a command below it a suggestion, and every other text goes
to the step that it stands with. Lines are ticked off as they are taken; what is left over at the end is told.

Which list items are steps? All, but for lists inside an item that are marked more weakly than the item itself
(bullets under a number, numbers under a check box): these are detail, and stay in the item's text.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from towpath.definition import source
from towpath.definition.importing import drafts, scripts
from towpath.definition.importing.drafts import Code, Draft, Text
from towpath.definition.importing.report import Notes
from towpath.errors import LimitExceeded, Refused

if TYPE_CHECKING:
    from markdown_it.tree import SyntaxTreeNode

RUNBOOK_BYTES_MAX: Final = 256 * 1024
NESTING_MAX: Final = 60
"""Blocks of Markdown inside each other."""
LISTS_MAX: Final = 7
"""Lists inside each other that become groups; deeper ones stay text."""
_BACKGROUND: Final = frozenset(
    (  # noqa: SIM905 - a list of words is read more easily as a text
        "about background overview introduction summary purpose scope context references links resources "
        "glossary history changelog notes contacts description goal goals abstract motivation "
    ).split()
)
"""Headings below which nothing is to be done."""
_BACKGROUND_PHRASES: Final = frozenset(
    ("see also", "further reading", "related documents", "table of contents", "change log", "on this page")
)
_COMMENT = re.compile(r"\s*<!--(.*?)-->\s*", re.DOTALL)
_BOX = re.compile(r"^\[([ xX])\](?:\s+|$)")
_VERB = re.compile(r"^(?:run|execute|type|enter|start with|do|issue|call|launch|use)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runbook:
    """A runbook, read."""

    title: str
    description: str
    name: str | None
    """What its front matter calls it."""
    owners: tuple[str, ...]
    steps: tuple[Draft, ...]
    left: tuple[tuple[int, str], ...]
    """Lines that belong to no step."""
    comments: tuple[str, ...]
    """What is said about the whole, for those who read the file."""


@dataclass(slots=True, kw_only=True)
class _Section:
    """What stands below one heading."""

    line: int
    level: int
    title: str
    blocks: list[SyntaxTreeNode] = field(default_factory=list)
    below: list[_Section] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    takes: str | None = None
    raw_title: str = ""


def read(text: str, *, stem: str, notes: Notes) -> Runbook:
    """The steps of a runbook; raises Refused where there are none, and LimitExceeded for too long a text."""
    if len(text.encode("utf-8", "replace")) > RUNBOOK_BYTES_MAX:
        raise LimitExceeded(
            f"the runbook has more than {RUNBOOK_BYTES_MAX // 1024} KiB",
            limit="runbook_bytes_max",
            help="import its parts one by one; a `workflow` step calls another file",
        )
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return _Reader(text, stem=stem, notes=notes).read()


class _Reader:
    """One runbook being read."""

    def __init__(self, text: str, *, stem: str, notes: Notes) -> None:
        self._lines = text.split("\n")
        self._stem = stem
        self._notes = notes
        self._taken: set[int] = set()
        self._comments: list[str] = []
        self._front: dict[str, str] = {}
        self._front_owners: list[str] = []
        self._about: list[str] = []

    def read(self) -> Runbook:
        """The whole."""
        start = self._read_front_matter()
        top = self._sections(start)
        title = self._title_of(top)
        description: list[str] = []
        if "description" in self._front:
            description.append(self._front["description"])
        steps = self._assemble(top, description, is_top=True)
        if not steps:
            raise Refused(
                f"there is nothing to do in {self._stem}: no list, no heading and no command",
                help="write what is to be done as a list (`- [ ] Announce it`), then import it again",
            )
        if self._comments:  # those behind the last step
            steps[-1].last_leaf().comments += self._comments
        return Runbook(
            title=title,
            description="\n\n".join(part.strip("\n") for part in description if part.strip()),
            name=self._front.get("name"),
            owners=(*self._front_owners, *top.owners),
            steps=tuple(steps),
            left=tuple(self._left_over()),
            comments=tuple(self._about),
        )

    # --- front matter and headings ---

    def _read_front_matter(self) -> int:
        """Reads the YAML between `---` lines at the top; gives the line after it."""
        if not self._lines or self._lines[0].rstrip() != "---":
            return 0
        end = next(
            (n for n, line in enumerate(self._lines[1:], start=1) if line.rstrip() in ("---", "...")), None
        )
        if end is None:
            return 0
        read = source.read_source("\n".join(self._lines[1:end]) + "\n", path="front matter")
        if read.root is None and not read.is_empty:
            return 0
        self._take(0, end + 1)
        for entry in read.root.entries if read.root else ():
            line = read.line_and_column(entry.key.start)[0] + 1
            self._front_key(entry.key.text, source.to_data(entry.value), line)
        return end + 1

    def _front_key(self, key: str, value: object, line: int) -> None:
        word = key.lower()
        if word in ("title", "description", "name") and isinstance(value, str):
            self._front[word] = value
            self._notes.translated(line, f"`{key}` is the workflow's {word}")
        elif word in ("owner", "owners", "assign", "assignee", "team", "responsible"):
            listed = value if isinstance(value, list) else [value]
            self._front_owners = [who for each in listed for who in drafts.principals(str(each))]
            self._notes.translated(line, f"`{key}` says who does what names nobody else")
        else:
            self._notes.cannot(
                line, f"`{key}` of the front matter has no place in a workflow: kept as a comment"
            )
            self._comments.append(f"{key}: {value}")

    def _sections(self, start: int) -> _Section:
        """The tree of headings, with the blocks below each."""
        from markdown_it import MarkdownIt
        from markdown_it.tree import SyntaxTreeNode

        parser = MarkdownIt("commonmark", {"maxNesting": NESTING_MAX}).enable(["table", "strikethrough"])
        # Empty lines in place of the front matter, so that lines count as in the file.
        tokens = parser.parse("\n".join([""] * start + self._lines[start:]))
        top = _Section(line=1, level=0, title="")
        stack = [top]
        for node in SyntaxTreeNode(tokens).children:
            if node.type != "heading":
                stack[-1].blocks.append(node)
                continue
            self._take_node(node)
            level = int(node.tag[1:])
            while stack[-1].level >= level:
                stack.pop()
            section = self._section_of(node, level)
            stack[-1].below.append(section)
            stack.append(section)
        return top

    def _section_of(self, node: SyntaxTreeNode, level: int) -> _Section:
        line = self._line_of(node)
        phrase = _Phrase.of(node.children[0]) if node.children else _Phrase(text="", is_whole=True)
        facts = drafts.facts_of(phrase.text)
        raw = node.children[0].content if node.children else ""
        title = re.sub(r"^(?:step\s+)?\d+(?:\.\d+)*[.):]\s+", "", facts.text, flags=re.IGNORECASE)
        short, is_cut = drafts.shortened(title)
        return _Section(
            line=line,
            level=level,
            title=short or "Section",
            owners=list(facts.owners),
            takes=facts.takes,
            raw_title=raw if is_cut or not phrase.is_whole else "",
        )

    def _title_of(self, top: _Section) -> str:
        """The title of the whole; a first heading that stands above all others is taken away for it."""
        title = self._front.get("title")
        highest = top.below[0] if len(top.below) == 1 else None
        has_text_above = any(not _is_comment(block) for block in top.blocks)
        if highest is not None and not has_text_above and (highest.below or highest.blocks):
            top.blocks += highest.blocks
            top.below = highest.below
            top.owners += highest.owners
            if title is None:
                title = highest.title
                self._notes.translated(highest.line, "the first heading is the workflow's title")
            elif title != highest.title:
                self._notes.changed(highest.line, f"“{highest.title}”: the title is that of the front matter")
            if highest.raw_title:
                top.raw_title = highest.raw_title
        return title or self._stem.replace("_", " ").replace("-", " ").strip().capitalize() or "Runbook"

    # --- sections to steps ---

    def _assemble(self, section: _Section, description: list[str], *, is_top: bool = False) -> list[Draft]:
        """The steps of a section, its own ones first; what is only background goes to the description."""
        work = _Work(has_lists=any(node.type in _LISTS for node in section.blocks))
        if section.raw_title:
            work.pending.append(Text(line=section.line, kind="prose", markdown=section.raw_title))
        for node in section.blocks:
            self._block(node, section, work)
        if is_top and not work.steps:
            self._about, self._comments = self._comments, []
            description.append(_markdown(work.pending))
            work.pending = []
        for below in section.below:
            steps = self._group(below, description, has_begun=bool(work.steps) or not is_top)
            if steps and work.pending and not work.steps:
                steps[0].first_leaf().body[:0] = work.pending
                work.pending = []
            work.steps += steps
        if work.pending:
            if not work.steps:
                return [self._whole_section(section, work)]
            work.steps[-1].last_leaf().body += work.pending
        if work.steps:
            self._hand_down(section, work.steps)
        return work.steps

    def _group(self, section: _Section, description: list[str], *, has_begun: bool) -> list[Draft]:
        """A section below another one, as a group, as a step, or as background."""
        if self._is_background(section):
            self._notes.changed(section.line, f"“{section.title}” is background: it is in the description")
            description.append(self._as_text(section))
            return []
        comments, self._comments = self._comments, []
        steps = self._assemble(section, description)
        if not steps:
            steps = [self._whole_section(section, _Work(has_lists=False))]
        if not has_begun and _is_prose(section) and len(steps) == 1 and not steps[0].codes and section.blocks:
            self._notes.changed(
                section.line,
                f"“{section.title}” has no list: it is one step; delete it if nothing is to be done",
            )
        if len(steps) == 1 and steps[0].line == section.line and not steps[0].children:
            steps[0].comments[:0] = comments
            return steps
        if len(steps) == 1 and _holds_one_command(section, steps[0]):
            only = steps[0]
            if only.lead is not None:
                only.body.insert(only.place_of_code(), only.lead)
            only.title, only.line = section.title, section.line
            only.comments[:0] = comments
            return [only]
        return [Draft(line=section.line, title=section.title, children=steps, comments=comments)]

    def _whole_section(self, section: _Section, work: _Work) -> Draft:
        """A section without a list or a command is one step."""
        return Draft(
            line=section.line,
            title=section.title,
            body=work.pending,
            owners=section.owners,
            takes=section.takes,
            comments=self._comments_here(),
        )

    def _hand_down(self, section: _Section, steps: Iterable[Draft]) -> None:
        """Who does a section does its steps."""
        for step in steps:
            for leaf in step.leaves():
                leaf.owners = leaf.owners or list(section.owners)

    def _is_background(self, section: _Section) -> bool:
        words = section.title.lower().strip(" :.")
        named = words in _BACKGROUND or words in _BACKGROUND_PHRASES
        return named and not section.below and not any(_has_boxes(node) for node in section.blocks)

    def _as_text(self, section: _Section) -> str:
        for node in section.blocks:
            self._take_node(node)
        parts = [f"## {section.raw_title or section.title}", *(self._raw(node) for node in section.blocks)]
        return "\n\n".join(part for part in parts if part)

    # --- blocks ---

    def _block(self, node: SyntaxTreeNode, section: _Section, work: _Work) -> None:
        self._take_node(node)
        if node.type in _LISTS:
            self._list(node, work)
        elif node.type in _CODES:
            self._code(node, section, work)
        elif node.type == "hr":
            return
        elif _is_comment(node):
            found = _COMMENT.fullmatch(node.content)
            self._comments.append(textwrap.dedent(found[1]).strip("\n ") if found else node.content)
        elif node.type == "paragraph" and (owners := drafts.owner_line(self._raw(node))):
            section.owners += owners
            self._notes.translated(self._line_of(node), f"done by {', '.join(owners)}, below this heading")
        else:
            self._text(Text(line=self._line_of(node), kind="prose", markdown=self._raw(node)), work)

    def _text(self, text: Text, work: _Work) -> None:
        if work.steps and work.has_lists:
            work.steps[-1].last_leaf().body.append(text)
        else:
            work.pending.append(text)

    def _code(self, node: SyntaxTreeNode, section: _Section, work: _Work) -> None:
        code = self._code_of(node)
        text = Text(line=code.line, kind="code", markdown=_fence(node))
        if work.steps and work.has_lists:
            leaf = work.steps[-1].last_leaf()
            leaf.body.append(text)
            leaf.codes.append(code)
            return
        if not _can_run(code):
            work.pending.append(text)
            return
        title, is_cut = _sentence_before(work.pending, otherwise=section.title)
        pending = work.pending if is_cut else work.pending[:-1]
        work.steps.append(
            Draft(
                line=code.line,
                title=title,
                lead=None if is_cut else work.pending[-1],
                body=[*pending, text],
                codes=[code],
                owners=section.owners,
                takes=section.takes,
                comments=self._comments_here(),
            )
        )
        work.pending = []

    def _list(self, node: SyntaxTreeNode, work: _Work) -> None:
        for item in node.children:
            step = self._item(item, strength=_strength(item, node), depth=1)
            if work.pending and not work.steps:
                step.first_leaf().body[:0] = work.pending
                work.pending = []
            work.steps.append(step)

    def _item(self, item: SyntaxTreeNode, *, strength: int, depth: int) -> Draft:
        """One item of a list, with the lists inside it."""
        blocks = list(item.children)
        step = self._head_of(item, blocks)
        for node in blocks:
            last = step.last_leaf()
            if node.type in _LISTS and depth < LISTS_MAX and _list_strength(node) >= strength:
                self._nested(step, node, depth)
            elif node.type in _CODES:
                last.body.append(Text(line=self._line_of(node), kind="code", markdown=_fence(node)))
                last.codes.append(self._code_of(node))
            elif _is_comment(node):
                found = _COMMENT.fullmatch(node.content)
                last.comments.append(found[1].strip() if found else node.content)
            elif node.type == "paragraph" and (owners := drafts.owner_line(self._raw(node))):
                last.owners = owners
                self._notes.translated(self._line_of(node), f"done by {', '.join(owners)}")
            else:
                last.body.append(Text(line=self._line_of(node), kind="prose", markdown=self._raw(node)))
        if step.children:
            self._push_down(step)
        return step

    def _nested(self, step: Draft, node: SyntaxTreeNode, depth: int) -> None:
        if not step.children and step.codes:
            # A group runs nothing itself: what its own text says to run is its first step.
            own = Draft(line=step.line, title=step.title, body=step.body, codes=step.codes)
            step.body, step.codes = [], []
            step.children.append(own)
        step.children += [
            self._item(item, strength=_strength(item, node), depth=depth + 1) for item in node.children
        ]

    def _push_down(self, step: Draft) -> None:
        """A group has no text of its own: its first step gets it; who does it does its steps."""
        first = step.first_leaf()
        if step.body:
            first.body[:0] = step.body
            step.body = []
        for leaf in step.leaves():
            leaf.owners = leaf.owners or list(step.owners)
        if step.takes is not None and first.takes is None:
            self._notes.changed(step.line, f"{step.takes} for the whole stands at its first step")
            first.takes = step.takes

    def _head_of(self, item: SyntaxTreeNode, blocks: list[SyntaxTreeNode]) -> Draft:
        """The step that the first words of an item make; takes them out of *blocks*."""
        line = self._line_of(item)
        comments = self._comments_here()
        if not blocks or blocks[0].type not in ("paragraph", "heading"):
            title = _first_command(blocks)
            if title is None:
                self._notes.changed(line, "an item without words of its own: give it a title")
                title = "Step"
            return Draft(line=line, title=title, comments=comments)
        node = blocks.pop(0)
        phrase = _Phrase.of(node.children[0])
        raw = node.children[0].content
        box = _BOX.match(phrase.text)
        if box:
            phrase.text, raw = phrase.text[box.end() :], _BOX.sub("", raw)
            if box[1] != " ":
                self._notes.changed(line, "was ticked: every run begins with nothing done")
        if phrase.struck:
            self._notes.cannot(
                line, "struck out in the runbook: it is a step all the same; delete it, or not"
            )
        facts = drafts.facts_of(phrase.text)
        title, is_cut = drafts.shortened(facts.text)
        step = Draft(
            line=line,
            title=title or "Step",
            owners=list(facts.owners),
            takes=facts.takes,
            comments=comments,
        )
        if is_cut or not phrase.is_whole:
            step.body.append(Text(line=line, kind="prose", markdown=raw))
        if phrase.command is not None:
            step.codes.append(Code(line=line, language="", text=phrase.command + "\n"))
        return step

    # --- lines ---

    def _comments_here(self) -> list[str]:
        comments, self._comments = self._comments, []
        return comments

    def _code_of(self, node: SyntaxTreeNode) -> Code:
        words = node.info.split() if node.type == "fence" else []
        language = words[0].strip("{}.").lower() if words else ""
        first = self._line_of(node) + (1 if node.type == "fence" else 0)
        return Code(line=first, language=language, text=node.content)

    def _line_of(self, node: SyntaxTreeNode) -> int:
        return node.map[0] + 1 if node.map else 1

    def _take_node(self, node: SyntaxTreeNode) -> None:
        if node.map:
            self._take(*node.map)

    def _take(self, start: int, end: int) -> None:
        self._taken.update(range(start, end))

    def _raw(self, node: SyntaxTreeNode) -> str:
        """A block as it was written, without the indentation of what is around it."""
        if node.type in ("paragraph", "heading"):
            return str(node.children[0].content) if node.children else ""
        start, end = node.map or (0, 0)
        lines = self._lines[start:end]
        while lines and not lines[-1].strip():
            lines.pop()
        return textwrap.dedent("\n".join(lines).expandtabs(4))

    def _left_over(self) -> Iterable[tuple[int, str]]:
        """Lines that no block holds, such as the addresses of links."""
        for number, line in enumerate(self._lines):
            if line.strip() and number not in self._taken:
                yield number + 1, line


@dataclass(slots=True, kw_only=True)
class _Work:
    """A section on its way into steps."""

    has_lists: bool
    steps: list[Draft] = field(default_factory=list)
    pending: list[Text] = field(default_factory=list)
    """Text that waits for the step that it stands above."""


@dataclass(slots=True, kw_only=True)
class _Phrase:
    """A line of Markdown as plain words."""

    text: str
    is_whole: bool
    """Whether nothing but emphasis was left out."""
    struck: bool = False
    command: str | None = None
    """The command that the sentence says to run."""

    @classmethod
    def of(cls, inline: SyntaxTreeNode) -> _Phrase:
        """The words of an inline node."""
        parts: list[str] = []
        is_whole, struck = True, False
        commands: list[str] = []
        words_before = ""
        for node in inline.walk():
            match node.type:
                case "html_inline" if node.content.startswith("<!--"):
                    is_whole = False
                case "text" | "html_inline" | "text_special":
                    parts.append(node.content)
                case "code_inline":
                    words_before = words_before or "".join(parts)
                    parts.append(f"`{node.content}`")
                    commands.append(node.content)
                case "softbreak" | "hardbreak":
                    parts.append(" ")
                case "link" | "image":
                    is_whole = False
                    if node.type == "image":
                        parts.append(node.content)
                case "s":
                    struck = True
                case _:
                    continue
        text = "".join(parts).strip()
        return cls(text=text, is_whole=is_whole, struck=struck, command=_command_in(text, commands))


_LISTS = ("bullet_list", "ordered_list")
_CODES = ("fence", "code_block")


def _command_in(text: str, commands: Sequence[str]) -> str | None:
    """The command of `Run `make all`` or of an item that is nothing but a command."""
    if len(commands) != 1:
        return None
    before, _, after = _BOX.sub("", text).partition(f"`{commands[0]}`")
    word = before.strip().strip(":").strip()
    alone = not word and not after.strip(" .:")
    if alone or (_VERB.match(word) and (" " in commands[0].strip() or "/" in commands[0])):
        return commands[0].strip()
    return None


def _strength(item: SyntaxTreeNode, parent: SyntaxTreeNode) -> int:
    """How strongly an item is marked as something to do: a box, a number, a bullet."""
    if _has_box(item):
        return 3
    return 2 if parent.type == "ordered_list" else 1


def _list_strength(node: SyntaxTreeNode) -> int:
    return max((_strength(item, node) for item in node.children), default=1)


def _has_box(item: SyntaxTreeNode) -> bool:
    first = item.children[0] if item.children else None
    return first is not None and first.type == "paragraph" and bool(_BOX.match(first.children[0].content))


def _has_boxes(node: SyntaxTreeNode) -> bool:
    return node.type in _LISTS and any(_has_box(item) for item in node.children)


def _is_comment(node: SyntaxTreeNode) -> bool:
    return node.type == "html_block" and bool(_COMMENT.fullmatch(node.content))


def _is_prose(section: _Section) -> bool:
    return not section.below and not any(node.type in (*_LISTS, *_CODES) for node in section.blocks)


def _holds_one_command(section: _Section, step: Draft) -> bool:
    """Whether a section is nothing but one command with its text: then it is a step and no group."""
    is_flat = not section.below and not any(node.type in _LISTS for node in section.blocks)
    return is_flat and not step.children


def _can_run(code: Code) -> bool:
    return code.language in scripts.SHELLS


def _fence(node: SyntaxTreeNode) -> str:
    markup, info = (node.markup, node.info.strip()) if node.type == "fence" else ("```", "")
    return f"{markup}{info}\n{node.content.rstrip()}\n{markup}"


def _markdown(texts: Iterable[Text]) -> str:
    return "\n\n".join(text.markdown for text in texts)


def _sentence_before(pending: Sequence[Text], *, otherwise: str) -> tuple[str, bool]:
    """A title from the text above a command, and whether that text says more than the title."""
    if not pending or pending[-1].kind != "prose":
        return otherwise, True
    text = " ".join(pending[-1].markdown.split())
    if re.match(r"[>|<!#\[]", text):
        return otherwise, True
    plain = re.sub(r"(\*\*|__)(.+?)\1", r"\2", text)
    title, is_cut = drafts.shortened(plain)
    sentence = re.match(r"(.{8,}?[.!?])\s+\S", title)
    if sentence:
        return sentence[1].rstrip("."), True
    return title.rstrip("."), is_cut or "](" in plain


def _first_command(blocks: Sequence[SyntaxTreeNode]) -> str | None:
    """A title for an item that begins with code."""
    if not blocks or blocks[0].type not in _CODES:
        return None
    first = scripts.without_prompts(blocks[0].content).strip().split("\n")[0].strip()
    return f"Run `{drafts.shortened(first)[0]}`" if first else None
