"""
Parse each state machine's definition once: the grammar takes longer than everything else in a short run.

The same definition in many accounts and Regions differs in ids of the same length. So the parsed tree is kept
by the text without them; what the run needs is made anew from the tree each time, with the ids put back.
"""

import re
import threading
from typing import Any

from antlr4 import CommonTokenStream, InputStream  # type: ignore[import-untyped]
from moto.stepfunctions.parser.asl.antlr.runtime.ASLLexer import ASLLexer
from moto.stepfunctions.parser.asl.antlr.runtime.ASLParser import ASLParser
from moto.stepfunctions.parser.asl.parse.asl_parser import ASLParserException, SyntaxErrorListener
from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor

_ID = re.compile(r"\b\d{12}\b|\b[a-z]{2}(?:-[a-z]+)+-\d\b")
_LOCK = threading.Lock()
_TREES: dict[str, tuple[Any, Any]] = {}
MOST_TREES = 32


def parse(definition: str) -> tuple[Any, Any]:
    """Return the components that a run needs, and the tree; raise ASLParserException."""
    masked = _ID.sub(lambda found: "#" * len(found[0]), definition)
    with _LOCK:
        if masked not in _TREES:
            while len(_TREES) >= MOST_TREES:
                del _TREES[next(iter(_TREES))]
            _TREES[masked] = _tree(definition)
        stream, tree = _TREES[masked]
        # A token is a range of its text, which is as long in every account.
        stream.strdata = definition
        return Preprocessor().visit(tree), tree


def _tree(definition: str) -> tuple[Any, Any]:
    faults: Any = SyntaxErrorListener()  # type: ignore[no-untyped-call]
    stream = InputStream(definition)
    parser: Any = ASLParser(CommonTokenStream(ASLLexer(stream)))
    parser.removeErrorListeners()
    parser.addErrorListener(faults)
    tree = parser.state_machine()
    if faults.errors:
        raise ASLParserException(errors=faults.errors)
    return stream, tree
