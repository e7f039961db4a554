"""KFP: compile this checkout's pipelines, and run a compiled one on this machine.

The local run executes the very YAML that a cluster runs, through kfp.local's SubprocessRunner, in a
child process: KFP's local state is global to a process, and its own chatter goes to a log file while
the lines of the stages reach the user.
"""

import importlib
import io
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tongues.core.digests import digest_file
from tongues.core.errors import PreflightError, TonguesError
from tongues.core.log_lines import RUN_ENV, message_of
from tongues.core.progress import Say
from tongues.core.recipe import NodePoolSection, StepName

VERSION_CHARACTERS = 12
"""Of a pipeline's digest, in the name of its version."""

FAILURE_ENV = "TONGUES_FAILURE_FILE"
"""Names the file that a failing step writes its error to, for whoever started the run."""


class StepFailedError(TonguesError):
    """A pipeline step failed; carries the step's own error and exit code."""

    def __init__(self, failure: dict[str, Any], log: Path) -> None:
        super().__init__(
            failure["what"], where=failure["where"], fix=failure["fix"] or f"the full log is {log}"
        )
        self.exit_code = int(failure["exit_code"])


def compile_pipelines(sources: Path, out: Path, pools: Mapping[StepName, NodePoolSection]) -> list[Path]:
    """Compile every pipeline of a folder; one YAML file per module, named after it.

    Below ``kubernetes/`` stands each one again as the objects `Pipeline` and `PipelineVersion`, for a server
    that keeps its pipelines in Kubernetes. A version is named after its content, as `tongues submit` does.

    Args:
        sources: folder with one module per pipeline; its ``build`` takes the node pools.
        out: folder for the YAML files.
        pools: step to the nodes it runs on.

    Raises:
        PreflightError: the folder is not there.
    """
    from kfp.compiler import Compiler

    if not (sources / "__init__.py").is_file():
        raise PreflightError(
            [f"no pipelines in {sources.resolve()}"], fix="run this at the root of a checkout"
        )
    sys.path.insert(0, str(sources.resolve().parent))
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for module in sorted(p for p in sources.glob("*.py") if p.stem != "__init__"):
        pipeline = importlib.import_module(f"{sources.name}.{module.stem}").build(pools)
        written.append(out / f"{module.stem}.yaml")
        Compiler().compile(pipeline, str(written[-1]))
        written.append(_as_objects(pipeline, written[-1]))
    return written


def _as_objects(pipeline: Any, compiled: Path) -> Path:
    from kfp.compiler import Compiler
    from kfp.compiler.compiler_utils import KubernetesManifestOptions

    options = KubernetesManifestOptions(
        pipeline_name=pipeline.name,
        pipeline_version_name=f"{pipeline.name}-{digest_file(compiled)[:VERSION_CHARACTERS]}",
        include_pipeline_manifest=True,
    )
    path = compiled.parent / "kubernetes" / compiled.name
    path.parent.mkdir(exist_ok=True)
    Compiler().compile(
        pipeline, str(path), kubernetes_manifest_format=True, kubernetes_manifest_options=options
    )
    return path


def run_local(compiled: Path, arguments: dict[str, Any], root: Path, say: Say) -> Any:
    """Run a compiled pipeline on this machine.

    Args:
        compiled: the YAML file.
        arguments: the pipeline's parameters.
        root: folder for KFP's own files and the log of the run.
        say: takes the stages' lines as they come.

    Returns:
        The pipeline's output; None where it has none.

    Raises:
        StepFailedError: a step failed; with the step's error and exit code.
    """
    root.mkdir(parents=True, exist_ok=True)
    log, failure, result = root / "run.log", root / "failure.json", root / "result.json"
    for stale in (failure, result):
        stale.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        __name__,
        str(compiled),
        json.dumps(arguments),
        str(root),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environment(failure)
    ) as child:
        for line in _logged(child, log):
            say(line)
    if child.returncode or not result.exists():
        raise StepFailedError(_read_failure(failure, log), log)
    return json.loads(result.read_text())


def _environment(failure: Path) -> dict[str, str]:
    """Steps run `python3` from the PATH: make it this interpreter, with the settings of this process."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", FAILURE_ENV: str(failure)} | {
        RUN_ENV: os.environ.get(RUN_ENV) or str(uuid.uuid4())
    }


def _logged(child: "subprocess.Popen[str]", log: Path) -> Iterator[str]:
    """Keep everything in the log; pass on what the stages said."""
    with log.open("w", encoding="utf-8") as stream:
        for line in child.stdout or []:
            stream.write(line)
            if (message := message_of(line)) is not None:
                yield message


def _read_failure(failure: Path, log: Path) -> dict[str, Any]:
    if failure.exists():
        return dict(json.loads(failure.read_text()))
    tail = " | ".join(log.read_text(encoding="utf-8").strip().splitlines()[-3:])
    return {"what": f"the run ended without a result: {tail}", "where": str(log), "fix": "", "exit_code": 1}


def _for_this_machine(compiled: str) -> str:
    """Without what is for pods.

    Retries are for lost pods: here a step fails for a reason, which nobody should wait for. The settings
    of a pod's containers are this process's own here. What is said to Kubernetes, in a second document, goes.
    """
    yaml = YAML(typ="safe", pure=True)
    ir = next(iter(yaml.load_all(compiled)))
    for executor in ir["deploymentSpec"]["executors"].values():
        executor["container"].pop("env", None)
    for dag in [ir["root"]["dag"], *(c["dag"] for c in ir["components"].values() if "dag" in c)]:
        for task in dag["tasks"].values():
            task.pop("retryPolicy", None)
    stream = io.StringIO()
    yaml.dump(ir, stream)
    return stream.getvalue()


def _run_here(compiled: str, arguments: str, root: str) -> None:
    from kfp import components, local

    runner = local.SubprocessRunner(use_venv=False)
    local.init(runner=runner, pipeline_root=str(Path(root) / "steps"), raise_on_error=True)
    pipeline = components.load_component_from_text(_for_this_machine(Path(compiled).read_text()))
    outputs = pipeline(**json.loads(arguments)).outputs
    (Path(root) / "result.json").write_text(json.dumps(outputs.get("Output")))


if __name__ == "__main__":
    _run_here(*sys.argv[1:])
