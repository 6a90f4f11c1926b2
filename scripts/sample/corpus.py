"""Build the sample's text from the running Python: its topics, docstrings and prose comments.

A *document* is one module or one ``pydoc`` topic; a document is a list of *passages* (one docstring with
its signature, or one block of comments, in source order). Whole documents go to one of four splits, and
modules that belong together (``decimal``, ``_pydecimal``, ``test.test_decimal``) always to the same one.
``overlap.py`` then removes what the other splits still share with the held-out text.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import inspect
import io
import re
import sys
import sysconfig
import tokenize
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("held_out", "calibration", "dev", "train")
SHARES = {"held_out": 0.07, "calibration": 0.13, "dev": 0.02}  # by document group; the rest is "train"
SKIPPED_FOLDERS = {"site-packages", "__pycache__", "lib2to3", "libregrtest", "data", "cjkencodings", "encodings"}
FOREIGN_NOTICE = re.compile(r"copyright|\(c\)\s|all rights reserved|licensed? (?:to|under)", re.IGNORECASE)
OWN_NOTICE = re.compile(r"python software foundation|\bPSF\b", re.IGNORECASE)
PERSONAL = re.compile(r"\S+@\S+\.\w+|__author__|\bwritten by\b|\bcontributed by\b", re.IGNORECASE)
C_MODULES = (
    "builtins sys time _thread itertools math cmath array _struct _bisect _heapq _functools _collections "
    "_operator zlib binascii select _socket _datetime _json _csv _random _pickle _io unicodedata mmap fcntl "
    "resource _ssl _hashlib _lsprof _queue _weakref gc signal posix pwd grp atexit faulthandler marshal"
).split()


@dataclass
class Document:
    """One module or topic: where it came from and its passages, in order."""

    name: str
    group: str
    passages: list[str]

    @property
    def text(self) -> str:
        return "\n\n".join(self.passages)


def collect() -> list[Document]:
    """All documents of the running interpreter, sorted by name, each with at least 300 characters."""
    documents = topic_documents() + module_documents() + c_documents()
    documents = [d for d in documents if len(d.text) >= 300]
    return sorted(documents, key=lambda d: d.name)


def split_of(group: str, seed: int) -> str:
    """The split of a document group: a hash decides, so adding a document moves no other one."""
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    point = int.from_bytes(digest[:8], "big") / 2**64
    for split, share in SHARES.items():
        if point < share:
            return split
        point -= share
    return "train"


def topic_documents() -> list[Document]:
    """The language reference's topics, one document each, cut into paragraphs."""
    topics = importlib.import_module("pydoc_data.topics").topics
    return [
        Document(f"topic {name}", f"topic {name}", [p.rstrip() for p in re.split(r"\n\s*\n", text) if p.strip()])
        for name, text in topics.items()
    ]


def module_documents() -> list[Document]:
    """Docstrings and prose comments of every stdlib module that carries no copyright notice of its own."""
    root = Path(sysconfig.get_paths()["stdlib"])
    documents = []
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if SKIPPED_FOLDERS & set(relative.parts):
            continue
        try:
            source = path.read_text("utf-8")
            tree = ast.parse(source)
        except (UnicodeDecodeError, SyntaxError, ValueError):
            continue
        if has_foreign_notice(source):
            continue
        found = sorted(docstrings(tree) + comment_blocks(source))
        name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        passages = [name] + [text for _, text in found if not PERSONAL.search(text)]
        documents.append(Document(name, module_group(name), passages))
    return documents


def has_foreign_notice(source: str) -> bool:
    """Whether a line speaks of copyright or a licence without naming the Python Software Foundation."""
    return any(FOREIGN_NOTICE.search(line) and not OWN_NOTICE.search(line) for line in source.splitlines())


def module_group(name: str) -> str:
    """``test.test_decimal``, ``_pydecimal`` and ``decimal`` belong together, as does all of a package."""
    parts = [p for p in name.split(".") if p not in ("test", "tests")] or ["test"]
    base = re.sub(r"^(test_|_py|_)", "", parts[0])
    return re.sub(r"[\d_]+$", "", base) or base


def docstrings(tree: ast.Module) -> list[tuple[int, str]]:
    """(line, text) of every docstring, functions and classes with their signature line."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        text = ast.get_docstring(node)
        if not text or len(text) < 20:
            continue
        if isinstance(node, ast.Module):
            found.append((0, text))
        else:
            indented = "\n".join("    " + line if line else "" for line in text.splitlines())
            found.append((node.lineno, f"{signature(node)}\n{indented}"))
    return found


def signature(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The ``def``/``class`` line without decorators and body."""
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(b) for b in node.bases)
        return f"class {node.name}({bases}):" if bases else f"class {node.name}:"
    keyword = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    return f"{keyword} {node.name}({ast.unparse(node.args)}):"


def comment_blocks(source: str) -> list[tuple[int, str]]:
    """(line, text) of runs of whole-line comments that read as prose: six words or more, mostly letters."""
    runs: list[tuple[int, int, list[str]]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line, column = token.start
        if token.type != tokenize.COMMENT or token.line[:column].strip():
            continue
        if runs and runs[-1][0] + len(runs[-1][2]) == line and runs[-1][1] == column:
            runs[-1][2].append(token.string)
        else:
            runs.append((line, column, [token.string]))
    return [(line, "\n".join(block)) for line, _, block in runs if is_prose("\n".join(block))]


def is_prose(text: str) -> bool:
    letters = sum(c.isalpha() or c == " " for c in text)
    return len(re.findall(r"[A-Za-z]{2,}", text)) >= 6 and letters >= 0.85 * len(text)


def c_documents() -> list[Document]:
    """Docstrings of the modules written in C, taken from the running interpreter."""
    documents = []
    for name in C_MODULES:
        if name not in sys.builtin_module_names and importlib.util.find_spec(name) is None:
            continue
        module = importlib.import_module(name)
        passages = [name, *member_docs(module, name)]
        for _, member in sorted(vars(module).items()):
            if inspect.isclass(member):
                passages += member_docs(member, member.__name__)
        documents.append(Document(f"{name} (C)", module_group(name), list(dict.fromkeys(passages))))
    return documents


def member_docs(owner: object, prefix: str) -> list[str]:
    """``owner``'s docstring and those of its functions and methods, in alphabetical order."""
    own = inspect.cleandoc(owner.__doc__) if isinstance(owner.__doc__, str) else ""
    found = [f"{prefix}\n{own}"] if own else []
    for name, member in sorted(vars(owner).items()):
        text = getattr(member, "__doc__", None)
        if callable(member) and not inspect.isclass(member) and isinstance(text, str) and len(text) > 30:
            found.append(f"{prefix}.{name}\n{inspect.cleandoc(text)}")
    return found
