"""CEL behind one door: text in, a checked expression or template out, and values from both."""

from towpath.definition.expressions.analysis import Reference
from towpath.definition.expressions.compiler import compile_condition, compile_expression, syntax_of
from towpath.definition.expressions.evaluation import Expression, evaluate_condition
from towpath.definition.expressions.faults import Code, CompileError, EvaluationError
from towpath.definition.expressions.functions import DECLARED as FUNCTIONS
from towpath.definition.expressions.names import DYNAMIC, RESERVED_NAMES, Names
from towpath.definition.expressions.templates import (
    SecretReference,
    Template,
    TemplateWithSecrets,
    parse_template,
)
from towpath.definition.expressions.values import Value
from towpath.errors import ExpressionError

__all__ = [
    "DYNAMIC",
    "FUNCTIONS",
    "RESERVED_NAMES",
    "Code",
    "CompileError",
    "EvaluationError",
    "Expression",
    "ExpressionError",
    "Names",
    "Reference",
    "SecretReference",
    "Template",
    "TemplateWithSecrets",
    "Value",
    "compile_condition",
    "compile_expression",
    "evaluate_condition",
    "parse_template",
    "syntax_of",
]
