"""The action contract: what a typed thing that a step can do promises, gets and answers.

An action has a name (`namespace.verb`), typed inputs and outputs, and says beforehand whether it may be
repeated, whether it can be rehearsed, what it changes and what it needs. The engine sees the `Action`
protocol, which speaks plain JSON; an author writes a function::

    @action("http.request", effects="remote", secrets=("auth", "headers"))
    async def request(inputs: RequestInputs, context: StepContext) -> RequestOutputs:
        \"\"\"Sends one HTTP request.\"\"\"

    @request.rehearsal
    async def rehearse_request(inputs: RequestInputs, context: StepContext) -> Rehearsal: ...

Either the first parameter is called `inputs` and is a dataclass, a TypedDict or a pydantic model, or the
parameters themselves are the inputs. A parameter called `context` gets the `StepContext`. The answer is a
record, a mapping, or None. Shapes are told in `shapes`.

Order and threads: `perform` is called once for an attempt, in the engine's loop, and must not block it;
being cancelled means that the step was cancelled or ran out of time, and after the call has ended nothing
of it may go on. An *instant* action is a plain function that never waits; the engine may call `perform_now`
without a task. Secrets arrive inside the inputs as plain text, only where the card allows it; what an
action logs, answers or raises is masked by its caller.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    NoReturn,
    Protocol,
    TypeAlias,
    TypeVar,
    get_args,
    overload,
    runtime_checkable,
)

from towpath import errors
from towpath.definition.actions import ActionCard, Effects, ParameterCard
from towpath.steps import shapes

if TYPE_CHECKING:
    from pathlib import Path

    from towpath.steps.processes import ProcessResult, ProcessSpec

__all__ = [
    "SAFE_METHODS",
    "Action",
    "ActionFailed",
    "Change",
    "Egress",
    "ErrorKind",
    "FunctionAction",
    "HttpRequest",
    "HttpResponse",
    "LogLevel",
    "Rehearsal",
    "RehearsesSteps",
    "StepContext",
    "Values",
    "action",
]

Values: TypeAlias = Mapping[str, Any]
"""Plain JSON by name: what `with` holds and what `outputs` will hold."""

ErrorKind: TypeAlias = Literal[
    "exit",
    "timeout",
    "interrupted",
    "unreachable",
    "denied",
    "conflict",
    "invalid",
    "rejected",
    "policy",
    "cancelled",
    "unanswered",
]
"""The kinds of error of the language, as `error.kind` shows them."""

Function = TypeVar("Function", bound=Callable[..., Any])

LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]

SUMMARY_CHARS_MAX: Final = 300
REQUEST_SECONDS: Final = 30.0
"""How long a request may take in all when nothing else is said."""
REDIRECTS_MAX: Final = 10
RESPONSE_BYTES_MAX: Final = 16 * 1024 * 1024
"""How much of an answer is taken into memory; past it the request fails."""


SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that only ask (RFC 9110): all that the egress of a rehearsal sends."""


class ActionFailed(errors.StepError):
    """An action failed; *kind* is what `error.kind` shows, *outputs* what is known all the same.

    With *is_complete* the action was done and answered with all its outputs, and only its own rule calls
    that a failure: a step's `success_when` may see it otherwise.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind = "exit",
        outputs: Values | None = None,
        is_complete: bool = False,
        exit_code: int | None = None,
        help: str = "",  # noqa: A002 - the field's word
    ) -> None:
        super().__init__(message, kind=kind, help=help)
        self.outputs: Values = outputs or {}
        self.is_complete = is_complete
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that performing would change."""

    verb: Literal["create", "change", "replace", "remove", "send", "run"]
    """`replace` is a removal and a creation, as of a resource that cannot be changed in place."""
    target: str
    detail: str = ""
    """A diff or a few lines more; bounded by whoever makes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What performing would do, found out without doing it."""

    summary: str
    changes: tuple[Change, ...] = ()
    outputs: Values | None = None
    """The outputs, when they are known beforehand."""
    known: bool = True
    """False when the action cannot tell what it would do."""
    detail: str = ""
    """What a tool printed about all of it, for people: the text of a plan, a diff; bounded by whoever makes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One HTTP request for the guarded egress."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Headers other than a few plain ones are taken for credentials and stay with the origin."""
    body: bytes | None = None
    timeout_seconds: float = REQUEST_SECONDS
    """For everything: names, connection, redirects and the whole answer."""
    follow_redirects: bool = True
    redirects_max: int = REDIRECTS_MAX
    verify_tls: bool = True
    ca_file: Path | None = None
    """Certificates to trust instead of the machine's."""
    response_bytes_max: int = RESPONSE_BYTES_MAX
    save_to: Path | None = None
    """Write the body into this file, which appears only when it is whole, instead of memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """What the other side answered."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; repeated headers joined with a comma, `set-cookie` with a line break."""
    body: bytes
    """Empty when the body was saved to a file."""
    body_bytes: int
    url: str
    """The address that answered, after redirects."""
    elapsed_seconds: float


class Egress(Protocol):
    """The one way for steps to make HTTP requests; addresses are checked and pinned."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer of any status; raises ActionFailed `unreachable`, `timeout`, `denied` or `invalid`."""
        ...


class StepContext(Protocol):
    """What a running action is given; it holds no secrets and nothing global."""

    @property
    def run_id(self) -> str:
        """The run that this attempt belongs to."""
        ...

    @property
    def path(self) -> str:
        """Where the step stands in the run: `fleet[web1]/install`."""
        ...

    @property
    def attempt(self) -> int:
        """1 for the first attempt."""
        ...

    @property
    def idempotency_key(self) -> str:
        """The same when this attempt is repeated, different for all else; for systems that take one."""
        ...

    @property
    def workspace(self) -> Path:
        """The folder in which the step works; relative paths start here."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """The whole environment for programs of this step: made, not inherited, with the step's own `env`."""
        ...

    @property
    def egress(self) -> Egress:
        """The guarded HTTP client."""
        ...

    def remaining_seconds(self) -> float | None:
        """The time left until the step's timeout, None when it has none; the engine cancels by itself."""
        ...

    def log(self, text: str, *, level: LogLevel = "info") -> None:
        """Adds lines to the step's log; never waits."""
        ...

    async def run_process(self, spec: ProcessSpec) -> ProcessResult:
        """Runs a program, its output into the log; when this ends or is cancelled none of it is left.

        The environment is what the spec says, usually `context.environment` and a little more. The
        context adds what has to be masked in the output; a result on `result_fd` comes unmasked.
        """
        ...


@runtime_checkable
class RehearsesSteps(Protocol):
    """What the context of a run can do besides: rehearse steps of the same run. Only `towpath.rehearse` needs it."""

    async def rehearse_steps(self, names: tuple[str, ...]) -> Values:
        """What the steps of these ids, or all that follow, would do: the outputs of `towpath.rehearse`."""
        ...


@runtime_checkable
class Action(Protocol):
    """What the engine and the catalogue see of an action."""

    @property
    def card(self) -> ActionCard:
        """What it promises; made on first use."""
        ...

    @property
    def instant(self) -> bool:
        """Whether `perform_now` may be called instead of `perform`."""
        ...

    def idempotent_with(self, values: Values) -> bool:
        """Whether performing it with these inputs twice is as good as once."""
        ...

    async def perform(self, values: Values, context: StepContext) -> Values:
        """Does it and answers with the outputs; raises ActionFailed."""
        ...

    def perform_now(self, values: Values, context: StepContext) -> Values:
        """The same for an instant action, at once."""
        ...

    async def rehearse(self, values: Values, context: StepContext) -> Rehearsal:
        """What it would do; changes nothing, and may ask through `context.egress` and `context.run_process`.

        The egress of a rehearsal sends only `SAFE_METHODS`. With `known` and no changes nothing would change: the step is a
        read, or everything is so already. Raises ActionFailed where performing would fail as things are now.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What the author says of an action besides its signature."""

    name: str
    summary: str = ""
    idempotent: bool | Callable[[Any], bool] = False
    """Or a function of the inputs, when it depends on them."""
    effects: Effects = "anything"
    secrets: tuple[str, ...] | Literal["all"] = ()
    extras: tuple[str, ...] = ()
    binaries: tuple[str, ...] = ()
    instant: bool = False
    can_rehearse: bool = False


@overload
def action(name: Callable[..., Any], /) -> FunctionAction: ...


@overload
def action(
    name: str = "",
    *,
    summary: str = "",
    idempotent: bool | Callable[[Any], bool] = False,
    effects: Effects = "anything",
    secrets: tuple[str, ...] | Literal["all"] = (),
    extras: tuple[str, ...] = (),
    binaries: tuple[str, ...] = (),
    instant: bool = False,
) -> Callable[[Callable[..., Any]], FunctionAction]: ...


def action(
    name: str | Callable[..., Any] = "",
    *,
    summary: str = "",
    idempotent: bool | Callable[[Any], bool] = False,
    effects: Effects = "anything",
    secrets: tuple[str, ...] | Literal["all"] = (),
    extras: tuple[str, ...] = (),
    binaries: tuple[str, ...] = (),
    instant: bool = False,
) -> FunctionAction | Callable[[Callable[..., Any]], FunctionAction]:
    """Makes an action of a function; without a name it is called after its module and itself.

    Args:
        name: `namespace.verb`.
        summary: One sentence; the first of the docstring when left out.
        idempotent: Whether twice is as good as once; or a function of the typed inputs that tells.
        effects: What it changes: `none`, `files`, `remote`, or `anything`.
        secrets: The inputs in which `${{ secrets.… }}` may stand, or "all".
        extras: Extras of the package that it needs.
        binaries: Programs that it needs.
        instant: For a plain function that never waits: it may be called in the middle of the engine's work.

    """
    if callable(name):
        return action()(name)

    def wrap(function: Callable[..., Any]) -> FunctionAction:
        declaration = Declaration(
            name=name or f"{function.__module__.rpartition('.')[2]}.{function.__name__}",
            summary=summary or first_sentence(function.__doc__),
            idempotent=idempotent,
            effects=effects,
            secrets=secrets,
            extras=extras,
            binaries=binaries,
            instant=instant,
        )
        return FunctionAction(function, declaration)

    return wrap


class FunctionAction:
    """An action made of a function; calling it calls the function, so that it can be tested as what it is."""

    def __init__(self, function: Callable[..., Any], declaration: Declaration) -> None:
        if declaration.instant and inspect.iscoroutinefunction(function):
            raise errors.AuthorError(
                f"The action {declaration.name} is async and instant.",
                help="An instant action is a plain `def`.",
            )
        self.function = function
        self.declaration = declaration
        self.rehearse_function: Callable[..., Any] | None = None
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the function takes and gives
        """Calls the function itself."""
        return self.function(*arguments, **named)

    def __repr__(self) -> str:
        return f"<action {self.declaration.name}>"

    @property
    def name(self) -> str:
        """`namespace.verb`."""
        return self.declaration.name

    @property
    def instant(self) -> bool:
        """Whether it never waits."""
        return self.declaration.instant

    @functools.cached_property
    def card(self) -> ActionCard:
        """What it promises."""
        can_rehearse = self.rehearse_function is not None or self.declaration.effects == "none"
        return card_of(self.signature, self.declaration, can_rehearse=can_rehearse)

    @functools.cached_property
    def signature(self) -> Signature:
        """Its inputs and outputs as the annotations tell them."""
        return signature_of(self.function, name=self.name)

    def rehearsal(self, function: Function) -> Function:
        """Decorates the function with the same inputs that tells what would be done."""
        self.rehearse_function = function
        self.__dict__.pop("card", None)
        return function

    def idempotent_with(self, values: Values) -> bool:
        """Whether twice is as good as once with these inputs; False when they are wrong."""
        told = self.declaration.idempotent
        if isinstance(told, bool):
            return told
        try:
            return told(self.signature.subject(values, self.name))
        except ActionFailed:
            return False

    async def perform(self, values: Values, context: StepContext) -> Values:
        """Calls the function with typed inputs and answers with plain JSON."""
        check_binaries(self.declaration, context)
        result = self._call(self.function, values, context)
        if inspect.isawaitable(result):
            result = await result
        elif not self.instant:
            raise errors.AuthorError(
                f"The action {self.name} is a plain function and would block everything else.",
                help="Write `async def`, or say `instant=True` when it never waits.",
            )
        return outputs_of(result, self.name)

    def perform_now(self, values: Values, context: StepContext) -> Values:
        """Calls an instant function at once."""
        assert self.instant, self.name
        return outputs_of(self._call(self.function, values, context), self.name)

    async def rehearse(self, values: Values, context: StepContext) -> Rehearsal:
        """Asks the rehearsal function; without one, performs what changes nothing, and knows nothing else."""
        if self.rehearse_function is None:
            self.signature.read(values, self.name)
            if self.declaration.effects == "none":
                return await self._looked(values, context)
            return Rehearsal(summary=f"performs {self.name}, which cannot be rehearsed", known=False)
        check_binaries(self.declaration, context)
        result = self._call(self.rehearse_function, values, context)
        found = await result if isinstance(result, Awaitable) else result
        assert isinstance(found, Rehearsal), self.name
        return found

    async def _looked(self, values: Values, context: StepContext) -> Rehearsal:
        """What an action that only looks finds now; later it may find something else."""
        outputs = await self.perform(values, context)
        return Rehearsal(summary=f"{self.name} changes nothing", outputs=outputs)

    def _call(self, function: Callable[..., Any], values: Values, context: StepContext) -> Any:  # noqa: ANN401
        signature = self.signature
        arguments = signature.read(values, self.name)
        if signature.takes_context:
            arguments["context"] = context
        return function(**arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The inputs and outputs of a function, read from its annotations."""

    record: Any
    """The type of the parameter `inputs`; None when the parameters themselves are the inputs."""
    fields: tuple[shapes.Field, ...]
    result: Any
    """The annotation of the answer."""
    takes_context: bool
    is_open: bool

    def read(self, values: Values, name: str) -> dict[str, Any]:
        """The arguments for the function; raises ActionFailed `invalid` with every problem."""
        try:
            if self.record is not None:
                return {"inputs": shapes.read(values, self.record)}
            return shapes.read_fields(values, self.fields, is_open=self.is_open)
        except shapes.ShapeError as error:
            raise invalid_inputs(name, error) from None

    def subject(self, values: Values, name: str) -> Any:  # noqa: ANN401 - the record or a mapping
        """The typed inputs as one thing."""
        arguments = self.read(values, name)
        return arguments["inputs"] if self.record is not None else arguments


def signature_of(function: Callable[..., Any], *, name: str) -> Signature:
    """Reads the annotations of a function; raises AuthorError when they do not make an action."""
    signature = _signature(function)
    parameters = dict(signature.parameters)
    takes_context = parameters.pop("context", None) is not None
    is_open = False
    fields = []
    for parameter in parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            is_open = True
        elif parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            raise errors.AuthorError(
                f"The action {name} has the parameter {parameter}.",
                help="Inputs have names: use plain parameters.",
            )
        else:
            required = parameter.default is inspect.Parameter.empty
            fields.append(
                shapes.Field(
                    name=parameter.name,
                    annotation=_resolve(parameter.annotation, function, name),
                    required=required,
                    default=None if required else parameter.default,
                )
            )
    result = _resolve(signature.return_annotation, function, name)
    record = None
    if len(fields) == 1 and fields[0].name == "inputs" and shapes.is_record(fields[0].annotation):
        record = fields[0].annotation
        fields = list(shapes.fields_of(record))
    return Signature(
        record=record, fields=tuple(fields), result=result, takes_context=takes_context, is_open=is_open
    )


def card_of(
    signature: Signature, declaration: Declaration, *, can_rehearse: bool, source: str = "built-in"
) -> ActionCard:
    """The card of an action with this signature; raises AuthorError when the declaration contradicts it."""
    secrets = declaration.secrets
    unknown = [] if secrets == "all" else sorted(set(secrets) - {one.name for one in signature.fields})
    if unknown:
        raise errors.AuthorError(
            f"The action {declaration.name} declares secrets in {', '.join(unknown)}, which it does not take."
        )
    inputs = {
        one.name: ParameterCard(
            required=one.required,
            schema=shapes.field_schema(one),
            secret_allowed=secrets == "all" or one.name in secrets,
            description=shapes.description_of(one.annotation),
        )
        for one in signature.fields
    }
    answers = shapes.fields_of(signature.result) if shapes.is_record(signature.result) else None
    outputs = None if answers is None else {one.name: shapes.schema_of(one.annotation) for one in answers}
    if signature.result is None:
        outputs = {}
    return ActionCard(
        name=declaration.name,
        summary=declaration.summary[:SUMMARY_CHARS_MAX],
        inputs=MappingProxyType(inputs),
        outputs=None if outputs is None else MappingProxyType(outputs),
        open_inputs=signature.is_open,
        idempotent=declaration.idempotent is True,
        can_rehearse=can_rehearse,
        effects=declaration.effects,
        extras=declaration.extras,
        binaries=declaration.binaries,
        source=source,
        details=MappingProxyType({one.name: shapes.description_of(one.annotation) for one in answers or ()}),
    )


def outputs_of(result: object, name: str) -> Values:
    """The outputs that an answer stands for; raises ActionFailed `invalid` when it has no JSON form."""
    if result is None:
        return {}
    try:
        outputs = shapes.write(result)
    except TypeError as error:
        raise ActionFailed(
            f"{name} answered with something that is no JSON: {error}", kind="invalid"
        ) from None
    return outputs if isinstance(outputs, dict) else {"result": outputs}


def invalid_inputs(name: str, error: shapes.ShapeError) -> ActionFailed:
    """The failure that tells every problem with the inputs of an action."""
    told = "; ".join(f"`{problem.path}` {problem.message}" for problem in error.problems)
    return ActionFailed(f"{name}: {told}", kind="invalid", help=f"`tow actions {name}` lists its inputs.")


def check_binaries(declaration: Declaration, context: StepContext) -> None:
    """Raises ActionFailed `invalid` when a program is missing that the action needs."""
    if not declaration.binaries:
        return
    import shutil

    path = context.environment.get("PATH", "")
    if missing := [name for name in declaration.binaries if shutil.which(name, path=path) is None]:
        raise ActionFailed(
            f"{declaration.name} needs {', '.join(missing)}, and PATH of the step has no such program.",
            kind="invalid",
            help=f"Install it on the machine that runs the step, or set PATH (it is {path}).",
        )


def check_kind(kind: str) -> ErrorKind:
    """The error kind of this name; raises ValueError when there is none."""
    if kind not in get_args(ErrorKind):
        raise ValueError(f"{kind!r} is no kind of error")
    return kind  # type: ignore[return-value] # checked above


def first_sentence(docstring: str | None) -> str:
    """The first sentence of a docstring, on one line."""
    text = " ".join((docstring or "").strip().partition("\n\n")[0].split())
    return text.partition(". ")[0].removesuffix(".") + "." if text else ""


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """The signature, its annotations as far as they can be read; `context` needs none."""
    if sys.version_info < (3, 14):
        return inspect.signature(function)
    annotationlib: Any = importlib.import_module("annotationlib")  # Any: not known before Python 3.14
    return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)


def _resolve(annotation: Any, function: Callable[..., Any], name: str) -> Any:  # noqa: ANN401
    """What an annotation means where the function was written; text is evaluated there."""
    if annotation is inspect.Parameter.empty:
        return Any
    annotation = getattr(annotation, "__forward_arg__", annotation)
    if not isinstance(annotation, str):
        return annotation
    home = inspect.unwrap(function)
    try:
        return eval(annotation, getattr(home, "__globals__", {}))  # noqa: S307 - the author's own annotation, in its own module
    except NameError as error:
        _cannot_resolve(annotation, name, error)


def _cannot_resolve(annotation: str, name: str, error: NameError) -> NoReturn:
    raise errors.AuthorError(
        f"The annotation `{annotation}` of the action {name} cannot be read: {error}.",
        help="Import what annotations use at run time too, not only under TYPE_CHECKING.",
    )
