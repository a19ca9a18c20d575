"""Commands of steps run here, each watched so closely that nothing of it is left when it is over."""

from towpath.steps.processes.containers import Container, find_engine, run_in_container
from towpath.steps.processes.contract import EndedBy, OutputSink, ProcessResult, ProcessSpec, StreamName
from towpath.steps.processes.environment import EnvironmentBase, make_environment
from towpath.steps.processes.runner import ProcessRunner, RunningProcess
from towpath.steps.processes.shells import SHELLS, Shell, shell_named
from towpath.steps.processes.step_files import OutputsInvalid, StepFiles, parse_outputs

__all__ = [
    "SHELLS",
    "Container",
    "EndedBy",
    "EnvironmentBase",
    "OutputSink",
    "OutputsInvalid",
    "ProcessResult",
    "ProcessRunner",
    "ProcessSpec",
    "RunningProcess",
    "Shell",
    "StepFiles",
    "StreamName",
    "find_engine",
    "make_environment",
    "parse_outputs",
    "run_in_container",
    "shell_named",
]
