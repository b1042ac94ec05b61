"""Writes what the docs say about flags and functions from the code itself.

    python docs/make_reference.py

It writes the table of flags in `guide.md` from the texts of `--help`, `api.md` from the
docstrings of the public names, and the project's address, `url` in `setup.cfg`, into
README and notebooks. A test checks that all are up to date.
"""

import configparser
import dataclasses
import inspect
import re
import textwrap
from pathlib import Path

import tf_style
from tf_style.cli import flags, help

DOCS = Path(__file__).resolve().parent
BEGIN, END = "<!-- written by make_reference.py -->\n", "<!-- end -->\n"
# The owner and the name of the repository, in addresses at GitHub and Colab.
ADDRESS = re.compile(
    r"(?:(?<=github\.com/)|(?<=google\.com/github/))[\w.-]+/tf_style\b"
)
SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):")
INTRODUCTION = """# API

Every public name of `tf_style`, from its docstring; `python docs/make_reference.py`
writes this page. [In Python](python.md) shows them at work.

```python
import tf_style as ts
```
"""
MODULES = (
    *("config", "hub", "neighbors", "gatys", "compare", "images", "masks", "color"),
    *("features", "losses", "flow", "memory", "run", "manifest"),
)


def main():
    guide = DOCS / "guide.md"
    guide.write_text(with_flags(guide.read_text("utf-8")), "utf-8")
    (DOCS / "api.md").write_text(api(), "utf-8")
    for path in named_in():
        path.write_text(with_address(path.read_text("utf-8")), "utf-8")


def named_in():
    """Returns the files that name the project's address."""
    return [DOCS.parent / "README.md", *(DOCS.parent / "notebooks").glob("*.ipynb")]


def with_address(text):
    """Returns a text with the project's address as `setup.cfg` has it."""
    setup = configparser.ConfigParser()
    setup.read(DOCS.parent / "setup.cfg", "utf-8")
    return ADDRESS.sub(
        setup["metadata"]["url"].removeprefix("https://github.com/"), text
    )


def with_flags(guide):
    """Returns the guide with its table of flags as they are now."""
    before, rest = guide.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{flag_tables()}{END}{after}"


def flag_tables():
    parts = []
    for heading, names in help.GROUPS.items():
        rows = []
        for name in names:
            choices = getattr(flags.FLAGS[name].parser, "enum_values", ())
            values = f": {', '.join(choices)}" if choices else ""
            no = "[no]" if flags.FLAGS[name].boolean else ""
            text, default = help.explain(name)
            text = text.removeprefix(f"<{'|'.join(choices)}>: ")
            rows.append((f"`--{no}{name}`{values}", default, text))
        parts.append(
            f"\n### {heading}\n\n{table(('flag', 'default', 'meaning'), rows)}"
        )
    return "".join(parts) + "\n"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def api():
    """Returns the API page."""
    names = [n for n in tf_style.__all__ if not inspect.ismodule(getattr(tf_style, n))]
    parts = [INTRODUCTION, "\n## tf_style\n"]
    parts += [entry(f"ts.{name}", getattr(tf_style, name)) for name in names]
    for name in MODULES:
        module = getattr(tf_style, name)
        parts.append(f"\n## tf_style.{name}\n\n{markdown(inspect.getdoc(module))}")
        parts += [entry(f"{name}.{key}", value) for key, value in public(module)]
    return "".join(parts)


def public(module):
    """Returns names and values of the functions and classes that a module offers."""
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "") == module.__name__
    ]
    # Those that `tf_style` offers itself stand at the top.
    values = [
        (name, value)
        for name in names
        if (value := getattr(module, name)) is not getattr(tf_style, name, None)
    ]
    if module is tf_style.neighbors:  # The others are as in gatys.
        own = ("measure_targets", "objective_terms")
        values = [(name, value) for name, value in values if name in own]
    return [(name, value) for name, value in values if callable(value)]


def entry(name, value):
    """Returns the section of a function or class."""
    text = markdown(inspect.getdoc(value) or "")
    if dataclasses.is_dataclass(value):
        # Dataclasses without a docstring have their signature for one.
        text = "" if text.startswith(f"{value.__name__}(") else text
        return f"\n### {name}\n\n{text}{settings(value)}"
    called = signature(value)
    parts = [f"\n### {name}\n\n```python\n{name}{called}\n```\n\n{text}"]
    if name == "ts.Error":  # Callers catch it.
        parts = [f"\n### {name}\n\n{text}"]
    if inspect.isclass(value):
        for key, method in vars(value).items():
            if inspect.isfunction(method) and not key.startswith("_"):
                parts.append(
                    f"\n`{key}{signature(method)}`: "
                    f"{markdown(inspect.getdoc(method) or '')}"
                )
    return "".join(parts)


def signature(value):
    """Returns the arguments of a call, without types, which differ between Pythons."""
    try:
        found = inspect.signature(value)
    except ValueError:
        return "()"
    arguments = [
        argument.replace(annotation=inspect.Parameter.empty)
        for name, argument in found.parameters.items()
        if name != "self"
    ]
    return str(inspect.Signature(arguments))


def settings(kind):
    """Returns the table of the explained fields that a class has or changes."""
    rows = [
        (f"`{spec.name}`", default(spec), spec.metadata["help"])
        for spec in dataclasses.fields(kind)
        if "help" in spec.metadata and spec.name in kind.__annotations__
    ]
    return "\n" + table(("field", "default", "meaning"), rows) if rows else ""


def default(spec):
    return "" if spec.default is dataclasses.MISSING else f"`{spec.default!r}`"


def markdown(text):
    """Returns a docstring with the lists of its sections as lists of Markdown."""
    lines, rest = [], text.splitlines()
    while rest:
        line = rest.pop(0)
        if not SECTION.fullmatch(line):
            lines.append(line)
            continue
        block = []
        while rest and (not rest[0] or rest[0].startswith(" ")):
            block.append(rest.pop(0))
        lines += [f"*{line}*", "", *items(textwrap.dedent("\n".join(block)), line), ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip()) + "\n"


def items(block, heading):
    """Returns the lines of a section: a list of names, or a paragraph."""
    if heading in ("Returns:", "Yields:"):
        return block.strip().splitlines()
    # Names may be several, as in "ValueError, OSError: it is none".
    return [
        re.sub(r"^([\w*][\w*, ]*):", r"- `\1`:", line) if line[:1].strip() else line
        for line in block.strip().splitlines()
    ]


if __name__ == "__main__":
    main()
