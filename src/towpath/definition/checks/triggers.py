"""The entries of `on`: shapes, what goes together in them, and whether every required input gets a value."""

from __future__ import annotations

from collections.abc import Mapping

from towpath.definition import shape, triggers
from towpath.definition.checks import values
from towpath.definition.checks.context import Context
from towpath.definition.problems import did_you_mean, listed
from towpath.definition.source import DataPath
from towpath.definition.triggers import TRIGGER_CLASSES, TRIGGERS_MAX, Trigger


def read_triggers(context: Context) -> None:
    """Read the entries of `on`; those that are sound go into the context."""
    entries = context.workflow.on
    if len(entries) > TRIGGERS_MAX:
        context.tell("out-of-range", f"a workflow has at most {TRIGGERS_MAX} triggers", ("on",), of_key=True)
        return
    found = (_read(context, position, raw) for position, raw in enumerate(entries))
    context.triggers = tuple(trigger for trigger in found if trigger is not None)


def _read(context: Context, position: int, raw: object) -> Trigger | None:
    path: DataPath = ("on", position)
    entry = triggers.as_entry(raw)
    if context.is_cut(path):
        return None
    if not isinstance(entry, dict):
        context.tell(
            "wrong-type",
            f"a trigger is a word or a mapping, not {shape.describe(raw)}",
            path,
            help="write - manual, or - schedule: {cron: …}",
        )
        return None
    kind = _kind_of(context, path, entry)
    if kind is None:
        return None
    # What stands beside the kind and is no option has been told.
    options = {info.alias or name for name, info in triggers.Options.model_fields.items()}
    known = {key: value for key, value in entry.items() if key == kind or key in options}
    shaped = shape.shape_part(triggers.entry_model(kind), context.source, known, path)
    context.problems.extend(shaped.problems)
    context.cut |= {(*path, *cut) for cut in shaped.cut}
    return None if shaped.value is None else triggers.trigger_of(kind, position, shaped.value)


def _kind_of(context: Context, path: DataPath, entry: Mapping[str, object]) -> str | None:
    words = triggers.kinds_in(entry)
    kinds = [word for word in words if word in TRIGGER_CLASSES]
    for word in words:
        if word in TRIGGER_CLASSES:
            continue
        space = [kind for kind in TRIGGER_CLASSES if kind.startswith(word.split(".", maxsplit=1)[0] + ".")]
        context.tell(
            "unknown-key" if kinds else "unknown-trigger",
            f"a `{kinds[0]}` trigger has no `{word}` beside it" if kinds else f"there is no trigger `{word}`",
            (*path, word),
            of_key=True,
            help=_inside(kinds, word)
            or did_you_mean(
                word,
                triggers.Options.model_fields if kinds else TRIGGER_CLASSES,
                otherwise=f"there are {listed(space)}" if space else "docs/reference lists the triggers",
            ),
        )
    if len(kinds) > 1:
        context.tell(
            "keys-go-together",
            f"an entry is one trigger, and these are {len(kinds)}: {listed(kinds)}",
            (*path, kinds[1]),
            of_key=True,
            help="start a new entry with `-`",
        )
    if not words:
        context.tell(
            "unknown-trigger", "the entry does not say what it is", path, help="write for example - manual"
        )
    return kinds[0] if len(kinds) == 1 else None


def _inside(kinds: list[str], word: str) -> str:
    """A setting that slipped out of its trigger."""
    for kind in kinds:
        if word in {info.alias or name for name, info in TRIGGER_CLASSES[kind].model_fields.items()}:
            return f"it belongs inside: - {kind}: {{{word}: …}}"
    return ""


def check_triggers(context: Context) -> None:
    """Tell what does not go together in the entries of `on`."""
    seen: dict[tuple[object, ...], Trigger] = {}
    for trigger in context.triggers:
        path: DataPath = ("on", trigger.position)
        match trigger.settings:
            case triggers.Schedule() as schedule:
                _check_schedule(context, (*path, "schedule"), schedule)
            case triggers.Webhook() as webhook:
                _check_webhook(context, (*path, "webhook"), webhook)
            case _:
                pass
        _check_inputs(context, path, trigger)
        if _is_touched(context, path):
            continue
        identity = _identity(trigger)
        if identity in seen:
            context.tell(
                "duplicate-trigger",
                f"the same `{trigger.kind}` trigger stands in entry {seen[identity].position + 1} already",
                path,
                of_key=True,
                help="remove one of them",
            )
        seen.setdefault(identity, trigger)


def _identity(trigger: Trigger) -> tuple[object, ...]:
    if isinstance(trigger.settings, triggers.Webhook):
        return (trigger.kind, trigger.settings.path)
    return (trigger.kind, repr(trigger.settings), trigger.if_, repr(trigger.inputs))


def _check_schedule(context: Context, path: DataPath, schedule: triggers.Schedule) -> None:
    if (schedule.cron is None) == (schedule.every is None) and not _is_touched(context, path):
        context.tell(
            "keys-go-together",
            "a schedule is either `cron` or `every`",
            path,
            of_key=True,
            help='write schedule: {cron: "0 3 * * *"} or schedule: {every: 1h}',
        )
    if schedule.every is not None and "timezone" in schedule.model_fields_set:
        context.tell(
            "ignored-key",
            "`every` counts time and reads no clock",
            (*path, "timezone"),
            of_key=True,
            help="remove it",
        )


def _check_webhook(context: Context, path: DataPath, webhook: triggers.Webhook) -> None:
    if webhook.verify is None and not webhook.unsafe_unverified and not _is_touched(context, path):
        context.tell(
            "unverified-webhook",
            "anybody could start this workflow: the webhook has no `verify`",
            path,
            of_key=True,
            help="add verify: {hmac: {secret: NAME}}, or spell it out: unsafe_unverified: true",
        )
    if webhook.verify is not None:
        ways = [name for name in triggers.Verify.model_fields if getattr(webhook.verify, name) is not None]
        if len(ways) != 1 and not _is_touched(context, (*path, "verify")):
            context.tell(
                "keys-go-together",
                "`verify` takes exactly one of `hmac`, `token` and `standard_webhooks`",
                (*path, "verify"),
                of_key=True,
                help="write verify: {hmac: {secret: NAME}}",
            )
        if webhook.unsafe_unverified:
            context.tell(
                "keys-go-together",
                "`unsafe_unverified` contradicts `verify`",
                (*path, "unsafe_unverified"),
                of_key=True,
                help="remove it",
            )


def _is_touched(context: Context, path: DataPath) -> bool:
    """Whether something was cut out at or below *path*, so that what lacks may have been meant."""
    return any(cut[: len(path)] == path for cut in context.cut)


def _check_inputs(context: Context, path: DataPath, trigger: Trigger) -> None:
    declared = context.workflow.inputs
    for name, value in trigger.inputs.items():
        at = (*path, "inputs", name)
        if name not in declared:
            context.tell(
                "unknown-input",
                f"the workflow has no input `{name}`",
                at,
                of_key=True,
                help=did_you_mean(
                    name, declared, otherwise=f"declare it: inputs: {{{name}: {{type: string}}}}"
                ),
            )
            continue
        wrong = values.mismatch(declared[name], value)
        if wrong is not None:
            context.tell("wrong-with", f"`{name}` {wrong[0]}", at, help=wrong[1])
    empty = [
        name
        for name, item in declared.items()
        if not item.has_default and name not in trigger.inputs and not context.is_cut((*path, "inputs", name))
    ]
    if empty and trigger.kind != "manual":
        shown = ", ".join(f'{name}: "${{{{ event.… }}}}"' for name in empty)
        context.tell(
            "input-left-empty",
            f"this trigger gives no value for {listed(empty)}",
            path,
            of_key=True,
            help=f"add beside it inputs: {{{shown}}}, or give the input a default",
        )
