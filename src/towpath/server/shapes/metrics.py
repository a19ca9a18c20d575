"""Measurements as Prometheus reads them: text, one line for each value, with what it means above it.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value."""

    value: float
    labels: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Something that is measured: all values of it."""

    name: str
    help: str
    samples: tuple[Sample, ...]
    kind: Literal["gauge", "counter"] = "gauge"


def one(name: str, text: str, value: float, *, kind: Literal["gauge", "counter"] = "gauge") -> Measure:
    """Something that has one value."""
    return Measure(name=name, help=text, samples=(Sample(value=value),), kind=kind)


def by(
    label: str,
    values: Mapping[str, float],
    name: str,
    text: str,
    *,
    kind: Literal["gauge", "counter"] = "gauge",
) -> Measure:
    """Something that has one value for each of several things."""
    samples = tuple(Sample(value=value, labels={label: key}) for key, value in sorted(values.items()))
    return Measure(name=name, help=text, samples=samples, kind=kind)


def text_of(measures: Iterable[Measure]) -> str:
    """All of it."""
    return "".join(f"{line}\n" for measure in measures for line in _lines(measure))


def _lines(measure: Measure) -> Iterable[str]:
    yield f"# HELP {measure.name} {_help(measure.help)}"
    yield f"# TYPE {measure.name} {measure.kind}"
    for sample in measure.samples:
        labels = ",".join(f'{name}="{_label(value)}"' for name, value in sample.labels.items())
        yield f"{measure.name}{f'{{{labels}}}' if labels else ''} {_number(sample.value)}"


def _help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _label(text: str) -> str:
    return _help(text).replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
