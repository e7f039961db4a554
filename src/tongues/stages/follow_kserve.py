"""Follow on a cluster: InferenceServices that do what the registry's aliases say, one after the other.

What serves is asked of the cluster at every look, so a follower may end at any moment; only what failed its
clients is written down, because the cluster does not know. A model whose alias is gone is left as it is.
"""

import os
import threading
import time
from collections.abc import Sequence

from tongues.core.errors import RegistryError, TonguesError
from tongues.platform.kserve_api import KServeApi
from tongues.platform.kserve_canary import is_served
from tongues.platform.kserve_objects import GROUP, annotated
from tongues.platform.kserve_status import is_ready
from tongues.serving.follower_metrics import FollowerMetrics
from tongues.serving.memory import read_memory, write_memory
from tongues.serving.revision import Revision
from tongues.serving.rollout import TakenBackError
from tongues.serving.setbacks import Setbacks
from tongues.serving.status import ModelStatus, State, Status, write_status
from tongues.stages.follow import check_references, endpoint_home
from tongues.stages.kserve import render, serve_on_kserve
from tongues.stages.revisions import RegistryAliases
from tongues.stages.workspace import Workspace


class ClusterFollower:
    """The references of one namespace.

    Args:
        workspace: in an object store, where pods can read it.
        references: MODEL@ALIAS, in the order to look after them.
        namespace: of the InferenceServices.
        name: of the endpoint, for its status.
        poll_s: seconds between two looks.
        canary_url: where canaries are asked; their addresses inside the cluster if empty.
        api: the cluster; that of the environment when None.

    Raises:
        ServingError: a reference is none.
        KubernetesError: there is no access to a cluster.
    """

    def __init__(
        self,
        workspace: Workspace,
        references: Sequence[str],
        *,
        namespace: str,
        name: str = "endpoint",
        poll_s: float = 2.0,
        canary_url: str = "",
        api: KServeApi | None = None,
    ) -> None:
        check_references(references)
        self._workspace, self._references, self._namespace = workspace, tuple(references), namespace
        self._home, self._poll_s, self._canary_url = endpoint_home(workspace, name), poll_s, canary_url
        self._api, self._aliases = api or KServeApi.here(workspace.say), RegistryAliases(workspace)
        self._memory, self._setbacks, self.metrics = read_memory(self._home), Setbacks(), FollowerMetrics()
        self._told, self._registry = dict[str, ModelStatus](), ""

    def run(self, stop: threading.Event) -> None:
        """Go on until somebody says stop; the endpoint serves on afterwards."""
        while not stop.is_set():
            self.step()
            stop.wait(self._poll_s)

    def step(self) -> None:
        """Look once at every reference, and move what has to move."""
        self._registry = ""
        for reference in self._references:
            try:
                self._look(reference, self._aliases.resolve(reference))
            except RegistryError as error:
                self._registry = str(error)
            except TonguesError as error:
                self._tell(reference, None, "refused", reason=str(error))
        self.metrics.polled(ok=not self._registry)
        self._write()

    def _look(self, reference: str, revision: Revision | None) -> None:
        model = reference.split("@", maxsplit=1)[0]
        self._forgive(model, revision)
        if revision is None:
            self._tell(reference, None, "absent")
            return
        wanted = annotated(model, self._namespace, revision.digest)
        live = self._api.find(wanted)
        if reason := self._memory.taken_back.get(revision.served_as, ""):
            self._tell(reference, revision, "taken-back", reason=reason)
        elif live is not None and is_served(live, wanted) and is_ready(live):
            self._tell(reference, revision, "serving", url=str(live.get("status", {}).get("url", "")))
        elif (revision.served_as,) not in self._setbacks.waiting(1):
            self._move(reference, revision)

    def _move(self, reference: str, revision: Revision) -> None:
        """Have the cluster serve it; whatever fails is told, and tried again later."""
        started = time.monotonic()
        self._tell(reference, revision, "coming")
        self._write()
        try:
            made = render(self._workspace, f"{revision.model}/{revision.version}", namespace=self._namespace)
            done = serve_on_kserve(self._workspace, made, canary_url=self._canary_url, api=self._api)
        except TakenBackError as error:
            self._memory = self._memory.taken(revision, str(error))
            write_memory(self._home, self._memory)
            self.metrics.acted("revert", ok=True)
            self._tell(reference, revision, "taken-back", reason=str(error))
            return
        except TonguesError as error:
            self._setbacks.note(str(error), revision.served_as)
            self.metrics.acted("load", ok=False)
            self._workspace.say(f"{reference}: {error}")
            self._tell(reference, revision, "refused", reason=str(error))
            return
        self._setbacks.clear(revision.served_as)
        self.metrics.acted("load", ok=True)
        self.metrics.switched(time.monotonic() - started)
        self._tell(reference, revision, "serving", url=done.url)

    def _forgive(self, model: str, revision: Revision | None) -> None:
        heard = self._memory.forgiven({model: revision.served_as if revision else ""})
        if heard is not self._memory:
            write_memory(self._home, heard)
            self._memory = heard

    def _tell(
        self, reference: str, revision: Revision | None, state: State, *, reason: str = "", url: str = ""
    ) -> None:
        model, wanted = reference.split("@", maxsplit=1)[0], revision.served_as if revision else ""
        before = self._told.get(model)
        serves = wanted if state == "serving" else before.serves if before else ""
        since = before.since if before and before.serves == serves else time.time() if serves else 0.0
        self._told[model] = ModelStatus(
            model=model,
            reference=reference,
            state=state,
            wanted=wanted,
            serves=serves,
            since=since,
            servers=(url,) if url else (),
            reason=reason,
        )

    def _write(self) -> None:
        models = tuple(self._told.values())
        self.metrics.show(models, {})
        status = Status(
            url=f"{GROUP}/{self._namespace}",
            mode="as each recipe says",
            pid=os.getpid(),
            at=time.time(),
            poll_s=self._poll_s,
            registry=self._registry,
            models=models,
        )
        write_status(self._home, status)
