"""Commands of steps run here, each watched so closely that nothing of it is left when it is over."""

from towpath.steps.processes.contract import EndedBy, OutputSink, ProcessResult, ProcessSpec, StreamName
from towpath.steps.processes.runner import ProcessRunner, RunningProcess

__all__ = [
    "EndedBy",
    "OutputSink",
    "ProcessResult",
    "ProcessRunner",
    "ProcessSpec",
    "RunningProcess",
    "StreamName",
]
